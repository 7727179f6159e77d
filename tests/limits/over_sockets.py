"""Plays the limits of hubs and of the client that only requests can reach."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from protocol import EndpointOptions, HubConnectionBuilder, HubOptions, NegotiationError
from protocol.transports.client.http_client import read_all
from tests.transports.host import Host
from tests.transports.raw_server import OFFER, RawServer, Reply
from tests.transports.raw_web_socket import TEXT, connect_raw, open_raw

from .players import Players

Play = Callable[[int, int], Awaitable[str]]
plays: Players[Play] = Players()

PING = b'{"type":6}\x1e'


def _host(hub_options: HubOptions | None = None, **options: Any) -> Host:
    host = Host()
    options = {"close_timeout": 0.05, **options}
    host.map(hub_options=hub_options, endpoint_options=EndpointOptions(**options))
    return host


async def _started(url: str) -> str:
    """Whether a client can start with this server, or why it cannot."""
    try:
        async with HubConnectionBuilder().with_url(url).build():
            return "connected"
    except NegotiationError as error:
        return str(error).replace(url.rpartition("/")[0], "http://host")


# ---- hubs


@plays("protocol.transports.server.web_socket_upgrade._LEAST_LIMIT")
async def _(limit: int, count: int) -> str:
    pings, rest = divmod(count, len(PING))
    async with _host().run() as host:
        web_socket = await connect_raw(f"{host.url}/hub")
        web_socket.send(TEXT, PING * (pings - 1) + PING[:-1] + b" " * rest + PING[-1:])
        web_socket.send_records({"type": 1, "invocationId": "1", "target": "Who", "arguments": []})
        while (frame := await web_socket.frame()).opcode == TEXT:
            if b'"invocationId":"1"' in frame.payload:
                web_socket.cut()
                return "handled"
        web_socket.cut()
        return f"Close frame {frame.code}"


@plays("EndpointOptions.maximum_connections")
async def _(limit: int, count: int) -> str:
    async with _host(maximum_connections=limit).run() as host:
        opened = [await open_raw(f"{host.url}/hub") for _ in range(count)]
        for each in opened:
            each.cut()
        return str(opened[-1].head.status)


@plays("EndpointOptions.maximum_negotiated_connections")
async def _(limit: int, count: int) -> str:
    async with _host(maximum_negotiated_connections=limit).run() as host:
        async with aiohttp.ClientSession() as http:
            tokens = []
            for _ in range(count):
                async with http.post(f"{host.url}/hub/negotiate?negotiateVersion=1") as response:
                    tokens.append((await response.json())["connectionToken"])
            async with http.delete(f"{host.url}/hub?id={tokens[0]}") as response:
                status = response.status
    return "the oldest is kept" if status != 404 else "the oldest is dropped"


# ---- clients


@plays("protocol.negotiate.MAXIMUM_TRANSPORTS")
async def _(limit: int, count: int) -> str:
    unknown = {"transport": "Pigeons", "transferFormats": ["Text"]}
    listed = [unknown] * (count - 1) + OFFER["availableTransports"]
    async with RawServer() as server:
        server.reply(**{**OFFER, "availableTransports": listed})
        return (await _started(server.url)).partition(" (")[0]


@plays("protocol.negotiate.MAXIMUM_REDIRECTS")
async def _(limit: int, count: int) -> str:
    async with RawServer() as server:
        for _ in range(count):
            server.reply(url=server.url)
        return (await _started(server.url)).partition(" (")[0]


@plays("protocol.transports.client.connector._MAXIMUM_NEGOTIATE_BODY")
async def _(limit: int, count: int) -> str:
    async with RawServer() as server:
        server.replies.append(Reply(body=json.dumps(OFFER).encode().ljust(count)))
        return (await _started(server.url)).partition(" (")[0]


@plays(
    "protocol.transports.client.authentication_refresh._MAXIMUM_BODY",
    "protocol.transports.client.long_polling._MAXIMUM_CONFLICT_BODY",
)
async def _(limit: int, count: int) -> str:
    async with RawServer() as server, aiohttp.ClientSession() as http:
        server.replies.append(Reply(body=b"x" * count))
        async with http.get(server.url) as response:
            body = await read_all(response, limit)
    return "the body is not read" if body is None else "the body is read"


@plays("protocol.transports.client.http_client._MAXIMUM_HTTP_REDIRECTS")
async def _(limit: int, count: int) -> str:
    async with RawServer() as server:
        for _ in range(count):
            server.reply(307, ("Location", server.url))
        return (await _started(server.url)).partition(" (")[0]
