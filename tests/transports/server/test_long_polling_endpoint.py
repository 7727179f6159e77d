"""Hubs over long polling, over HTTP (TL, TG-6)."""

import asyncio
import logging

import aiohttp
import pytest

from protocol import EndpointOptions, Hub, HubOptions, hub_method
from protocol.transports.server.map_hub import _HOSTING
from tests.support.hub_messages import CLOSE_AND_RECONNECT, call, result
from tests.support.loop_time import LoopTime
from tests.support.waiting import until
from tests.transports.end_host import EndHost
from tests.transports.host import BasicHub, Host
from tests.transports.http_client import HttpClient, raw_request, request_bytes


async def test_calls(host: Host, http: aiohttp.ClientSession) -> None:
    """TL-3, TL-4, TG-6."""
    client = await HttpClient.polling(http, f"{host.url}/hub")
    assert await client.send(call("Echo", "x"), call("Add", 1, 2, id="2")) == 200
    assert await client.polled() == [result("x"), result(3, "2")]
    polling = asyncio.create_task(client.polled())
    await client.send(call("TellAll", "news"))
    got = await polling
    if len(got) == 1:
        got += await client.polled()
    assert got == [{"type": 1, "target": "News", "arguments": ["news"]}, result(None)]
    assert await client.delete() == 202


async def test_an_aborted_poll_loses_nothing(host: Host, http: aiohttp.ClientSession) -> None:
    """TL-8: bytes after a client has disconnected are for its next poll."""
    client = await HttpClient.polling(http, f"{host.url}/hub")
    head = "GET {target} HTTP/1.1"
    for number in range(3):
        async with raw_request(client.url, head) as (reader, writer):
            await client.send(call("Echo", number))
            await reader.readuntil(b"\x1e")
            writer.write(request_bytes(client.url, head))
            await client.post("")  # answered when the poll before it waits
        await client.send(call("Echo", number))
        assert await client.polled() == [result(number)]
    await client.delete()


async def test_posts_do_not_mix(host: Host, http: aiohttp.ClientSession) -> None:
    """TG-6: a second POST waits for the first, however slow that is."""
    client = await HttpClient.polling(http, f"{host.url}/hub")
    body = b'{"type":1,"invocationId":"1","target":"Echo","arguments":["first"]}\x1e'
    head = f"POST {{target}} HTTP/1.1\nContent-Length: {len(body)}"
    async with raw_request(client.url, head) as (reader, writer):
        writer.write(body[:20])
        await writer.drain()
        second = asyncio.create_task(client.send(call("Echo", "second", id="2")))
        done, _ = await asyncio.wait({second}, timeout=0.05)
        if not done:  # the first one's head was there before it
            writer.write(body[20:])
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            assert await second == 200
            got = await client.polled()
            if len(got) == 1:
                got += await client.polled()
            assert got == [result("first"), result("second", "2")]
        await client.delete()


async def test_a_large_post_that_is_cut_short(
    end_host: EndHost, http: aiohttp.ClientSession
) -> None:
    """TG-6: the hub has got a part of it, so the connection ends."""
    client = await HttpClient.polling(http, f"{end_host.url}/hub")
    head = "POST {target} HTTP/1.1\nContent-Length: 200000"
    async with raw_request(client.url, head) as (_, writer):
        ping = b'{"type":6}\x1e'
        writer.write(ping * (100_000 // len(ping)) + b'{"type":1,"target"')
        await writer.drain()
    await until(lambda: end_host.ended)
    assert str(end_host.ended[0]) == "Connection terminated while reading a message."
    assert [record["type"] for record in await client.polled()] == [7]
    assert await client.poll() == (204, "")


async def test_broken_chunks(host: Host, http: aiohttp.ClientSession) -> None:
    """TG-5: 400; none of it has reached the hub."""
    client = await HttpClient.polling(http, f"{host.url}/hub")
    head = "POST {target} HTTP/1.1\nTransfer-Encoding: chunked"
    async with raw_request(client.url, head) as (reader, writer):
        writer.write(b'8\r\n{"type":\r\nnonsense\r\n')
        assert (await reader.readline())[8:].startswith(b" 400 ")  # by aiohttp
    await client.send(call("Echo", "x"))
    assert await client.polled() == [result("x")]
    await client.delete()


async def test_a_post_ends_with_its_connection(host: Host, http: aiohttp.ClientSession) -> None:
    """TG-5: one that still waits for its own client, and the one behind it."""
    client = await HttpClient.polling(http, f"{host.url}/hub")
    head = "POST {target} HTTP/1.1\nConnection: close\nContent-Length: 500"
    async with raw_request(client.url, head) as (reader, writer):
        writer.write(b"{")
        second = asyncio.create_task(client.send(call("Echo", "second")))
        await asyncio.wait({second}, timeout=0.05)
        assert await client.delete() == 202
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        assert await second in (404, 200)  # if its head was there first
        writer.write(b"x" * 499)  # aiohttp waits for it
        await reader.read()


async def test_a_post_to_what_nobody_picks_up(http: aiohttp.ClientSession) -> None:
    """N-27: a body that is too large waits until the connection expires."""
    host = Host()
    host.map(endpoint_options=EndpointOptions(disconnect_timeout=0.05))
    async with host.run():
        client = await HttpClient.negotiated(http, f"{host.url}/hub")
        assert await client.post(b"x" * 5000) == 404


class BigHub(BasicHub):
    ended: list[Exception | None]

    @hub_method
    def big(self) -> str:
        return "x" * 20 * 1024 * 1024

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ended.append(error)


async def test_an_answer_that_nobody_reads(http: aiohttp.ClientSession) -> None:
    """TL-10: after the send timeout the connection is cut."""
    BigHub.ended = []
    host = Host()
    host.map(
        hub_class=BigHub,
        hub_options=HubOptions(maximum_outbound_buffer_size=32 * 1024 * 1024),
        endpoint_options=EndpointOptions(transport_send_timeout=0.1),
    )
    async with host.run():
        client = await HttpClient.polling(http, f"{host.url}/hub")
        await client.send(call("Big"))
        async with raw_request(client.url, "GET {target} HTTP/1.1") as _:
            await until(lambda: BigHub.ended)
            assert await client.post("x") == 404


async def test_an_answer_that_is_cut_off_comes_again(http: aiohttp.ClientSession) -> None:
    """TL-8: a client whose connection broke in the middle of an answer asks once more."""
    BigHub.ended = []
    host = Host()
    host.map(
        hub_class=BigHub,
        hub_options=HubOptions(maximum_outbound_buffer_size=32 * 1024 * 1024),
    )
    async with host.run():
        client = await HttpClient.polling(http, f"{host.url}/hub")
        await client.send(call("Big"))
        async with raw_request(client.url, "GET {target} HTTP/1.1") as (reader, writer):
            await reader.readexactly(1000)
            writer.transport.abort()
            [answer] = await client.polled()
            assert len(answer["result"]) == 20 * 1024 * 1024
            await client.delete()


def polls_that_wait(host: Host) -> int:
    connections = host.app[_HOSTING].connections.active
    polled = [it.long_polling for it in connections if it.long_polling is not None]
    return sum(transport._poll is not None for transport in polled)


async def test_the_application_ends(http: aiohttp.ClientSession) -> None:
    """L-6: a poll that waits is answered."""
    host = Host()
    host.map()
    async with host.run():
        client = await HttpClient.polling(http, f"{host.url}/hub")
        polling = asyncio.create_task(client.polled())
        await until(lambda: polls_that_wait(host) == 1)
    assert await polling == [CLOSE_AND_RECONNECT]


async def test_the_application_ends_between_two_polls(http: aiohttp.ClientSession) -> None:
    """L-6: the end does not wait for a poll that cannot come."""
    host = Host()
    host.map(endpoint_options=EndpointOptions())
    async with host.run():
        await HttpClient.polling(http, f"{host.url}/hub")


class FailingHub(Hub):
    async def on_disconnected(self, error: Exception | None) -> None:
        raise LookupError("lost")


async def test_on_disconnected_fails(http: aiohttp.ClientSession) -> None:
    """TW-6: 500 at the end, behind the hub's Close, which is not lost."""
    host = Host()
    host.map(hub_class=FailingHub)
    async with host.run():
        client = await HttpClient.polling(http, f"{host.url}/hub")
        await client.send({"type": 7})
        assert await client.polled() == [{"type": 7}]
        assert await client.poll() == (500, "")
        assert (await client.poll())[0] == 404


async def test_nothing_secret_is_logged(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """N-13: neither tokens nor query strings nor payloads, at any level."""
    host = Host()
    host.map(endpoint_options=EndpointOptions(transport_send_timeout=0.1))
    async with host.run():
        with caplog.at_level(logging.DEBUG, "protocol"):
            client = await HttpClient.polling(http, f"{host.url}/hub", "&access_token=s3cret")
            await client.send(call("Add", "payload"), {"type": 1, "payload": 1})
            await client.polled()
            await client.delete()
    for secret in (client.token.partition("&")[0], "s3cret", "payload"):
        assert secret not in caplog.text


async def test_disconnect_timeout(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TG-10: the connection of a client that does not poll ends, with its messages."""
    BigHub.ended = []
    host = Host()
    host.map(hub_class=BigHub)
    time = LoopTime(monkeypatch)
    async with host.run():
        client = await HttpClient.polling(http, f"{host.url}/hub")
        time.skip(EndpointOptions().disconnect_timeout + 1)
        await until(lambda: BigHub.ended)
        assert BigHub.ended == [None]
        answer = await client.poll()
        if answer == (204, ""):  # OnDisconnected runs a moment before the transport ends
            answer = await client.poll()
        assert answer == (404, "No Connection with that ID")


class StubbornHub(Hub):
    gate: asyncio.Event

    async def on_disconnected(self, error: Exception | None) -> None:
        await self.gate.wait()


async def test_while_on_disconnected_runs(http: aiohttp.ClientSession) -> None:
    """TG-6, TL-9: after DELETE, POSTs and polls are refused; a second DELETE is not."""
    StubbornHub.gate = asyncio.Event()
    host = Host()
    host.map(hub_class=StubbornHub)
    async with host.run():
        client = await HttpClient.polling(http, f"{host.url}/hub")
        assert await client.delete() == 202
        assert (await client.post("x"), await client.poll()) == (404, (404, ""))
        assert await client.delete() == 202
        StubbornHub.gate.set()
        while await client.delete() == 202:
            pass
        assert await client.delete() == 404
