"""After a cancellation at any moment, the state is right, and no task, timer or transport is left.

Each scenario is cancelled after 0, 1, 2 … iterations of the event loop, until it ends by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from protocol import Hub, HubConnectionState, HubOptions, SignalRError, hub_method
from protocol.client.retry import retry_delays
from tests.support.client_harness import ClientHarness, be_silent, refusal
from tests.support.hub_messages import CLOSE, HANDSHAKE, PING, call
from tests.support.memory_peer import MemoryPeer
from tests.support.server_harness import MakeServer
from tests.support.task_age import age

DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTED = HubConnectionState.CONNECTED


async def cancelled_after(rounds: int, scenario: Awaitable[object]) -> bool:
    """Cancels ``scenario`` after ``rounds`` iterations. Returns whether it had ended before."""
    task = asyncio.ensure_future(scenario)
    for _ in range(rounds):
        await asyncio.sleep(0)
    over = task.done()
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
    return over


async def at_every_moment(attempt: Callable[[int], Awaitable[bool]]) -> int:
    """Calls ``attempt(0)``, ``attempt(1)`` … until one of them returns true."""
    rounds = 0
    while not await attempt(rounds):
        rounds += 1
        assert rounds < 100, "the scenario does not end"
    return rounds


def in_slices(server: MemoryPeer) -> None:
    """A handshake response that arrives late."""
    loop = asyncio.get_running_loop()
    loop.call_soon(server.send_bytes, b"{")
    loop.call_soon(lambda: loop.call_soon(server.send_bytes, b"}\x1e"))


@pytest.mark.parametrize(
    "answer", [in_slices, refusal(), lambda server: server.vanish()], ids=["yes", "no", "gone"]
)
async def test_start(harness: ClientHarness, answer: Any) -> None:
    """C-20: a start that is cancelled leaves a connection that can be started."""

    async def attempt(rounds: int) -> bool:
        connection = harness.connection()
        harness.answers.append(answer)
        over = await cancelled_after(rounds, connection.start())
        if connection.state is CONNECTED:
            assert over
            await connection.stop()
        assert connection.state is DISCONNECTED
        await harness.clock.settle()
        assert harness.clock.leftovers() == []
        assert all(end.ended for end in harness.near_ends)
        harness.answers.clear()
        await connection.start()
        assert connection.state is CONNECTED
        await connection.stop()
        return over

    assert await at_every_moment(attempt) > 1


async def test_start_in_a_timeout(harness: ClientHarness) -> None:
    """C-20: the timeout of a caller, while the handshake's own runs."""
    connection = harness.connection()
    harness.answers.append(be_silent)

    async def impatient() -> None:
        async with asyncio.timeout(2):
            await connection.start()

    starting = asyncio.create_task(impatient())
    await harness.clock.advance(2)
    with pytest.raises(TimeoutError):
        await starting
    assert connection.state is DISCONNECTED
    assert harness.clock.leftovers() == []


async def test_stop(harness: ClientHarness) -> None:
    """C-17: a stop that is cancelled still ends the connection, a little later."""

    async def attempt(rounds: int) -> bool:
        connection = await harness.started()
        closed: list[Exception | None] = []
        connection.on_closed(closed.append)
        calling = asyncio.create_task(connection.invoke("X"))
        await harness.clock.settle()
        over = await cancelled_after(rounds, connection.stop())
        await harness.clock.settle()
        if rounds == 0:  # the task has not started
            await connection.stop()
        assert connection.state is DISCONNECTED
        assert closed == [None]
        assert harness.near_ends[-1].ended == "closed"
        assert (await harness.server.take())[-1] == CLOSE
        assert isinstance(calling.exception(), SignalRError)
        assert harness.clock.leftovers() == []
        return over

    assert await at_every_moment(attempt) > 1


async def test_stop_while_reconnecting(harness: ClientHarness) -> None:
    """R-5: the same between two attempts."""

    async def attempt(rounds: int) -> bool:
        connection = await harness.started(retry_delays([5]))
        harness.server.vanish()
        await harness.clock.settle()
        over = await cancelled_after(rounds, connection.stop())
        await harness.clock.settle()
        if rounds == 0:
            await connection.stop()
        assert connection.state is DISCONNECTED
        assert harness.clock.leftovers() == []
        return over

    assert await at_every_moment(attempt) > 0


async def test_invoke(harness: ClientHarness) -> None:
    """C-8: cancelled before it was sent, nothing is; later, CancelInvocation follows, once."""
    connection = await harness.started()

    async def answer_soon() -> Any:
        return await connection.invoke("X")

    async def attempt(rounds: int) -> bool:
        scenario = asyncio.ensure_future(answer_soon())
        loop = asyncio.get_running_loop()
        number = rounds or 1  # ids count what was sent; round 0 sends nothing
        loop.call_soon(
            lambda: loop.call_soon(
                harness.server.send, {"type": 3, "invocationId": str(number), "result": 1}
            )
        )
        over = await cancelled_after(rounds, scenario)
        types = [message["type"] for message in await harness.server.take()]
        if rounds == 0 or over:
            assert types == [1] * over
        else:  # the answer may arrive in the iteration in which the call is cancelled
            assert types in ([1, 5], [1])
            assert rounds > 1 or types == [1, 5]
        assert connection.state is CONNECTED
        return over

    assert await at_every_moment(attempt) > 1


async def test_invoke_that_waits_for_room(harness: ClientHarness) -> None:
    """C-21, C-8: cancelled while it waits, nothing of it is sent."""
    connection = await harness.started()
    harness.server.transport.pause_reading()
    await connection.send("Large", "x" * 1024 * 1024)
    assert not await cancelled_after(5, connection.invoke("X"))
    harness.server.transport.resume_reading()
    assert [message["target"] for message in await harness.server.take()] == ["Large"]


async def test_a_call_that_is_answered_and_cancelled_at_once(harness: ClientHarness) -> None:
    """C-8: in the same tick; the answer is lost, nothing is sent for a call that has ended."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.server.send({"type": 3, "invocationId": "1", "result": 1})
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait({calling})
    assert {"type": 5, "invocationId": "1"} not in (await harness.server.take())[1:]
    await connection.send("Y")
    assert (await harness.server.take())[-1]["target"] == "Y"


async def test_the_loop_is_torn_down(harness: ClientHarness) -> None:
    """As at the end of ``asyncio.run``: every task is cancelled, and ends."""
    connection = await harness.started(retry_delays([1]))
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.clock.settle()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await harness.clock.settle()
    assert all(task.done() for task in tasks)
    assert calling.done()
    assert connection.state is not CONNECTED


class SlowHub(Hub):
    """A hub that waits for a moment in each method and event."""

    async def on_connected(self) -> None:
        await asyncio.sleep(0)

    async def on_disconnected(self, error: Exception | None) -> None:
        await asyncio.sleep(0)

    @hub_method
    async def work(self) -> int:
        await asyncio.sleep(0)
        return 1


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("goodbye", [CLOSE, None], ids=["close", "vanish"])
async def test_clients_that_leave_at_every_moment(
    serve: MakeServer, slots: int, goodbye: Any
) -> None:
    """L-1: whenever a client disconnects, the server removes the connection."""
    harness = serve(SlowHub, HubOptions(maximum_parallel_invocations_per_client=slots))

    async def attempt(rounds: int) -> bool:
        client = await harness.open()
        client.send(HANDSHAKE, call("Work"), call("Work", id="2"), PING, call("Work", id="3"))
        for _ in range(rounds):
            await asyncio.sleep(0)
        if goodbye is not None:
            client.send(goodbye)
        else:
            client.vanish()
        assert await client.has_ended()
        assert harness.server.context.connection_count == 0
        return rounds == 20

    await at_every_moment(attempt)


async def test_a_close_that_is_cancelled_at_every_moment(serve: MakeServer) -> None:
    """L-6: a cancelled shutdown has ended all connections; calling it again finishes it."""

    async def attempt(rounds: int) -> bool:
        harness = serve(SlowHub)
        client = await harness.connect()
        over = await cancelled_after(rounds, harness.server.close())
        await harness.server.close()
        assert (await client.take())[-1] == {"type": 7, "allowReconnect": True}
        assert await client.has_ended()
        assert harness.clock.leftovers() == []
        return over

    assert await at_every_moment(attempt) > 1


@pytest.mark.parametrize("rounds", range(12))
@pytest.mark.parametrize("last_first", [False, True])
async def test_a_server_s_loop_is_torn_down(
    serve: MakeServer, rounds: int, last_first: bool
) -> None:
    """As at the end of ``asyncio.run``, with calls running: every task ends, and calls no other."""

    class EndlessHub(SlowHub):
        @hub_method
        async def last(self) -> None:
            await asyncio.Event().wait()

    harness = serve(EndlessHub, HubOptions(maximum_parallel_invocations_per_client=2))
    client = await harness.open()
    client.send(HANDSHAKE, call("Work"), call("Last"))
    for _ in range(rounds):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in sorted(tasks, key=age, reverse=last_first):
        task.cancel()
    await harness.clock.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_requests_of_a_start(harness: ClientHarness) -> None:
    """C-1: the server sees at most a handshake request of a start that was cancelled."""

    async def attempt(rounds: int) -> bool:
        connection = harness.connection()
        harness.answers.append(in_slices)
        over = await cancelled_after(rounds, connection.start())
        harness.answers.clear()
        for server in harness.servers:
            taken = await server.take()
            assert taken in ([], [HANDSHAKE], [HANDSHAKE, PING])
        await connection.stop()
        harness.servers.clear()
        return over

    assert await at_every_moment(attempt) > 1
