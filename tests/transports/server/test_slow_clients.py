"""Clients that begin a message or a body and do not complete it (TW-15, TG-14)."""

import asyncio
from urllib.parse import urlsplit

import aiohttp
import pytest

from protocol import TransportViolationError
from tests.support.hub_messages import call
from tests.support.loop_time import LoopTime
from tests.transports.end_host import EndHost
from tests.transports.http_client import HttpClient
from tests.transports.raw_web_socket import BINARY, HANDSHAKE, RawWebSocket, encode


async def test_an_unfinished_message(
    end_host: EndHost, client: RawWebSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TW-15."""
    time = LoopTime(monkeypatch)
    client.writer.write(encode(BINARY, b"x" * 1000, masked=True)[:-1])
    closing = asyncio.create_task(client.closing())
    await time.pass_until_done(closing)
    assert closing.result().code == 1008
    await client.close()
    assert isinstance(await end_host.has_ended(), TransportViolationError)


async def test_an_unfinished_post(
    end_host: EndHost, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TG-14: nothing of it reaches the hub, and the client's connection stays usable."""
    client = await HttpClient.negotiated(http, f"{end_host.url}/hub")
    async with client.listen() as stream:
        await client.post(HANDSHAKE)
        await stream.records(1)
        time = LoopTime(monkeypatch)
        address = urlsplit(client.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        target = f"{address.path}?{address.query}"
        writer.write(f"POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx".encode())
        answer = asyncio.create_task(reader.read())
        await time.pass_until_done(answer)
        assert answer.result().startswith(b"HTTP/1.1 408 ")
        writer.close()
        await client.send(call("Add", 1, 2))
        while (record := (await stream.records(1))[0]) == {"type": 6}:
            pass
        assert record["result"] == 3
