"""GW-51: messages that wait for a client that reads slowly, and which of them it misses."""

from __future__ import annotations

import logging
import tracemalloc

import pytest

from protocol import DefaultHubLifetimeManager, Hub, HubOptions, hub_method
from protocol.aio.transport import TransportLimits
from protocol.relaying import MessageQueue, QueuePolicy
from tests.support.hub_messages import call, result
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness

KIB = 1024
OLDEST = MessageQueue("prices", QueuePolicy.DROP_OLDEST)
LATEST = MessageQueue("state", QueuePolicy.LATEST)
CLOSE = MessageQueue("news", QueuePolicy.CLOSE)


class EchoHub(Hub):
    @hub_method
    def echo(self, value: int) -> int:
        return value


class Sender:
    """A hub whose clients have 4 KiB in the transport, and 20 KiB in all."""

    def __init__(self, serve: MakeServer) -> None:
        self.lifetime = DefaultHubLifetimeManager()
        self.harness: ServerHarness = serve(
            EchoHub,
            HubOptions(maximum_outbound_buffer_size=20 * KIB),
            lifetime=self.lifetime,
            limits=TransportLimits(transport_max_buffer_size=4 * KIB),
        )

    async def send(self, numbers: range, queue: MessageQueue, size: int = KIB) -> None:
        for number in numbers:
            await self.lifetime.send_queued("News", [queue.source, number, "x" * size], queue)

    async def slow_client(self) -> MemoryClient:
        client = await self.harness.connect()
        client.transport.pause_reading()
        return client


async def read(client: MemoryClient) -> list[tuple[str, int]]:
    """Reads all messages, and returns the source and number of each."""
    client.transport.resume_reading()
    return [(each["arguments"][0], each["arguments"][1]) for each in await client.take()]


async def test_drop_oldest(serve: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """GW-51: what is in the transport arrives, and the newest of the others, in order."""
    sender = Sender(serve)
    slow, quick = await sender.slow_client(), await sender.harness.connect()
    with caplog.at_level(logging.INFO):
        for number in range(100):
            await sender.send(range(number, number + 1), OLDEST)
            await sender.harness.clock.settle()
        got = [number for _, number in await read(slow)]
    assert got[:4] == [0, 1, 2, 3]
    gap = next(at for at in range(1, len(got)) if got[at] != got[at - 1] + 1)
    assert got[gap:] == list(range(100 - len(got[gap:]), 100))
    assert len(got[gap:]) > 8
    assert [number for _, number in await read(quick)] == list(range(100))
    first, last = [each.getMessage() for each in caplog.records if "miss" in each.getMessage()]
    assert "Connection c1 misses messages" in first
    assert last == f"Connection c1 reads again; it has missed {100 - len(got)} messages."
    await sender.send(range(100, 101), OLDEST)
    assert await read(slow) == [("prices", 100)]


async def test_latest(serve: MakeServer) -> None:
    """GW-51: one event of the source waits; those of another source stay, in order."""
    sender = Sender(serve)
    slow = await sender.slow_client()
    await sender.send(range(5), CLOSE)
    await sender.send(range(50), LATEST)
    await sender.send(range(5, 7), OLDEST)
    await sender.send(range(50, 100), LATEST)
    assert await read(slow) == [
        *(("news", number) for number in range(5)),
        ("prices", 5),
        ("prices", 6),
        ("state", 99),
    ]


async def test_a_source_drops_only_its_own(serve: MakeServer) -> None:
    """GW-51: a message with no room is dropped if nothing of its source waits."""
    sender = Sender(serve)
    slow = await sender.slow_client()
    await sender.send(range(5), CLOSE)
    await sender.send(range(11), OLDEST)
    await sender.send(range(1), LATEST, size=10 * KIB)
    got = await read(slow)
    assert got == [("news", n) for n in range(5)] + [("prices", n) for n in range(11)]


async def test_a_message_that_closes_keeps_the_order(serve: MakeServer) -> None:
    """GW-51: it waits behind the others, and disconnects the client when there is no room."""
    sender = Sender(serve)
    slow = await sender.slow_client()
    await sender.send(range(7), OLDEST)
    await sender.harness.server.context.clients.all.send("News", "all", 7)
    assert await read(slow) == [*(("prices", n) for n in range(7)), ("all", 7)]
    slow.transport.pause_reading()
    await sender.send(range(7), OLDEST)
    await sender.send(range(30), CLOSE)
    assert await slow.has_ended()
    assert slow.transport.peer.ended == "aborted"


async def test_answers_are_not_dropped(serve: MakeServer) -> None:
    """GW-51: an answer does not wait behind events."""
    sender = Sender(serve)
    slow = await sender.slow_client()
    await sender.send(range(100), OLDEST)
    slow.send(call("Echo", 1))
    await sender.harness.clock.settle()
    slow.transport.resume_reading()
    assert result(1) in await slow.take()


async def test_memory_stays_flat(serve: MakeServer) -> None:
    """GW-51: small messages are bounded as well, and the end of the client frees them."""
    sender = Sender(serve)
    slow = await sender.slow_client()
    await sender.send(range(1000), OLDEST, size=1)
    tracemalloc.start()
    try:
        await sender.send(range(1000, 20_000), OLDEST, size=1)
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 100 * KIB
    await slow.transport.close()
    assert await slow.has_ended()
    await sender.send(range(1), OLDEST)
