"""A start that is repeated until the hub can be reached (R-7)."""

import asyncio
import logging
from typing import Any

import pytest

from protocol import (
    ExponentialBackoff,
    HandshakeError,
    HubConnectionState,
    LocalProtocolError,
    NegotiationError,
    NotConnectedError,
    RetryContext,
)
from protocol.client.retry import retry_delays
from tests.support.client_harness import ClientHarness, be_silent, refusal
from tests.support.hub_messages import HANDSHAKE, PING
from tests.support.memory_peer import MemoryPeer

DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTING = HubConnectionState.CONNECTING
CONNECTED = HubConnectionState.CONNECTED


async def test_success_in_the_end(harness: ClientHarness) -> None:
    """R-7: each delay precedes an attempt. Only the success ends ``start``, without a callback."""
    connection = harness.connection()
    calls: list[object] = []
    for register in (connection.on_closed, connection.on_reconnecting, connection.on_reconnected):
        register(calls.append)
    harness.answers.extend([refusal(), refusal()])
    began_at = harness.clock.time()
    starting = asyncio.create_task(connection.start(retry=[1, 5, 5]))
    await harness.clock.advance(5.9)
    assert (connection.state, starting.done()) == (CONNECTING, False)
    await harness.clock.advance(0.1)
    await starting
    assert [at - began_at for at in harness.attempts] == [0, 1, 6]
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-1")
    assert await harness.server.take() == [HANDSHAKE, PING]
    assert calls == []


async def test_the_first_attempt_succeeds(harness: ClientHarness) -> None:
    """R-7: the policy is not asked."""

    def policy(_: RetryContext) -> float:
        raise AssertionError

    connection = harness.connection()
    await connection.start(retry=policy)
    assert connection.state is CONNECTED


async def test_the_last_delay_is_over(harness: ClientHarness) -> None:
    """R-7: ``start`` raises the error of the last attempt. A later start works."""
    connection = harness.connection()
    harness.answers.extend([refusal("one"), refusal("two"), refusal("three")])
    starting = asyncio.create_task(connection.start(retry=[1, 1]))
    await harness.clock.advance(2)
    with pytest.raises(NegotiationError, match="three"):
        await starting
    assert connection.state is DISCONNECTED
    assert harness.clock.leftovers() == []
    await connection.start()
    assert connection.state is CONNECTED


async def test_the_policy(harness: ClientHarness) -> None:
    """R-7: it gets the number of failed retries, the time since ``start``, and the last error."""
    asked: list[tuple[int, float, str]] = []

    def policy(context: RetryContext) -> float | None:
        asked.append((context.previous_retry_count, context.elapsed, str(context.retry_reason)))
        return [3.0, 0.5, None][context.previous_retry_count]

    connection = harness.connection()
    harness.answers.extend([refusal("one"), LookupError("two"), refusal("three")])
    starting = asyncio.create_task(connection.start(retry=policy))
    await harness.clock.advance(4)
    with pytest.raises(NegotiationError, match="three"):
        await starting
    assert asked == [(0, 0.0, "one"), (1, 3.0, "two"), (2, 3.5, "three")]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (refusal("no hub"), "no hub"),
        (LookupError("s3cret"), "LookupError"),
        (asyncio.CancelledError(), "The attempt to connect raised CancelledError."),
        (
            lambda server: server.send({"error": "s3cret"}),
            "The server refused the handshake.",
        ),
        (be_silent, "The server did not answer the handshake within 15 seconds."),
    ],
    ids=["negotiation", "token factory", "cancelled inside", "handshake", "handshake timeout"],
)
async def test_every_failure_is_followed_by_a_retry(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture, failure: Any, reason: str
) -> None:
    """R-7, H-12: one WARNING a minute gives the reason, without texts of a server or a factory."""
    connection = harness.connection()
    harness.answers.extend([failure, refusal(), refusal()])
    starting = asyncio.create_task(connection.start(retry=[1, 1, 1]))
    await harness.clock.advance(18)
    await starting
    (record,) = (each for each in caplog.records if each.levelno > logging.DEBUG)
    assert (
        record.getMessage() == f"The connection cannot be opened, next attempt in 1.0 s: {reason}"
    )
    assert connection.state is CONNECTED


@pytest.mark.parametrize("stage", ["delay", "negotiation", "handshake"])
@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_the_end_of_the_attempts(harness: ClientHarness, stage: str, how: str) -> None:
    """R-7, C-17: a stop ends them at any moment, and so does a cancellation of ``start``."""
    connection = harness.connection()
    harness.answers.append(refusal())
    starting = asyncio.create_task(connection.start(retry=[1, 1]))
    await harness.clock.settle()
    if stage == "negotiation":
        harness.before_connecting = asyncio.Event().wait
    elif stage == "handshake":
        harness.answers.append(be_silent)
    if stage != "delay":
        await harness.clock.advance(1)
    assert (connection.state, starting.done()) == (CONNECTING, False)
    if how == "stop":
        await connection.stop()
        with pytest.raises(NotConnectedError, match="stopped while it was being started"):
            await starting
    else:
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert connection.state is DISCONNECTED
    assert all(end.ended is not None for end in harness.near_ends)
    assert harness.clock.leftovers() == []
    harness.before_connecting = None
    await connection.start()
    assert connection.state is CONNECTED


async def test_between_two_attempts(harness: ClientHarness) -> None:
    """R-7, C-20: a call is refused, and its error has the last failure as its cause."""
    connection = harness.connection()
    harness.answers.append(refusal("no hub"))
    starting = asyncio.create_task(connection.start(retry=[1]))
    await harness.clock.settle()
    with pytest.raises(NotConnectedError, match="it is being started") as caught:
        await connection.invoke("X")
    assert str(caught.value.__cause__) == "no hub"
    with pytest.raises(LocalProtocolError):
        await connection.start(retry=[1])
    await harness.clock.advance(1)
    await starting


async def test_a_policy_that_fails(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """R-7: it is logged, and ``start`` raises the error of the attempt."""

    def fail(_: RetryContext) -> float:
        raise LookupError("policy")

    connection = harness.connection()
    harness.answers.append(refusal("no hub"))
    with pytest.raises(NegotiationError, match="no hub"):
        await connection.start(retry=fail)
    assert "The retry policy failed" in caplog.text
    assert connection.state is DISCONNECTED


@pytest.mark.parametrize(
    ("wrong", "error"), [(5, TypeError), ([-1], ValueError), (ExponentialBackoff, TypeError)]
)
async def test_a_retry_that_is_no_policy(
    harness: ClientHarness, wrong: Any, error: type[Exception]
) -> None:
    """R-7: refused before the first attempt."""
    connection = harness.connection()
    with pytest.raises(error, match="retry"):
        await connection.start(retry=wrong)
    assert harness.attempts == []
    assert connection.state is DISCONNECTED


async def test_a_loss_after_the_start(harness: ClientHarness) -> None:
    """R-7: the policy of the start is not that of reconnects."""
    lost = harness.connection()
    await lost.start(retry=[1, 1])
    harness.server.vanish()
    await harness.clock.advance(5)
    assert (lost.state, len(harness.attempts)) == (DISCONNECTED, 1)
    kept = harness.connection(retry_delays([2]))
    await kept.start(retry=[1, 1])
    harness.server.vanish()
    await harness.clock.advance(2)
    assert (kept.state, len(harness.attempts)) == (CONNECTED, 3)


async def test_a_close_right_behind_the_handshake(harness: ClientHarness) -> None:
    """R-7, C-15: the start has succeeded then; the Close ends the connection."""

    def turn_away(server: MemoryPeer) -> None:
        server.send({}, {"type": 7, "error": "go away"})

    connection = harness.connection()
    harness.answers.append(turn_away)
    await connection.start(retry=[1])
    await harness.clock.advance(5)
    assert (connection.state, len(harness.attempts)) == (DISCONNECTED, 1)


async def test_without_retry(harness: ClientHarness) -> None:
    """R-2: one attempt."""
    connection = harness.connection(retry_delays([1]))
    harness.answers.append(lambda server: server.send({"error": "no"}))
    with pytest.raises(HandshakeError):
        await connection.start()
    await harness.clock.advance(5)
    assert len(harness.attempts) == 1
