"""A client without WebSockets, controlled by the test: POSTs, polls, an event stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.hub_messages import RECORD_SEPARATOR, joined

from .negotiation import negotiate
from .raw_web_socket import HANDSHAKE


def records(text: str) -> list[Any]:
    *complete, rest = text.split(RECORD_SEPARATOR)
    assert rest == "", "a record was cut"
    return [json.loads(record) for record in complete]


class HttpClient:
    """One negotiated connection at ``url``."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self.token = token
        self.url = f"{url}?id={token}"
        self._http = http

    @classmethod
    async def negotiated(
        cls, http: aiohttp.ClientSession, url: str, query: str = ""
    ) -> "HttpClient":
        body = await negotiate(http, f"{url}/negotiate?negotiateVersion=1")
        return cls(http, url, body["connectionToken"] + query)

    @classmethod
    async def polling(cls, http: aiohttp.ClientSession, url: str, query: str = "") -> "HttpClient":
        """A connection by long polling that has completed its handshake."""
        client = await cls.negotiated(http, url, query)
        assert await client.poll() == (200, "")
        await client.post(HANDSHAKE)
        assert await client.poll() == (200, "{}" + RECORD_SEPARATOR)
        return client

    async def poll(self) -> tuple[int, str]:
        async with self._http.get(self.url) as response:
            return response.status, await response.text()

    async def polled(self) -> list[Any]:
        status, text = await self.poll()
        assert status == 200
        return records(text)

    async def post(self, data: Any) -> int:
        async with self._http.post(self.url, data=data) as response:
            return response.status

    async def send(self, *sent: Any) -> int:
        return await self.post(joined(*sent))

    async def delete(self) -> int:
        async with self._http.delete(self.url) as response:
            return response.status

    def listen(self) -> "EventStream":
        """``async with``: asks for the event stream."""
        return EventStream(
            self._http.get(self.url, headers={"Accept": "text/event-stream"}, timeout=NO_TIMEOUT)
        )


NO_TIMEOUT = aiohttp.ClientTimeout(total=None)


class EventStream:
    """The bytes of an endless response."""

    def __init__(self, request: Any) -> None:
        self._request = request

    async def __aenter__(self) -> "EventStream":
        self.response: aiohttp.ClientResponse = await self._request.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        self.response.close()

    async def piece(self, end: bytes = b"\r\n\r\n") -> bytes:
        """Reads up to the next ``end``."""
        return await self.response.content.readuntil(end)

    async def records(self, count: int) -> list[Any]:
        """Reads records from events, each of which contains whole records."""
        found: list[Any] = []
        while len(found) < count:
            event = (await self.piece()).removesuffix(b"\r\n\r\n").removeprefix(b":\r\n")
            assert event.startswith(b"data: ")
            found += records(event.removeprefix(b"data: ").decode())
        return found

    async def end(self) -> bytes:
        return await self.response.content.read()


def request_bytes(url: str, head: str) -> bytes:
    """A request of these lines, in which ``{target}`` is that of ``url``."""
    address, _, target = url.removeprefix("http://").partition("/")
    lines = head.format(target="/" + target).splitlines()
    return "\r\n".join([*lines, f"Host: {address}", "", ""]).encode()


@asynccontextmanager
async def raw_request(
    url: str, head: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Sends ``request_bytes``; the socket is the test's."""
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request_bytes(url, head))
        yield reader, writer
    finally:
        writer.transport.abort()
