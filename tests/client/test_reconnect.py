"""Automatic reconnect: delays, attempts, callbacks, and how it is stopped (section R)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HubConnection,
    HubConnectionState,
    NotConnectedError,
    RetryContext,
    RetryPolicy,
)
from protocol.client.retry import DEFAULT_RETRY_DELAYS, retry_delays
from tests.support.client_harness import ClientHarness, be_silent, refusal
from tests.support.hub_messages import CLOSE, HANDSHAKE, PING
from tests.support.memory_peer import MemoryPeer

DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTED = HubConnectionState.CONNECTED
RECONNECTING = HubConnectionState.RECONNECTING


class Journal:
    """Records callbacks in order, each with its state and argument."""

    def __init__(self, connection: HubConnection) -> None:
        self.entries: list[tuple[str, HubConnectionState, str]] = []
        self.connection = connection
        connection.on_closed(self._note("closed"))
        connection.on_reconnecting(self._note("reconnecting"))
        connection.on_reconnected(self._note("reconnected"))

    def _note(self, name: str) -> Callable[[Any], None]:
        return lambda argument: self.entries.append((name, self.connection.state, str(argument)))


LOST = "The server ended the connection."
TO_BEGIN = ("reconnecting", RECONNECTING, LOST)


async def lose(harness: ClientHarness) -> None:
    harness.server.vanish()
    await harness.clock.settle()


def exhausted(count: int, elapsed: float) -> str:
    return (
        f"Reconnect retries have been exhausted after {count} failed attempts and "
        f"{elapsed:.1f} s elapsed. Disconnecting."
    )


async def test_reconnect(harness: ClientHarness) -> None:
    """R-3, R-4: a new connection with a new id, a whole start; handlers stay, calls are lost."""
    connection = await harness.started(retry_delays([1]))
    journal = Journal(connection)
    heard: list[int] = []
    connection.on("News", heard.append)
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    await lose(harness)
    assert (connection.state, connection.connection_id) == (RECONNECTING, None)
    with pytest.raises(ConnectionClosed):
        await calling
    await harness.clock.advance(1)
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")
    assert await harness.server.take() == [HANDSHAKE, PING]
    harness.server.send({"type": 1, "target": "News", "arguments": [1]})
    calling = asyncio.create_task(connection.invoke("X"))
    assert (await harness.server.take())[-1]["invocationId"] == "1"  # ids begin again (C-6)
    harness.server.send({"type": 3, "invocationId": "1", "result": 5})
    assert await calling == 5
    assert heard == [1]
    assert journal.entries == [TO_BEGIN, ("reconnected", CONNECTED, "id-2")]


async def test_default_delays(harness: ClientHarness) -> None:
    """R-1, R-5: 0, 2, 10, 30 s, then the end with the number of attempts."""
    connection = await harness.started(retry_delays(DEFAULT_RETRY_DELAYS))
    journal = Journal(connection)
    harness.answers.extend(refusal(f"no {number}") for number in range(4))
    lost_at = harness.clock.time()
    await lose(harness)
    await harness.clock.advance(60)
    assert [at - lost_at for at in harness.attempts[1:]] == [0, 2, 12, 42]
    assert journal.entries == [TO_BEGIN, ("closed", DISCONNECTED, exhausted(4, 42.0))]
    assert connection.state is DISCONNECTED
    assert harness.clock.leftovers() == []


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_success_in_the_end(harness: ClientHarness, failures: int) -> None:
    """R-4, R-5: failed attempts call no callback."""
    connection = await harness.started(retry_delays([1, 1, 1, 1]))
    journal = Journal(connection)
    harness.answers.extend(refusal() for _ in range(failures))
    await lose(harness)
    await harness.clock.advance(10)
    assert len(harness.attempts) == 1 + failures + 1
    assert journal.entries == [TO_BEGIN, ("reconnected", CONNECTED, "id-2")]


async def test_counting_begins_anew(harness: ClientHarness) -> None:
    """R-1: after each loss the policy starts again."""
    connection = await harness.started(retry_delays([5]))
    for number in range(2, 5):
        await lose(harness)
        assert connection.state is RECONNECTING
        await harness.clock.advance(5)
        assert connection.connection_id == f"id-{number}"


async def test_policy(harness: ClientHarness) -> None:
    """R-1: it gets the number of failed attempts, the time and the reason; its delays are used."""
    asked: list[tuple[int, float, str]] = []

    def policy(context: RetryContext) -> float | None:
        asked.append((context.previous_retry_count, context.elapsed, str(context.retry_reason)))
        return [3.0, 0.5, None][context.previous_retry_count]

    connection = await harness.started(policy)
    journal = Journal(connection)
    harness.answers.extend([refusal("one"), refusal("two")])
    await lose(harness)
    await harness.clock.advance(10)
    assert asked == [(0, 0.0, LOST), (1, 3.0, "one"), (2, 3.5, "two")]
    assert journal.entries[-1] == ("closed", DISCONNECTED, exhausted(2, 3.5))


async def test_a_policy_that_asks_for_the_state(harness: ClientHarness) -> None:
    """R-6: it is asked once, and no call is possible at that time."""
    states: list[HubConnectionState] = []

    def policy(_: RetryContext) -> float | None:
        states.append(connection.state)
        return None if len(states) > 1 else 1.0

    connection = await harness.started(policy)
    await lose(harness)
    assert connection.state is RECONNECTING
    await harness.clock.advance(1)
    await lose(harness)
    assert connection.state is DISCONNECTED
    assert states == [RECONNECTING, RECONNECTING]


async def test_a_policy_that_refuses_at_once(harness: ClientHarness) -> None:
    """R-5: only on_closed is called, with the reason of the loss; never Reconnecting."""
    connection = await harness.started(lambda _: None)
    journal = Journal(connection)
    await lose(harness)
    assert journal.entries == [("closed", DISCONNECTED, LOST)]


async def test_without_a_policy(harness: ClientHarness) -> None:
    """R-1: off unless configured."""
    connection = await harness.started()
    journal = Journal(connection)
    await lose(harness)
    await harness.clock.advance(100)
    assert journal.entries == [("closed", DISCONNECTED, LOST)]
    assert len(harness.attempts) == 1


@pytest.mark.parametrize(
    "wrong",
    [LookupError("policy"), -1.0, float("nan"), 10**400, False, "soon"],
    ids=["error", "negative", "nan", "greater than every float", "False", "text"],
)
async def test_a_policy_that_fails(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture, wrong: Any
) -> None:
    """R-5: it is logged, and there is no further attempt; an invalid delay is a failure too."""

    def fail(context: RetryContext) -> Any:
        if context.previous_retry_count == 0:
            return 0.0
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    connection = await harness.started(fail)
    journal = Journal(connection)
    harness.answers.append(refusal())
    await lose(harness)
    assert [entry[0] for entry in journal.entries] == ["reconnecting", "closed"]
    assert "The retry policy failed" in caplog.text


async def test_a_policy_that_fails_after_a_token_factory(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """R-5: the log has the traceback of the policy, and not the text of the factory's error."""

    def fail(context: RetryContext) -> float:
        return [0.0][context.previous_retry_count]

    connection = await harness.started(fail)
    journal = Journal(connection)
    harness.answers.append(LookupError("s3cret"))
    await lose(harness)
    assert [entry[0] for entry in journal.entries] == ["reconnecting", "closed"]
    assert "IndexError" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("message", "returns"),
    [
        (CLOSE, False),
        ({"type": 7, "error": "boo"}, False),
        ({"type": 7, "allowReconnect": False}, False),
        ({"type": 7, "allowReconnect": True}, True),
        ({"type": 7, "error": "boo", "allowReconnect": True}, True),
        ({"type": 1}, True),
    ],
    ids=str,
)
async def test_close_messages(harness: ClientHarness, message: Any, returns: bool) -> None:
    """C-15, C-18, R-2: only a Close without allowReconnect prevents a reconnect."""
    connection = await harness.started(retry_delays([1]))
    journal = Journal(connection)
    harness.server.send(message)
    await harness.clock.settle()
    assert connection.state is (RECONNECTING if returns else DISCONNECTED)
    await harness.clock.advance(1)
    names = [entry[0] for entry in journal.entries]
    assert names == (["reconnecting", "reconnected"] if returns else ["closed"])


async def test_stop_is_no_loss(harness: ClientHarness) -> None:
    """R-2: there is no attempt afterwards."""
    connection = await harness.started(lambda _: 0.0)
    journal = Journal(connection)
    await connection.stop()
    await harness.clock.advance(100)
    assert journal.entries == [("closed", DISCONNECTED, "None")]
    assert len(harness.attempts) == 1


STOPPED = "Connection stopped during reconnect. Done reconnecting."


async def test_stop_during_the_delay(harness: ClientHarness) -> None:
    """R-5: the delay ends, on_closed gets the reason; a new start works."""
    connection = await harness.started(retry_delays([10]))
    journal = Journal(connection)
    await lose(harness)
    await connection.stop()
    assert journal.entries == [TO_BEGIN, ("closed", DISCONNECTED, STOPPED)]
    assert harness.clock.leftovers() == []
    await connection.start()
    assert connection.state is CONNECTED


@pytest.mark.parametrize("stage", ["negotiation", "handshake"])
async def test_stop_during_an_attempt(harness: ClientHarness, stage: str) -> None:
    """R-5: the attempt is cancelled, and its transport is closed."""
    connection = await harness.started(retry_delays([0]))
    journal = Journal(connection)
    if stage == "negotiation":
        harness.before_connecting = asyncio.Event().wait
    else:
        harness.answers.append(be_silent)
    await lose(harness)
    assert connection.state is RECONNECTING
    await connection.stop()
    assert journal.entries == [TO_BEGIN, ("closed", DISCONNECTED, STOPPED)]
    assert all(end.ended is not None for end in harness.near_ends)
    assert harness.clock.leftovers() == []


@pytest.mark.parametrize("ticks", range(12))
async def test_stop_at_any_moment_of_a_reconnect(harness: ClientHarness, ticks: int) -> None:
    """R-5: it ends the connection in any state."""
    connection = await harness.started(retry_delays([0, 0]))
    journal = Journal(connection)
    harness.answers.append(refusal())
    harness.server.vanish()
    for _ in range(ticks):
        await asyncio.sleep(0)
    await connection.stop()
    await harness.clock.settle()
    assert connection.state is DISCONNECTED
    assert [entry[0] for entry in journal.entries].count("closed") == 1
    assert all(end.ended is not None for end in harness.near_ends)
    assert harness.clock.leftovers() == []


@pytest.mark.parametrize("callback", ["on_reconnecting", "on_reconnected"])
@pytest.mark.parametrize("later", [False, True])
async def test_stop_in_a_callback(harness: ClientHarness, callback: str, later: bool) -> None:
    """R-5: a callback may stop the connection."""
    connection = await harness.started(retry_delays([1]))
    journal = Journal(connection)

    async def stop(_: object) -> None:
        if later:
            await asyncio.sleep(0)
        await connection.stop()

    getattr(connection, callback)(stop)
    await lose(harness)
    await harness.clock.advance(10)
    assert connection.state is DISCONNECTED
    assert journal.entries[-1][:2] == ("closed", DISCONNECTED)
    assert len(harness.servers) == (1 if callback == "on_reconnecting" else 2)
    assert harness.clock.leftovers() == []


async def test_stop_during_a_slow_callback(harness: ClientHarness) -> None:
    """R-5: a callback that hangs is interrupted by stop."""
    connection = await harness.started(retry_delays([1]))
    journal = Journal(connection)
    connection.on_reconnecting(lambda _: asyncio.Event().wait())
    await lose(harness)
    await connection.stop()
    assert journal.entries == [TO_BEGIN, ("closed", DISCONNECTED, STOPPED)]


async def test_what_a_loss_ends(harness: ClientHarness) -> None:
    """R-3, R-4: calls, streams and uploads fail at the loss, before the first attempt. Nothing of
    them is sent over the new connection, and no answer to a question of the lost one."""
    connection = await harness.started(retry_delays([10]))
    gate = asyncio.Event()

    @connection.on("Ask")
    async def answer() -> int:
        await gate.wait()
        return 1

    async def items() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    stream = connection.stream("Count")
    waiting = [
        asyncio.create_task(it)
        for it in (connection.invoke("X"), anext(stream), connection.invoke("Up", items()))
    ]
    await harness.server.ask({"type": 1, "invocationId": "q", "target": "Ask", "arguments": []})
    await lose(harness)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [(type(it), str(it)) for it in outcomes] == [(ConnectionClosed, LOST)] * 3
    assert (connection.state, len(harness.attempts)) == (RECONNECTING, 1)
    await harness.clock.advance(10)
    gate.set()
    assert await harness.server.take() == [HANDSHAKE, PING]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_calls_while_reconnecting(harness: ClientHarness) -> None:
    """R-6: refused between attempts and during one: nothing was sent."""
    connection = await harness.started(retry_delays([5, 5]))
    await lose(harness)
    for seconds in (0, 5):
        harness.answers.append(be_silent)
        await harness.clock.advance(seconds)
        for method in (connection.invoke, connection.send):
            with pytest.raises(NotConnectedError):
                await method("X")
    assert connection.state is RECONNECTING


async def test_an_attempt_that_never_ends(harness: ClientHarness) -> None:
    """H-12, R-5: the handshake timeout ends an attempt as well; the next one follows."""
    connection = await harness.started(retry_delays([0, 3]))
    journal = Journal(connection)
    harness.answers.append(be_silent)
    await lose(harness)
    await harness.clock.advance(15)
    assert harness.near_ends[1].ended == "closed"
    assert len(harness.servers) == 2
    await harness.clock.advance(3)
    assert journal.entries == [TO_BEGIN, ("reconnected", CONNECTED, "id-3")]


async def test_an_attempt_that_fails_for_another_reason(harness: ClientHarness) -> None:
    """R-5: an access token factory may raise whatever it likes; the connection does not get stuck
    in Reconnecting for it."""
    connection = await harness.started(retry_delays([0, 1]))
    journal = Journal(connection)
    harness.answers.append(LookupError("token service is down"))
    await lose(harness)
    await harness.clock.advance(5)
    assert journal.entries == [TO_BEGIN, ("reconnected", CONNECTED, "id-2")]


@pytest.mark.parametrize("callback", ["on_reconnecting", "on_reconnected"])
async def test_a_callback_that_is_cancelled_from_within(
    harness: ClientHarness, callback: str
) -> None:
    """R-4: one that awaits a task it has cancelled fails like any other callback."""
    connection = await harness.started(retry_delays([1]))

    async def fail(_: object) -> None:
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never

    getattr(connection, callback)(fail)
    await lose(harness)
    await harness.clock.advance(5)
    assert connection.state is CONNECTED
    await connection.stop()
    assert connection.state is DISCONNECTED


async def test_a_loss_during_the_callback(harness: ClientHarness) -> None:
    """R-3: lost again while on_reconnected still runs: it is cancelled, and tried again at once."""
    connection = await harness.started(retry_delays([0]))
    journal = Journal(connection)
    cancelled: list[str | None] = []

    @connection.on_reconnected
    async def hang(connection_id: str | None) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(connection_id)
            raise

    await lose(harness)
    assert connection.connection_id == "id-2"
    await lose(harness)
    assert cancelled == ["id-2"]
    assert [entry[0] for entry in journal.entries] == ["reconnecting", "reconnected"] * 2
    assert connection.connection_id == "id-3"


async def test_a_close_right_behind_the_handshake(harness: ClientHarness) -> None:
    """R-2: a reconnect that is refused by a Close message is a connection that ended."""
    connection = await harness.started(retry_delays([0]))
    journal = Journal(connection)

    def turn_away(server: MemoryPeer) -> None:
        server.send({}, {"type": 7, "error": "go away"})

    harness.answers.append(turn_away)
    await lose(harness)
    assert [entry[0] for entry in journal.entries] == ["reconnecting", "reconnected", "closed"]
    assert journal.entries[1][2] == "id-2"  # the id of the new connection, not of the lost one
    assert connection.state is DISCONNECTED


@pytest.mark.parametrize("delays", [{1: 2}, {1, 2}, b"5", "5", 5])
def test_delays_have_an_order(delays: Any) -> None:
    """R-1: the error is raised when the policy is made."""
    with pytest.raises(TypeError, match=r"^A retry policy is a list of seconds or a function"):
        retry_delays(delays)


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf")])
def test_delays_are_times_to_wait(delay: float) -> None:
    """R-1: the error is raised when the policy is made."""
    with pytest.raises(ValueError, match="a number of seconds from 0 on, not"):
        retry_delays([1, delay])


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_retry_delays(count: int) -> None:
    """R-1: each delay in turn, then None."""
    policy: RetryPolicy = retry_delays((0, 1.5))
    expected = {0: 0.0, 1: 1.5}.get(count)
    assert policy(RetryContext(count, 0.0, None)) == expected
