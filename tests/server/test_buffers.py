"""Bounded memory: clients that read slowly are disconnected, fast writers wait (TG-8, TG-9)."""

import asyncio
import json
import logging
import tracemalloc
from typing import Any

import pytest

from protocol import Hub, HubOptions, SlowClientPolicy, hub_method
from protocol.aio.transport import TransportLimits
from tests.support.hub_messages import call, event, result
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness

KIB = 1024


class FloodHub(Hub):
    ended: list[Exception | None]
    release: asyncio.Event
    served: list[str]

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ended.append(error)

    @hub_method
    async def hold(self) -> None:
        await self.release.wait()

    @hub_method
    def keep(self, text: str) -> int:
        self.served.append(text)
        return len(self.served)

    @hub_method
    def large(self, size: int) -> str:
        self.served.append(str(size))
        return "x" * size

    @hub_method
    async def tell_caller(self, size: int) -> str:
        await self.clients.caller.send("News", "x" * size)
        self.served.append("told")
        return "told"


class Flood:
    def __init__(
        self, serve: MakeServer, limits: TransportLimits | None = None, **options: Any
    ) -> None:
        self.ended: list[Exception | None] = []
        self.served: list[str] = []
        self.release = asyncio.Event()
        self.harness: ServerHarness = serve(
            FloodHub, HubOptions(**options), hub_factory=self._make, limits=limits
        )
        self.clients = self.harness.server.context.clients

    def _make(self) -> FloodHub:
        hub = FloodHub()
        hub.ended, hub.release, hub.served = self.ended, self.release, self.served
        return hub

    async def connect_slow(self) -> MemoryClient:
        client = await self.harness.connect()
        client.transport.pause_reading()
        return client


async def test_a_client_that_does_not_read_is_cut_off(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """TG-9: its buffer never exceeds the maximum; the others get every message."""
    flood = Flood(serve, maximum_outbound_buffer_size=64 * KIB)
    slow, quick = await flood.connect_slow(), await flood.harness.connect()
    most = 0
    with caplog.at_level(logging.WARNING):
        for number in range(200):
            await flood.clients.all.send("News", number, "x" * KIB)
            most = max(most, slow.transport.peer.buffered)
            await flood.harness.clock.settle()
    assert 60 * KIB < most <= 66 * KIB
    assert slow.transport.peer.buffered == 0
    assert slow.transport.peer.ended == "aborted"
    assert await slow.has_ended()
    assert len(await quick.take()) == 200
    assert [(type(error).__name__, str(error)) for error in flood.ended] == [
        ("SlowClientError", "The client does not read what is sent to it.")
    ]
    (record,) = caplog.records
    assert "Connection c1 is cut off" in record.getMessage()
    assert "xxx" not in record.getMessage()


async def test_a_small_bound_is_enforced(serve: MakeServer) -> None:
    """TG-9: also if the maximum is below the high-water mark."""
    flood = Flood(serve, maximum_outbound_buffer_size=4 * KIB)
    slow = await flood.connect_slow()
    most = 0
    for number in range(10):
        await flood.clients.all.send("News", number, "x" * KIB)
        most = max(most, slow.transport.peer.buffered)
        await flood.harness.clock.settle()
    assert most <= 6 * KIB
    assert slow.transport.peer.ended == "aborted"


async def test_a_client_may_miss_what_goes_to_many(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """GW-24: with DROP it stays, and gets the messages that had room, in order."""
    flood = Flood(
        serve, maximum_outbound_buffer_size=100 * KIB, slow_client_policy=SlowClientPolicy.DROP
    )
    slow, quick = await flood.connect_slow(), await flood.harness.connect()
    with caplog.at_level(logging.INFO):
        for number in range(200):
            await flood.clients.all.send("News", number, "x" * KIB)
            await flood.harness.clock.settle()
            assert slow.transport.peer.buffered <= 100 * KIB
        slow.transport.resume_reading()
        got = [message["arguments"][0] for message in await slow.take()]
        for number in range(200, 203):
            await flood.clients.all.send("News", number, "x" * KIB)
            await flood.harness.clock.settle()
    got += [message["arguments"][0] for message in await slow.take()]
    had_room = len(got) - 3
    assert 90 < had_room < 100
    assert got == [*range(had_room), 200, 201, 202]
    assert len(await quick.take()) == 203
    assert flood.ended == []
    assert [record.getMessage() for record in caplog.records][1:] == [
        f"Connection c1 reads again; it has missed {200 - had_room} messages."
    ]


async def test_what_is_for_one_client_is_not_missed(serve: MakeServer) -> None:
    """GW-24: an answer that has no room ends the connection, whatever the policy."""
    flood = Flood(
        serve, maximum_outbound_buffer_size=64 * KIB, slow_client_policy=SlowClientPolicy.DROP
    )
    slow = await flood.connect_slow()
    for _ in range(100):
        await flood.clients.all.send("News", "x" * KIB)
    slow.send(call("Large", 50 * KIB, id="1"))
    assert await slow.has_ended()


async def test_a_client_that_reads_late_is_not(serve: MakeServer) -> None:
    """TG-9: up to the maximum all messages wait, and arrive in order."""
    flood = Flood(serve, maximum_outbound_buffer_size=64 * KIB)
    slow = await flood.connect_slow()
    for number in range(50):
        await flood.clients.all.send("News", number, "x" * KIB)
    await flood.harness.clock.advance(5)
    slow.transport.resume_reading()
    assert [message["arguments"][0] for message in await slow.take()] == list(range(50))


async def test_one_message_above_the_bound(serve: MakeServer) -> None:
    """TG-9: it may enter an empty buffer, because it could never be sent otherwise."""
    flood = Flood(serve, maximum_outbound_buffer_size=64 * KIB)
    client = await flood.harness.connect()
    await flood.clients.all.send("News", "x" * 100 * KIB)
    assert await client.take() == [event("News", "x" * 100 * KIB)]
    slow = await flood.connect_slow()
    await flood.clients.client(slow.connection_id).send("News", "small")
    sending = asyncio.create_task(
        flood.clients.client(slow.connection_id).send("News", "x" * 100 * KIB)
    )
    assert await slow.has_ended()
    await sending


async def test_who_reads_no_answers_gets_no_more_calls(serve: MakeServer) -> None:
    """TG-8: calls wait while their answers do; nothing is lost when the client reads again."""
    flood = Flood(serve)
    slow = await flood.connect_slow()
    slow.send(*(call("Large", 50 * KIB, id=str(number)) for number in range(20)))
    await flood.harness.clock.settle()
    assert len(flood.served) == 2
    assert slow.transport.peer.buffered < 110 * KIB
    for _ in range(20):
        slow.transport.resume_reading()
        slow.transport.pause_reading()
        await flood.harness.clock.settle()
    slow.transport.resume_reading()
    assert [answer["invocationId"] for answer in await slow.take()] == list(map(str, range(20)))


@pytest.mark.parametrize("wants_answers", [True, False])
async def test_who_reads_again_gets_the_whole_burst(serve: MakeServer, wants_answers: bool) -> None:
    """TG-8: since the last write the client has read; its calls do not wait for the next one."""
    flood = Flood(serve)
    slow = await flood.connect_slow()
    await flood.clients.all.send("News", "x" * 100 * KIB)
    slow.transport.resume_reading()
    assert len(await slow.take()) == 1
    ids = [str(number) if wants_answers else None for number in range(3)]
    answers = await slow.ask(*(call("Keep", "", id=id) for id in ids))
    assert answers == [result(n + 1, id=id) for n, id in enumerate(ids) if id is not None]
    assert len(flood.served) == 3


async def test_a_send_to_one_client_waits(serve: MakeServer) -> None:
    """TG-8: a method that sends much to its caller is as slow as the caller reads."""
    flood = Flood(serve)
    slow = await flood.connect_slow()
    slow.send(call("TellCaller", 100 * KIB))
    await flood.harness.clock.advance(5)
    assert flood.served == []
    slow.transport.resume_reading()
    assert await slow.take() == [event("News", "x" * 100 * KIB), result("told")]
    assert flood.served == ["told"]


async def test_but_not_for_ever(serve: MakeServer) -> None:
    """TG-9: after the send timeout the client is cut off, and the method goes on."""
    flood = Flood(serve, TransportLimits(transport_send_timeout=10))
    slow = await flood.connect_slow()
    slow.send(call("TellCaller", 100 * KIB))
    await flood.harness.clock.advance(9)
    assert not await slow.has_ended()
    await flood.harness.clock.advance(1)
    assert await slow.has_ended()
    assert slow.transport.peer.ended == "aborted"
    assert [str(error) for error in flood.ended] == ["The client took too long to read."]


async def test_a_broadcast_waits_for_nobody(serve: MakeServer) -> None:
    """TG-9: neither for one slow client among many, nor with one client alone."""
    flood = Flood(serve)
    slow = await flood.connect_slow()
    await flood.clients.all.send("News", "x" * 100 * KIB)
    await flood.clients.all.send("News", "x" * 100 * KIB)
    assert slow.transport.peer.buffered > 200 * KIB


async def test_inbox(serve: MakeServer) -> None:
    """TG-8: while a call hangs, reading pauses at the limit; the rest stays in the socket."""
    flood = Flood(serve, TransportLimits(application_max_buffer_size=64 * KIB))
    client = await flood.harness.connect()
    client.send(event("Hold"))
    piece = KIB
    for number in range(200):
        client.send(call("Keep", "x" * piece, id=str(number)))
        await flood.harness.clock.settle()
    await flood.harness.clock.advance(3)
    read = 200 * piece - client.transport.peer.unread
    assert 40 * KIB < read < 80 * KIB
    flood.release.set()
    answers = await client.take()
    assert [answer["result"] for answer in answers] == list(range(1, 201))
    assert client.transport.peer.unread == 0


async def test_inbox_of_one_piece(serve: MakeServer) -> None:
    """TG-8: messages that arrived with a call that hangs count towards the limit."""
    flood = Flood(serve, TransportLimits(application_max_buffer_size=64 * KIB))
    client = await flood.harness.connect()
    client.send(event("Hold"), *(event("Keep", "x" * KIB) for _ in range(60)))
    await flood.harness.clock.settle()
    for _ in range(100):
        client.send(event("Keep", "x" * KIB))
        await flood.harness.clock.settle()
    assert client.transport.peer.unread > 90 * KIB
    flood.release.set()
    await flood.harness.clock.settle()
    assert len(flood.served) == 160
    assert client.transport.peer.unread == 0


@pytest.mark.parametrize(("calls_behind", "copies"), [(0, 1), (1, 2)])
async def test_a_large_message_is_let_go(serve: MakeServer, calls_behind: int, copies: int) -> None:
    """TG-8: while its method waits its argument is there, and its record when more is behind it."""
    release = asyncio.Event()

    class LargeHub(Hub):
        @hub_method
        async def hold(self, text: str) -> int:
            await release.wait()
            return len(text)

    size = 4 * KIB * KIB
    client = await serve(LargeHub, HubOptions(maximum_receive_message_size=None)).connect()
    records = [call("Hold", "x" * size), *[call("Hold", "", id="2")] * calls_behind]
    data = "".join(json.dumps(record) + "\x1e" for record in records).encode()
    tracemalloc.start()
    try:
        client.send_bytes(data)
        assert await client.take() == []
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    release.set()
    assert await client.take() == [result(size), *[result(0, id="2")] * calls_behind]
    assert held < (copies + 0.5) * size


async def test_inbox_during_on_connected(serve: MakeServer) -> None:
    """L-2, TG-8: what a client sends before OnConnected is done is bounded as well."""
    release = asyncio.Event()

    class SlowHub(Hub):
        async def on_connected(self) -> None:
            await release.wait()

        @hub_method
        def keep(self, text: str) -> int:
            return len(text)

    harness = serve(SlowHub, limits=TransportLimits(application_max_buffer_size=8 * KIB))
    client = await harness.connect()
    for number in range(50):
        client.send(call("Keep", "x" * KIB, id=str(number)))
        await harness.clock.settle()
    assert client.transport.peer.unread > 38 * KIB
    release.set()
    assert len(await client.take()) == 50


async def test_shutdown_reaches_a_reader_that_waits_for_room(serve: MakeServer) -> None:
    """L-6, TG-8: a full inbox does not delay the end."""
    flood = Flood(serve, TransportLimits(application_max_buffer_size=KIB))
    client = await flood.harness.connect()
    client.send(event("Hold"), *(call("Keep", "x" * KIB) for _ in range(5)))
    await flood.harness.clock.settle()
    closing = asyncio.create_task(flood.harness.server.close())
    assert await client.take() == [{"type": 7, "allowReconnect": True}]
    assert await client.has_ended()
    flood.release.set()
    await closing
    assert flood.served == []


@pytest.mark.parametrize("leaves", [True, False])
async def test_the_end_of_a_full_inbox(serve: MakeServer, leaves: bool) -> None:
    """TG-8, L-1: all that came before the end is served, in order."""
    flood = Flood(serve, TransportLimits(application_max_buffer_size=KIB))
    client = await flood.harness.connect()
    client.send(event("Hold"))
    for number in range(5):
        client.send(call("Keep", str(number) + "x" * KIB))
    if leaves:
        await client.transport.close()
    await flood.harness.clock.settle()
    flood.release.set()
    await flood.harness.clock.settle()
    assert [text[0] for text in flood.served] == list("01234")
    assert await client.has_ended() == leaves


async def test_a_client_that_vanishes_behind_a_full_inbox(serve: MakeServer) -> None:
    """TG-8, L-1: while reading pauses, only the next Ping notices it."""
    ended: list[Exception | None] = []

    class LastingHub(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            ended.append(error)

        @hub_method
        async def last(self, _: str) -> None:
            await self.context.connection_aborted.wait()

    harness = serve(LastingHub, limits=TransportLimits(application_max_buffer_size=KIB))
    client = await harness.connect()
    for _ in range(5):
        client.send(call("Last", "x" * KIB))
    await harness.clock.settle()
    client.vanish()
    await harness.clock.advance(15)
    assert await client.has_ended()
    assert ended == [None]
