"""Pages of other origins in a real browser, with the official JavaScript client in them (GW-26a).

The pages are empty. Scripts in them try everything that only pages of listed origins may do.
Origins differ by their port.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from protocol import HubConnectionBuilder
from signalr_gateway.serving.listener import serving
from tests.interop.browser import Page, chromium
from tests.interop.builds import node_program
from tests.interop.journal import PATIENCE
from tests.interop.processes import free_port
from tests.interop.servers import GatewayServer

CLIENT = "node_modules/@microsoft/signalr/dist/browser/signalr.js"
BODY = """JSON.stringify([{name: "John", message: "Hello!"}])"""

CALL = """
fetch("%s/api/Gateway/hub/chatservice/room", {
    method: "POST", credentials: "include", body: %s,
    headers: {"Content-Type": "application/json"},
}).then((answer) => [answer.status, answer.headers.get("X-Request-Id") !== null])
"""
LISTEN = """
(async () => {
    const connection = new signalR.HubConnectionBuilder()
        .withUrl("%s/gatewayhub", {transport: signalR.HttpTransportType.%s})
        .configureLogging(signalR.LogLevel.None)
        .build();
    const heard = new Promise((done) => connection.on("ReceiveMessage", (...all) => done(all)));
    await connection.start();
    await %s;
    const got = await heard;
    await connection.stop();
    return got;
})()
"""
OPEN_SOCKET = """
new Promise((done) => {
    const socket = new WebSocket("%s/gatewayhub".replace("http", "ws"));
    socket.onopen = () => done("open");
    socket.onclose = () => done("closed");
})
"""
CALL_UNASKED = """
fetch("%s/api/Gateway/hub/chatservice/room", {
    method: "POST", mode: "no-cors", body: new Blob([%s]),
}).then((answer) => answer.type)
"""

MESSAGE = """JSON.stringify({target: "ReceiveMessage", arguments: ["stolen"]})"""
ATTACKS = {
    "a send as JSON": """
        fetch("%s/api/Gateway/send/all", {
            method: "POST", body: MESSAGE, headers: {"Content-Type": "application/json"},
        }).then((answer) => answer.text())
    """,
    "a send without a preflight": """
        fetch("%s/api/Gateway/send/all", {method: "POST", mode: "no-cors", body: MESSAGE})
            .then((answer) => answer.type)
    """,
    "a beacon": """
        navigator.sendBeacon("%s/api/Gateway/send/all", new Blob([MESSAGE], {type: "text/plain"}))
    """,
    "a form": """
        new Promise((done) => {
            const form = document.createElement("form");
            const field = document.createElement("input");
            const frame = document.createElement("iframe");
            frame.name = "answer";
            field.name = '{"target":"ReceiveMessage","arguments":["stolen","';
            field.value = '"]}';
            form.append(field);
            document.body.append(frame, form);
            Object.assign(form, {
                method: "POST", enctype: "text/plain", target: "answer",
                action: "%s/api/Gateway/send/all",
            });
            frame.onload = () => {
                try { done(frame.contentDocument.body.innerText); } catch { done("blocked"); }
            };
            form.submit();
        })
    """,
    "a disconnection": """
        fetch("%s/api/Gateway/send/connection/CLIENT", {method: "DELETE"})
            .then((answer) => answer.status)
    """,
    "a call with a method in a header": """
        fetch("%s/api/Gateway/send/connection/CLIENT", {
            method: "POST", mode: "no-cors", headers: {"X-HTTP-Method-Override": "DELETE"},
        }).then((answer) => answer.type)
    """,
    "the list of hubs": """
        fetch("%s/api/Gateway/orchestration").then((answer) => answer.text())
    """,
    "health with credentials": """
        fetch("%s/healthz", {credentials: "include"}).then((answer) => answer.text())
    """,
    "events": """
        new Promise((done) => {
            const source = new EventSource("%s/gatewayhub");
            source.onopen = () => done("open");
            source.onerror = () => done("blocked");
        })
    """,
    "a script": """
        new Promise((done) => {
            const script = document.createElement("script");
            script.src = "%s/api/Gateway/orchestration";
            script.onload = () => done("ran");
            script.onerror = () => done("blocked");
            document.head.append(script);
        })
    """,
    "the console in a frame": """
        new Promise((done) => {
            const frame = document.createElement("iframe");
            frame.src = "%s/";
            frame.onload = () => {
                try { done(frame.contentDocument.body.innerText); } catch { done("blocked"); }
            };
            document.body.append(frame);
        })
    """,
}
"""By what the page tries. `MESSAGE` and `CLIENT` are replaced before the address of the gateway."""
HARMLESS = ("blocked", "opaque", True)
"""What a page may learn: nothing, that an answer came, or that a beacon was queued."""


@asynccontextmanager
async def blank_site() -> AsyncIterator[str]:
    """The origin of a site with an empty page that loads only the client."""
    script = node_program() / CLIENT

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<script src=/signalr.js></script>", content_type="text/html")

    async def client(_: web.Request) -> web.FileResponse:
        return web.FileResponse(script)

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/signalr.js", client)
    async with serving(app, "127.0.0.1", 0) as url:
        yield url


@asynccontextmanager
async def scene(profile: Path, *, listed: bool) -> AsyncIterator[tuple[Page, GatewayServer]]:
    """The page of a site, and the demo, which lists its origin or another one."""
    async with blank_site() as site:
        origin = site if listed else "https://app.example"
        demo = ("demo", "--hub-port", str(free_port()), "--allowed-origin", origin)
        async with GatewayServer(*demo) as gateway, chromium(profile) as page:
            await page.open(site)
            yield page, gateway


async def test_a_page_of_a_listed_origin(tmp_path: Path) -> None:
    """It calls, reads what is beside the answer, and listens over each transport."""
    async with scene(tmp_path / "profile", listed=True) as (page, gateway):
        address = gateway.url("")
        call = CALL % (address, BODY)
        assert await page.evaluate(call) == [200, True]
        for transport in ("WebSockets", "ServerSentEvents", "LongPolling"):
            heard = await page.evaluate(LISTEN % (address, transport, call))
            assert heard == [["John", "Hello!"], {}]
        assert await page.evaluate(OPEN_SOCKET % address) == "open"


async def test_a_page_of_another_origin(tmp_path: Path) -> None:
    """Nothing that it tries reaches the hub; the gateway's own page sees none of it."""
    async with scene(tmp_path / "profile", listed=False) as (page, gateway):
        address = gateway.url("")
        for script in (
            CALL % (address, BODY),
            LISTEN % (address, "WebSockets", "null"),
            LISTEN % (address, "LongPolling", "null"),
        ):
            with pytest.raises(AssertionError, match="Failed to fetch"):
                await page.evaluate(script)
        assert await page.evaluate(OPEN_SOCKET % address) == "closed"
        assert await page.evaluate(CALL_UNASKED % (address, BODY)) == "opaque"  # sent, and refused
        async with (
            aiohttp.ClientSession() as session,
            session.get(gateway.url("/console/status.json")) as answer,
        ):
            [hub] = (await answer.json())["hubs"]
        assert hub["events"]["forwarded"] == 0


async def test_an_attack_page(tmp_path: Path) -> None:
    """GW-26a, GW-60: no trick of a page sends to clients, disconnects one or reads an answer."""
    file = tmp_path / "gateway.toml"
    file.write_text('[send]\nenabled = true\n[hubs.chatservice]\nurl = "http://127.0.0.1:9/hub"\n')
    async with (
        blank_site() as site,
        GatewayServer("run", str(file)) as gateway,
        chromium(tmp_path / "profile") as page,
    ):
        address = gateway.url("")
        builder = HubConnectionBuilder().with_url(f"{address}/gatewayhub")
        received: asyncio.Queue[bytes] = asyncio.Queue()
        async with builder.build() as client:
            client.on_any(lambda _, arguments: received.put_nowait(bytes(arguments)))
            await page.open(site)
            for name, script in ATTACKS.items():
                script = script.replace("MESSAGE", MESSAGE)
                script = script.replace("CLIENT", client.connection_id or "")
                assert await learned(page, script % address) in HARMLESS, name
            async with (
                aiohttp.ClientSession() as session,
                session.post(
                    f"{address}/api/Gateway/send/all", json={"target": "T", "arguments": ["end"]}
                ) as answer,
            ):
                assert answer.status == 202
            assert await asyncio.wait_for(received.get(), PATIENCE) == b'["end"]'


async def learned(page: Page, script: str) -> object:
    """What a script learns; `blocked` if it fails."""
    try:
        return await page.evaluate(script)
    except AssertionError:
        return "blocked"
