"""A relay between the gateway and a hub, which records what both send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from signalr_gateway.serving.listener import serving
from tests.interop.journal import Journal

SEPARATOR = "\x1e"
PING = '{"type":6}'


class HubLeg:
    """A relay with the same paths as the hub, which passes on every record unchanged."""

    def __init__(self, hub_url: str) -> None:
        self.url = ""
        self.to_hub: Journal[str] = Journal(f"records to {hub_url}")
        """The records so far, and a line ``negotiate PATH`` for each negotiate request."""
        self.hub_address = hub_url.removesuffix("/chathub")
        self._session: aiohttp.ClientSession

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator["HubLeg"]:
        app = web.Application()
        app.router.add_post("/{path:.*}/negotiate", self._negotiate)
        app.router.add_get("/{path:.*}", self._connect)
        async with (
            aiohttp.ClientSession() as self._session,
            serving(app, "127.0.0.1", 0) as address,
        ):
            self.url = f"{address}/ChatHub"
            yield self

    async def _negotiate(self, request: web.Request) -> web.Response:
        self.to_hub.add(f"negotiate {request.rel_url}")
        try:
            async with self._session.post(f"{self.hub_address}{request.rel_url}") as answer:
                return web.Response(
                    status=answer.status, body=await answer.read(), content_type="application/json"
                )
        except aiohttp.ClientConnectionError:
            return web.Response(status=502)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        url = f"{self.hub_address}{request.rel_url}"
        try:
            hub = await self._session.ws_connect(url, max_msg_size=0)
        except aiohttp.ClientError:
            return web.Response(status=502)
        gateway = web.WebSocketResponse(max_msg_size=0)
        await gateway.prepare(request)
        await asyncio.gather(_pass_on(hub, gateway, None), _pass_on(gateway, hub, self.to_hub))
        return gateway


WebSocket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pass_on(source: WebSocket, sink: WebSocket, records: Journal[str] | None) -> None:
    """Passes frames on until `source` ends, then ends `sink`."""
    async for frame in source:
        assert isinstance(frame.data, str)
        if records is not None:
            for record in frame.data.split(SEPARATOR)[:-1]:
                if record != PING:
                    records.add(record)
        try:
            await sink.send_str(frame.data)
        except ConnectionError:
            break
    await sink.close()
