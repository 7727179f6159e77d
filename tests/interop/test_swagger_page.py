"""Swagger UI in a real browser: "Try it out" on the demo's route reaches the hub (GW-12)."""

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
