"""The queue of events of a client's connections: its limits, and its order."""

import asyncio

from protocol import HubConnectionState
from protocol.client.retry import retry_delays
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import event

KIB = 1024
MIB = 1024 * KIB
RESULT = {"type": 3, "invocationId": "1", "result": "answer"}


async def test_events_of_a_lost_connection_count(harness: ClientHarness) -> None:
    """C-21: one limit for the events of all connections together."""
    connection = await harness.started(retry_delays([0]))
    gate = asyncio.Event()
    heard: list[int] = []

    @connection.on("News")
    async def news(number: int, _: str) -> None:
        await gate.wait()
        heard.append(number)

    for number in (1, 2):
        for _ in range(12):
            harness.server.send(event("News", number, "x" * 64 * KIB))
            await harness.clock.settle()
        if number == 1:
            harness.server.vanish()
            await harness.clock.advance(1)
    assert [near.unread > 256 * KIB for near in harness.near_ends] == [False, True]
    gate.set()
    await harness.clock.settle()
    assert heard == [1] * 12 + [2] * 12


async def test_events_of_a_connection_that_is_started_beside_a_stop(
    harness: ClientHarness,
) -> None:
    """C-17, C-20: a stop drops only the events of the old connection."""
    connection = await harness.started()
    heard: list[int] = []

    @connection.on("Slow")
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(3)

    connection.on("News", heard.append)
    harness.server.send(event("Slow"), event("News", 1))
    await harness.clock.settle()
    stopping = asyncio.create_task(connection.stop())
    await asyncio.sleep(0)
    assert connection.state is HubConnectionState.DISCONNECTED
    await connection.start()
    harness.server.send(event("News", 2))
    await harness.clock.advance(10)
    await stopping
    harness.server.send(event("News", 3))
    await harness.clock.settle()
    assert heard == [2, 3]


async def test_a_caller_that_waits_for_room_has_events_read(harness: ClientHarness) -> None:
    """C-21: a server that is blocked in a write may not read: both would wait for each other."""
    connection = await harness.started()
    gate = asyncio.Event()
    connection.on("News", lambda _: gate.wait())
    for _ in range(40):
        harness.server.send(event("News", "x" * 64 * KIB))
        await harness.clock.settle()
    near = harness.near_ends[0]
    assert near.unread > MIB
    harness.server.transport.pause_reading()
    await connection.send("Large", "x" * MIB)
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.clock.settle()
    assert near.unread == 0
    harness.server.transport.resume_reading()
    assert (await harness.server.take())[-1]["target"] == "X"
    harness.server.send(RESULT)
    await harness.clock.settle()
    assert await calling == "answer"
    gate.set()


async def test_plain_handlers_leave_the_loop_its_turns(harness: ClientHarness) -> None:
    """However many events have arrived at once."""
    connection = await harness.started()
    heard: list[int] = []
    connection.on("News", heard.append)
    harness.server.send(*(event("News", number) for number in range(1000)))
    most = 0
    for _ in range(1000):
        before = len(heard)
        await asyncio.sleep(0)
        most = max(most, len(heard) - before)
    assert heard == list(range(1000))
    assert most <= 128


async def test_messages_leave_the_loop_its_turns(harness: ClientHarness) -> None:
    """A server's burst of answers is also handled in several turns."""
    connection = await harness.started()
    calls = [asyncio.create_task(connection.invoke("X")) for _ in range(2000)]
    await harness.server.take()
    harness.server.send(
        *({"type": 3, "invocationId": str(number + 1), "result": 1} for number in range(2000))
    )
    turns = 0
    while not all(call.done() for call in calls):
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 4
