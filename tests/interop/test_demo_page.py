"""The demo of the gateway in a real browser: a message from the form to the list of events."""

from pathlib import Path

from tests.interop.browser import chromium
from tests.interop.processes import free_port
from tests.interop.servers import GatewayServer

FILL_AND_SEND = """
document.querySelector("#invoke-body").value = '[{"name":"Ada","message":"Hello from a browser"}]';
document.querySelector("#invoke-send").click();
"""

ANIMATIONS_ENDED = """
Promise.all(document.getAnimations().map((animation) => animation.finished)).then(() => true)
"""


async def test_the_demo_shows_a_message_going_round(tmp_path: Path) -> None:
    demo = GatewayServer("demo", "--hub-port", str(free_port()))
    async with demo as gateway, chromium(tmp_path / "profile") as page:
        await page.open(gateway.url("/"))
        await page.when('document.querySelector("#connection-state").dataset.state === "connected"')
        await page.when('document.querySelector("#hubs [data-api][data-state=connected]")')

        await page.evaluate(FILL_AND_SEND)
        await page.when('document.querySelector("#invoke-result").dataset.status === "200"')
        await page.when('document.querySelector("#events li[data-target=ReceiveMessage]")')
        event = await page.text("#events li")
        assert "Ada" in event
        assert "Hello from a browser" in event

        await page.when('document.querySelector("#clients").textContent.startsWith("1")')
        await page.evaluate(ANIMATIONS_ENDED)
        (tmp_path / "demo.png").write_bytes(await page.screenshot())
        assert page.complaints() == []
