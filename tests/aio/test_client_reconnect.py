"""Automatic reconnect: when, how often, what is told, and how it is stopped (section R)."""

import asyncio
from collections.abc import Callable
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

from .client_lab import CLOSE, PING, REQUEST, ClientLab, RawServer, be_silent, refusal

DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTED = HubConnectionState.CONNECTED
RECONNECTING = HubConnectionState.RECONNECTING


class Journal:
    """Callbacks in order, each with its state and argument."""

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


async def lose(lab: ClientLab) -> None:
    lab.server.vanish()
    await lab.clock.settle()


def exhausted(count: int, elapsed: float) -> str:
    return (
        f"Reconnect retries have been exhausted after {count} failed attempts and "
        f"{elapsed:.1f} s elapsed. Disconnecting."
    )


async def test_reconnect(client_lab: ClientLab) -> None:
    """R-3, R-4: a new connection with a new id, a whole start; handlers stay, calls are lost."""
    connection = await client_lab.started(retry_delays([1]))
    journal = Journal(connection)
    heard: list[int] = []
    connection.on("News", heard.append)
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.server.take()
    await lose(client_lab)
    assert (connection.state, connection.connection_id) == (RECONNECTING, None)
    with pytest.raises(ConnectionClosed):
        await calling
    await client_lab.clock.advance(1)
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")
    assert await client_lab.server.take() == [REQUEST, PING]
    client_lab.server.send({"type": 1, "target": "News", "arguments": [1]})
    calling = asyncio.create_task(connection.invoke("X"))
    assert (await client_lab.server.take())[-1]["invocationId"] == "1"  # counted anew (C-6)
    client_lab.server.send({"type": 3, "invocationId": "1", "result": 5})
    assert await calling == 5
    assert heard == [1]
    assert journal.entries == [TO_BEGIN, ("reconnected", CONNECTED, "id-2")]


async def test_default_delays(client_lab: ClientLab) -> None:
    """R-1, R-5: 0, 2, 10, 30 s, then the end with the number of attempts."""
    connection = await client_lab.started(retry_delays(DEFAULT_RETRY_DELAYS))
    journal = Journal(connection)
    client_lab.answers.extend(refusal(f"no {number}") for number in range(4))
    lost_at = client_lab.clock.time()
    await lose(client_lab)
    await client_lab.clock.advance(60)
    assert [at - lost_at for at in client_lab.attempts[1:]] == [0, 2, 12, 42]
    assert journal.entries == [TO_BEGIN, ("closed", DISCONNECTED, exhausted(4, 42.0))]
    assert connection.state is DISCONNECTED
    assert client_lab.clock.leftovers() == []


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_success_in_the_end(client_lab: ClientLab, failures: int) -> None:
    """R-4, R-5: failures on the way are not told."""
    connection = await client_lab.started(retry_delays([1, 1, 1, 1]))
    journal = Journal(connection)
    client_lab.answers.extend(refusal() for _ in range(failures))
    await lose(client_lab)
    await client_lab.clock.advance(10)
    assert len(client_lab.attempts) == 1 + failures + 1
    assert journal.entries == [TO_BEGIN, ("reconnected", CONNECTED, "id-2")]


async def test_counting_begins_anew(client_lab: ClientLab) -> None:
    """R-1: each loss has all its attempts."""
    connection = await client_lab.started(retry_delays([5]))
    for number in range(2, 5):
        await lose(client_lab)
        assert connection.state is RECONNECTING
        await client_lab.clock.advance(5)
        assert connection.connection_id == f"id-{number}"


async def test_policy(client_lab: ClientLab) -> None:
    """R-1: it is told how many attempts failed, since when, and why; its delays are kept."""
    asked: list[tuple[int, float, str]] = []

    def policy(context: RetryContext) -> float | None:
        asked.append((context.previous_retry_count, context.elapsed, str(context.retry_reason)))
        return [3.0, 0.5, None][context.previous_retry_count]

    connection = await client_lab.started(policy)
    journal = Journal(connection)
    client_lab.answers.extend([refusal("one"), refusal("two")])
    await lose(client_lab)
    await client_lab.clock.advance(10)
    assert asked == [(0, 0.0, LOST), (1, 3.0, "one"), (2, 3.5, "two")]
    assert journal.entries[-1] == ("closed", DISCONNECTED, exhausted(2, 3.5))


async def test_a_policy_that_refuses_at_once(client_lab: ClientLab) -> None:
    """R-5: only closed, with the reason of the loss; never Reconnecting."""
    connection = await client_lab.started(lambda _: None)
    journal = Journal(connection)
    await lose(client_lab)
    assert journal.entries == [("closed", DISCONNECTED, LOST)]


async def test_without_a_policy(client_lab: ClientLab) -> None:
    """R-1: off unless configured."""
    connection = await client_lab.started()
    journal = Journal(connection)
    await lose(client_lab)
    await client_lab.clock.advance(100)
    assert journal.entries == [("closed", DISCONNECTED, LOST)]
    assert len(client_lab.attempts) == 1


@pytest.mark.parametrize("wrong", [LookupError("policy"), -1.0, float("nan"), "soon"])
async def test_a_policy_that_fails(
    client_lab: ClientLab, caplog: pytest.LogCaptureFixture, wrong: Any
) -> None:
    """R-5: is logged, and gives up; what is no time to wait is a failure as well."""

    def fail(context: RetryContext) -> Any:
        if context.previous_retry_count == 0:
            return 0.0
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    connection = await client_lab.started(fail)
    journal = Journal(connection)
    client_lab.answers.append(refusal())
    await lose(client_lab)
    assert [entry[0] for entry in journal.entries] == ["reconnecting", "closed"]
    assert "The retry policy failed" in caplog.text


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
async def test_close_messages(client_lab: ClientLab, message: Any, returns: bool) -> None:
    """C-15, C-18, R-2: only a Close without allowReconnect forbids to return."""
    connection = await client_lab.started(retry_delays([1]))
    journal = Journal(connection)
    client_lab.server.send(message)
    await client_lab.clock.settle()
    assert connection.state is (RECONNECTING if returns else DISCONNECTED)
    await client_lab.clock.advance(1)
    names = [entry[0] for entry in journal.entries]
    assert names == (["reconnecting", "reconnected"] if returns else ["closed"])


async def test_stop_is_no_loss(client_lab: ClientLab) -> None:
    """R-2: nothing is tried afterwards."""
    connection = await client_lab.started(lambda _: 0.0)
    journal = Journal(connection)
    await connection.stop()
    await client_lab.clock.advance(100)
    assert journal.entries == [("closed", DISCONNECTED, "None")]
    assert len(client_lab.attempts) == 1


STOPPED = "Connection stopped during reconnect. Done reconnecting."


async def test_stop_during_the_delay(client_lab: ClientLab) -> None:
    """R-5: the delay ends, closed tells why; a new start works."""
    connection = await client_lab.started(retry_delays([10]))
    journal = Journal(connection)
    await lose(client_lab)
    await connection.stop()
    assert journal.entries == [TO_BEGIN, ("closed", DISCONNECTED, STOPPED)]
    assert client_lab.clock.leftovers() == []
    await connection.start()
    assert connection.state is CONNECTED


@pytest.mark.parametrize("stage", ["negotiation", "handshake"])
async def test_stop_during_an_attempt(client_lab: ClientLab, stage: str) -> None:
    """R-5: the attempt is given up, and what it had opened closed."""
    connection = await client_lab.started(retry_delays([0]))
    journal = Journal(connection)
    if stage == "negotiation":
        client_lab.before_connecting = asyncio.Event().wait
    else:
        client_lab.answers.append(be_silent)
    await lose(client_lab)
    assert connection.state is RECONNECTING
    await connection.stop()
    assert journal.entries == [TO_BEGIN, ("closed", DISCONNECTED, STOPPED)]
    assert all(end.ended is not None for end in client_lab.near_ends)
    assert client_lab.clock.leftovers() == []


@pytest.mark.parametrize("ticks", range(12))
async def test_stop_at_any_moment_of_a_reconnect(client_lab: ClientLab, ticks: int) -> None:
    """R-5: whatever is under way, afterwards nothing is."""
    connection = await client_lab.started(retry_delays([0, 0]))
    journal = Journal(connection)
    client_lab.answers.append(refusal())
    client_lab.server.vanish()
    for _ in range(ticks):
        await asyncio.sleep(0)
    await connection.stop()
    await client_lab.clock.settle()
    assert connection.state is DISCONNECTED
    assert [entry[0] for entry in journal.entries].count("closed") == 1
    assert all(end.ended is not None for end in client_lab.near_ends)
    assert client_lab.clock.leftovers() == []


@pytest.mark.parametrize("callback", ["on_reconnecting", "on_reconnected"])
@pytest.mark.parametrize("later", [False, True])
async def test_stop_in_a_callback(client_lab: ClientLab, callback: str, later: bool) -> None:
    """R-5: a program may decide there that it has had enough."""
    connection = await client_lab.started(retry_delays([1]))
    journal = Journal(connection)

    async def stop(_: object) -> None:
        if later:
            await asyncio.sleep(0)
        await connection.stop()

    getattr(connection, callback)(stop)
    await lose(client_lab)
    await client_lab.clock.advance(10)
    assert connection.state is DISCONNECTED
    assert journal.entries[-1][:2] == ("closed", DISCONNECTED)
    assert len(client_lab.servers) == (1 if callback == "on_reconnecting" else 2)
    assert client_lab.clock.leftovers() == []


async def test_stop_during_a_slow_callback(client_lab: ClientLab) -> None:
    """R-5: a callback that hangs is interrupted by stop."""
    connection = await client_lab.started(retry_delays([1]))
    journal = Journal(connection)
    connection.on_reconnecting(lambda _: asyncio.Event().wait())
    await lose(client_lab)
    await connection.stop()
    assert journal.entries == [TO_BEGIN, ("closed", DISCONNECTED, STOPPED)]


async def test_calls_while_reconnecting(client_lab: ClientLab) -> None:
    """R-6: refused between attempts and during one: nothing was sent."""
    connection = await client_lab.started(retry_delays([5, 5]))
    await lose(client_lab)
    for seconds in (0, 5):
        client_lab.answers.append(be_silent)
        await client_lab.clock.advance(seconds)
        for method in (connection.invoke, connection.send):
            with pytest.raises(NotConnectedError):
                await method("X")
    assert connection.state is RECONNECTING


async def test_an_attempt_that_never_ends(client_lab: ClientLab) -> None:
    """H-12, R-5: the handshake timeout ends an attempt as well; the next one follows."""
    connection = await client_lab.started(retry_delays([0, 3]))
    journal = Journal(connection)
    client_lab.answers.append(be_silent)
    await lose(client_lab)
    await client_lab.clock.advance(15)
    assert client_lab.near_ends[1].ended == "closed"
    assert len(client_lab.servers) == 2
    await client_lab.clock.advance(3)
    assert journal.entries == [TO_BEGIN, ("reconnected", CONNECTED, "id-3")]


async def test_an_attempt_that_fails_for_another_reason(client_lab: ClientLab) -> None:
    """R-5: an access token factory may raise whatever it likes; the connection does not get stuck
    in Reconnecting for it."""
    connection = await client_lab.started(retry_delays([0, 1]))
    journal = Journal(connection)
    client_lab.answers.append(LookupError("token service is down"))
    await lose(client_lab)
    await client_lab.clock.advance(5)
    assert journal.entries == [TO_BEGIN, ("reconnected", CONNECTED, "id-2")]


@pytest.mark.parametrize("callback", ["on_reconnecting", "on_reconnected"])
async def test_a_callback_that_is_cancelled_from_within(
    client_lab: ClientLab, callback: str
) -> None:
    """R-4: one that awaits a task it has cancelled fails as any other callback."""
    connection = await client_lab.started(retry_delays([1]))

    async def fail(_: object) -> None:
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never

    getattr(connection, callback)(fail)
    await lose(client_lab)
    await client_lab.clock.advance(5)
    assert connection.state is CONNECTED
    await connection.stop()
    assert connection.state is DISCONNECTED


async def test_a_loss_during_the_callback(client_lab: ClientLab) -> None:
    """R-3: lost again while on_reconnected still runs: it is cancelled, and tried again at once."""
    connection = await client_lab.started(retry_delays([0]))
    journal = Journal(connection)
    cancelled: list[str | None] = []

    @connection.on_reconnected
    async def hang(connection_id: str | None) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(connection_id)
            raise

    await lose(client_lab)
    assert connection.connection_id == "id-2"
    await lose(client_lab)
    assert cancelled == ["id-2"]
    assert [entry[0] for entry in journal.entries] == ["reconnecting", "reconnected"] * 2
    assert connection.connection_id == "id-3"


async def test_a_close_right_behind_the_handshake(client_lab: ClientLab) -> None:
    """R-2: a reconnect that is refused by a Close message is a connection that ended."""
    connection = await client_lab.started(retry_delays([0]))
    journal = Journal(connection)

    def turn_away(server: RawServer) -> None:
        server.send({}, {"type": 7, "error": "go away"})

    client_lab.answers.append(turn_away)
    await lose(client_lab)
    assert [entry[0] for entry in journal.entries] == ["reconnecting", "reconnected", "closed"]
    assert journal.entries[1][2] == "id-2"  # not that of the connection that is gone by then
    assert connection.state is DISCONNECTED


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf")])
def test_delays_are_times_to_wait(delay: float) -> None:
    """R-1: found out when the policy is made."""
    with pytest.raises(ValueError, match="a number of seconds from 0 on, not"):
        retry_delays([1, delay])


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_retry_delays(count: int) -> None:
    """R-1: each delay in turn, then None."""
    policy: RetryPolicy = retry_delays((0, 1.5))
    expected = {0: 0.0, 1: 1.5}.get(count)
    assert policy(RetryContext(count, 0.0, None)) == expected
