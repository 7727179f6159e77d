"""Swagger UI in a real browser: "Try it out" on the demo's route reaches the hub (GW-12)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from protocol import HubConnectionBuilder
from signalr_gateway import HubRouteInfo, Orchestrator, create_app
from signalr_gateway.access.api_keys import ApiKey, ApiKeys, key_hash, new_key
from signalr_gateway.serving.listener import serving
from tests.gateway.sample_hub import connecting_to, running_hub
from tests.interop.browser import Page, chromium
from tests.interop.processes import free_port
from tests.interop.servers import GatewayServer

ROUTE = '.opblock-post:has([data-path="/api/Gateway/hub/chatservice/room"])'


@asynccontextmanager
async def proxied(address: str, prefix: str) -> AsyncIterator[str]:
    """The address of a proxy that serves `address` below `prefix` and nothing beside it."""

    async def forward(request: web.Request) -> web.Response:
        url = address + request.rel_url.raw_path.removeprefix(prefix)
        headers = {
            name: request.headers[name] for name in ("Content-Type",) if name in request.headers
        }
        async with session.request(
            request.method, url, data=await request.read(), headers=headers, allow_redirects=False
        ) as answer:
            kept = ("Content-Type", "Content-Security-Policy", "Location")
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                headers={name: answer.headers[name] for name in kept if name in answer.headers},
            )

    app = web.Application()
    app.router.add_route("*", prefix + "/{path:.*}", forward)
    async with aiohttp.ClientSession() as session, serving(app, "127.0.0.1", 0) as url:
        yield url + prefix


async def try_it_out(page: Page, url: str) -> None:
    """Opens the page as a bookmark would, and executes the route with its example."""
    await page.open(url)
    await execute(page)


async def execute(page: Page) -> None:
    """Executes the route with its example."""
    for button in (".opblock-summary-control", ".try-out__btn", ".execute"):
        await page.when(f"document.querySelector('{ROUTE} {button}')")
        await page.evaluate(f"document.querySelector('{ROUTE} {button}').click()")
    await page.when(
        f"document.querySelector('{ROUTE} .live-responses-table .response .response-col_status')"
    )


@pytest.mark.parametrize("prefix", ["", "/behind/a/proxy"])
async def test_try_it_out_reaches_the_hub(prefix: str, tmp_path: Path) -> None:
    events: asyncio.Queue[tuple[object, object]] = asyncio.Queue()
    demo = GatewayServer("demo", "--hub-port", str(free_port()))
    async with (
        demo as gateway,
        proxied(gateway.url(""), prefix) as url,
        chromium(tmp_path / "profile") as page,
    ):
        listener = HubConnectionBuilder().with_url(gateway.url("/gatewayhub")).build()
        listener.on("ReceiveMessage", lambda given, state: events.put_nowait((given, state)))
        async with listener:
            await try_it_out(page, f"{url}/Swagger")
            assert (
                await page.evaluate("location.origin + location.pathname")
                == f"{url}/swagger/index.html"
            )
            (tmp_path / "swagger.png").write_bytes(await page.screenshot())
            status = await page.text(
                f"{ROUTE} .live-responses-table .response .response-col_status"
            )
            assert status.strip() == "200"
            assert await page.text(f"{ROUTE} .request-url pre") == (
                f"{url}/api/Gateway/hub/chatservice/room"
            )
            assert await events.get() == (["John", "Hello!"], {})
        assert page.complaints() == []


async def test_a_key_is_needed(tmp_path: Path) -> None:
    """GW-47: the page asks for a key, and sends it for the document and for calls."""
    key = new_key()
    keys = ApiKeys([ApiKey(name="k", user_id="orders", hash=key_hash(key))])
    button = f"document.querySelector('{ROUTE} .opblock-summary-control')"
    async with running_hub() as hub:
        orchestrator = Orchestrator()
        orchestrator.add_hub("chatservice", connecting_to(hub.url)).add_route(
            "room", HubRouteInfo(invoke_method="Echo", examples=[[1]])
        )
        app = create_app(orchestrator, authenticate=keys)
        async with serving(app, "127.0.0.1", 0) as url, chromium(tmp_path / "profile") as page:
            await page.open(f"{url}/swagger/index.html")
            await page.when("!document.querySelector('#key-form').hidden")
            assert (
                await page.text("#key-status") == "This gateway needs credentials that are valid."
            )
            assert not await page.evaluate(button)
            await page.evaluate(f"document.querySelector('#key-input').value = '{key}'")
            await page.evaluate("document.querySelector('#key-use').click()")
            await page.when(button)
            assert await page.evaluate("document.querySelector('#key-input').value") == ""
            await execute(page)
            (tmp_path / "swagger.png").write_bytes(await page.screenshot())
            status = f"{ROUTE} .live-responses-table .response .response-col_status"
            assert (await page.text(status)).strip() == "200"
            assert all("401" in complaint for complaint in page.complaints())
            await page.go(f"{url}/swagger/index.html")
            await page.when("!document.querySelector('#key-form').hidden")
            assert not await page.evaluate(button)
