"""Pages of other origins in a real browser, with the official JavaScript client in them (GW-26a).

The pages are empty. Scripts in them try everything that only pages of listed origins may do.
Origins differ by their port.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from signalr_gateway.serving.listener import serving
from tests.interop.browser import Page, chromium
from tests.interop.builds import node_program
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
