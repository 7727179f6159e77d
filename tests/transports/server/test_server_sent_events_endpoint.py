"""Hubs over Server-Sent Events, over HTTP (TS_, TG)."""

import asyncio

import aiohttp
import msgspec
import pytest

from protocol import EndpointOptions, Hub, HubOptions, hub_method
from tests.support.hub_messages import call
from tests.support.waiting import until
from tests.transports.end_host import EndHost
from tests.transports.host import CLOSE_TIMEOUT, Host
from tests.transports.http_client import HttpClient, raw_request
from tests.transports.raw_web_socket import HANDSHAKE


async def test_the_stream_opens(host: Host, http: aiohttp.ClientSession) -> None:
    """TS_-2, TS_-3: headers and a comment, before the client has sent anything."""
    client = await HttpClient.negotiated(http, f"{host.url}/hub")
    async with client.listen() as stream:
        assert stream.response.status == 200
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-cache,no-store"
        assert stream.response.headers["Pragma"] == "no-cache"
        assert stream.response.headers["Content-Encoding"] == "identity"
        assert stream.response.headers["X-Accel-Buffering"] == "no"
        assert await stream.piece(b"\r\n") == b":\r\n"
        assert await client.post(HANDSHAKE) == 200
        assert await stream.piece() == b"data: {}\x1e\r\n\r\n"


async def test_calls_and_events(host: Host, http: aiohttp.ClientSession) -> None:
    """TS_-4, TS_-7: the records of one turn of the event loop are one event."""
    client = await HttpClient.negotiated(http, f"{host.url}/hub")
    async with client.listen() as stream:
        await client.post(HANDSHAKE)
        await client.send(
            call("Echo", "x"), call("Add", 1, 2, id="2"), call("TellAll", "y", id="3")
        )
        first, *answers = await stream.records(5)
        assert first == {}
        assert [answer.get("result", answer.get("arguments")) for answer in answers] == [
            "x",
            3,
            ["y"],
            None,
        ]


class RelayHub(Hub):
    @hub_method
    def pretty(self) -> msgspec.Raw:
        return msgspec.Raw(b"[\n1,\r\n2,\r3\n]")


async def test_line_ends_in_payloads(http: aiohttp.ClientSession) -> None:
    """TS_-4, TS_-5: a payload with several lines stays one event."""
    host = Host()
    host.map(hub_class=RelayHub)
    async with host.run():
        client = await HttpClient.negotiated(http, f"{host.url}/hub")
        async with client.listen() as stream:
            await client.post(HANDSHAKE)
            await stream.records(1)
            await client.send(call("Pretty"))
            assert await stream.piece() == (
                b'data: {"type":3,"invocationId":"1","result":[\r\n'
                b"data: 1,\r\ndata: 2,\r\ndata: 3\r\ndata: ]}\x1e\r\n\r\n"
            )


async def test_no_binary_protocol(host: Host, http: aiohttp.ClientSession) -> None:
    """TS_-8, H-7: the handshake is refused with an error, then the stream ends."""
    client = await HttpClient.negotiated(http, f"{host.url}/hub")
    async with client.listen() as stream:
        await client.post('{"protocol":"messagepack","version":1}\x1e')
        assert await stream.end() == (
            b':\r\ndata: {"error":"Cannot use the \'messagepack\' protocol on the current '
            b"transport. The transport does not support 'Binary' transfer format.\"}\x1e\r\n\r\n"
        )


@pytest.mark.parametrize("more", ["", "\nConnection: keep-alive"])
async def test_an_old_client(host: Host, http: aiohttp.ClientSession, more: str) -> None:
    """HTTP/1.0 has no chunks: the events are not framed, and the TCP connection ends."""
    client = await HttpClient.negotiated(http, f"{host.url}/hub")
    head = f"GET {{target}} HTTP/1.0\nAccept: text/event-stream{more}"
    async with raw_request(client.url, head) as (reader, _):
        assert (await reader.readuntil(b"\r\n\r\n:\r\n")).startswith(b"HTTP/1.0 200 OK\r\n")
        await client.post(HANDSHAKE)
        await client.send({"type": 7})
        assert await reader.read() == b'data: {}\x1e\r\n\r\ndata: {"type":7}\x1e\r\n\r\n'


async def test_the_hub_ends_it(host: Host, http: aiohttp.ClientSession) -> None:
    """TS_-6: a Close, and the end of the answer; then the token is spent."""
    client = await HttpClient.negotiated(http, f"{host.url}/hub")
    async with client.listen() as stream:
        await client.post(HANDSHAKE)
        await stream.records(1)
        await client.send(call("Abort"))
        assert await stream.records(1) == [{"type": 7}]
        assert await stream.end() == b""
        assert await client.post("x") == 404


async def test_the_client_leaves(end_host: EndHost, http: aiohttp.ClientSession) -> None:
    """TS_-6, L-4: the server notices it soon, although nothing is sent."""
    client = await HttpClient.negotiated(http, f"{end_host.url}/hub")
    async with client.listen() as stream:
        await client.post(HANDSHAKE)
        await stream.records(1)
    await until(lambda: end_host.ended)
    assert end_host.ended == [None]


async def test_the_application_ends(http: aiohttp.ClientSession) -> None:
    """L-6: a Close with allowReconnect, and the end of the stream."""
    host = Host()
    host.map()
    async with host.run():
        client = await HttpClient.negotiated(http, f"{host.url}/hub")
        stream = await client.listen().__aenter__()
        await client.post(HANDSHAKE)
        await stream.records(1)
    assert await stream.records(1) == [{"type": 7, "allowReconnect": True}]
    assert await stream.end() == b""


class FloodHub(Hub):
    ended: list[Exception | None]

    @hub_method
    async def flood(self) -> None:
        for _ in range(2000):
            await self.clients.all.send("News", "x" * 16 * 1024)

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ended.append(error)


@pytest.mark.parametrize("way", ["events", "polls"])
async def test_a_client_that_does_not_read_is_cut_off(
    http: aiohttp.ClientSession, way: str
) -> None:
    """TG-8: from ``maximum_outbound_buffer_size`` on, whatever the transport."""
    FloodHub.ended = []
    host = Host()
    host.map(
        hub_class=FloodHub,
        hub_options=HubOptions(maximum_outbound_buffer_size=256 * 1024),
        endpoint_options=EndpointOptions(close_timeout=CLOSE_TIMEOUT),
    )
    async with host.run():
        client = await HttpClient.negotiated(http, f"{host.url}/hub")
        if way == "polls":
            assert await client.poll() == (200, "")
            await client.post(HANDSHAKE)
            await client.send(call("Flood"))
            await until(lambda: FloodHub.ended)
        else:
            head = "GET {target} HTTP/1.1\nAccept: text/event-stream"
            async with raw_request(client.url, head) as (reader, _):
                await reader.readuntil(b":\r\n")
                await client.post(HANDSHAKE)
                await client.send(call("Flood"))
                await until(lambda: FloodHub.ended)
        assert [str(error) for error in FloodHub.ended] == [
            "The client does not read what is sent to it."
        ]
        assert await client.post("x") == 404


@pytest.mark.parametrize("cancels", [False, True])
async def test_too_many_connections(http: aiohttp.ClientSession, cancels: bool) -> None:
    """503, for streams and polls as for WebSockets; an end makes room, also where aiohttp cancels
    the handlers of clients that have gone."""
    host = Host()
    host.map(endpoint_options=EndpointOptions(maximum_connections=1, close_timeout=CLOSE_TIMEOUT))
    async with host.run(handler_cancellation=cancels):
        first, second, third = [
            await HttpClient.negotiated(http, f"{host.url}/hub") for _ in range(3)
        ]
        async with first.listen() as stream:
            assert stream.response.status == 200
            async with second.listen() as refused:
                assert refused.response.status == 503
            assert await third.poll() == (503, "")
        while (await third.poll())[0] == 503:
            pass  # the server has not noticed yet


async def test_two_streams_at_once(host: Host, http: aiohttp.ClientSession) -> None:
    """TG-5: one of them is refused with 409."""
    client = await HttpClient.negotiated(http, f"{host.url}/hub")
    streams = [client.listen() for _ in range(2)]
    await asyncio.gather(*(stream.__aenter__() for stream in streams))
    assert sorted(stream.response.status for stream in streams) == [200, 409]
    for stream in streams:
        stream.response.close()
