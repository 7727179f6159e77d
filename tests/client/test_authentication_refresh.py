"""When a client refreshes its authentication, and the callbacks of the program (AR-5a, AR-7)."""

import asyncio
import logging
from typing import Any

import pytest

from protocol import (
    AuthenticationRefreshError,
    HubConnection,
    HubConnectionState,
    LocalProtocolError,
    NotConnectedError,
)
from protocol.testing import LoopClock
from tests.support.client_harness import ClientHarness

REFUSED = AuthenticationRefreshError("403 (s3cret)", 403, summary="403")


class Server:
    """Answers refreshes with the next of ``answers``: a lifetime or an exception."""

    def __init__(self, harness: ClientHarness, *answers: float | BaseException | None) -> None:
        self.answers = list(answers)
        self.asked_at: list[float] = []
        self.gate: asyncio.Event | None = None
        self._clock = harness.clock
        self._start = harness.clock.time()
        harness.refresh = self.refresh

    async def refresh(self) -> float | None:
        self.asked_at.append(self._clock.time() - self._start)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def started(harness: ClientHarness, **more: Any) -> HubConnection:
    """A connection whose server may be silent for days."""
    return await harness.started(server_timeout=1e6, **more)


def noted(connection: HubConnection) -> list[Any]:
    """Records the calls of the connection's callbacks."""
    notes: list[Any] = []
    connection.on_authentication_refreshed(notes.append)
    connection.on_authentication_refresh_failed(notes.append)
    return notes


async def test_before_the_expiry(harness: ClientHarness, clock: LoopClock) -> None:
    """AR-7: five minutes before it, as often as the server announces a new one."""
    server = Server(harness, 1200, 600, None)
    harness.token_lifetime = 3600
    notes = noted(await started(harness))
    await clock.advance(3299)
    assert server.asked_at == []
    await clock.advance(10_000)
    assert server.asked_at == [3300, 3300 + 900, 3300 + 900 + 300]
    assert notes == [1200, 600, None]


async def test_a_short_lifetime(harness: ClientHarness, clock: LoopClock) -> None:
    """AR-7: half of it."""
    server = Server(harness, 4, 4)
    harness.token_lifetime = 4
    await started(harness)
    await clock.advance(5)
    assert server.asked_at == [2, 4]


async def test_another_time_before_the_expiry(harness: ClientHarness, clock: LoopClock) -> None:
    """AR-7."""
    server = Server(harness, None)
    harness.token_lifetime = 4
    await started(harness, authentication_refresh=1)
    await clock.advance(10)
    assert server.asked_at == [3]


@pytest.mark.parametrize(
    ("lifetime", "options"), [(None, {}), (4, {"authentication_refresh": None})]
)
async def test_no_automatic_refresh(
    harness: ClientHarness, clock: LoopClock, lifetime: float | None, options: dict[str, Any]
) -> None:
    """AR-7: the server announces no expiry, or the program refreshes by itself."""
    server = Server(harness, None)
    harness.token_lifetime = lifetime
    connection = await started(harness, **options)
    await clock.advance(10_000)
    assert server.asked_at == []
    assert await connection.refresh_authentication() is None
    assert server.asked_at == [10_000]


async def test_a_refresh_by_the_program(harness: ClientHarness, clock: LoopClock) -> None:
    """AR-7: the next automatic refresh depends on the newest lifetime."""
    server = Server(harness, 10, None)
    harness.token_lifetime = 4
    connection = await started(harness)
    notes = noted(connection)
    await clock.advance(1)
    assert await connection.refresh_authentication() == 10
    await clock.advance(4.9)
    assert server.asked_at == [1]
    await clock.advance(10)
    assert server.asked_at == [1, 6]
    assert notes == [10, None]


async def test_a_refresh_that_fails(
    harness: ClientHarness, clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """AR-5a, AR-7: a callback and a line of the log, no repetition; the connection is as it was."""
    server = Server(harness, REFUSED)
    harness.token_lifetime = 4
    connection = await started(harness)
    notes = noted(connection)
    await clock.advance(100)
    assert server.asked_at == [2]
    assert notes == [REFUSED]
    assert connection.state is HubConnectionState.CONNECTED
    [record] = caplog.records
    text = "The authentication of a connection was not refreshed: 403"
    assert (record.levelno, record.getMessage()) == (logging.WARNING, text)


async def test_a_refresh_by_the_program_that_fails(
    harness: ClientHarness, clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """AR-5a: the caller gets the error; the automatic refresh is still due."""
    server = Server(harness, REFUSED, None)
    harness.token_lifetime = 4
    connection = await started(harness)
    notes = noted(connection)
    with pytest.raises(AuthenticationRefreshError) as caught:
        await connection.refresh_authentication()
    assert caught.value is REFUSED
    assert caplog.records == []
    await clock.advance(100)
    assert server.asked_at == [0, 2]
    assert notes == [REFUSED, None]


async def test_a_token_factory_that_fails(
    harness: ClientHarness, clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """AR-5a: its text, which may contain secrets, is not logged."""
    error = LookupError("s3cret")
    Server(harness, error)
    harness.token_lifetime = 4
    notes = noted(await started(harness))
    await clock.advance(100)
    assert notes == [error]
    text = "The authentication of a connection was not refreshed: LookupError"
    assert [record.getMessage() for record in caplog.records] == [text]
    assert "s3cret" not in caplog.text


async def test_a_token_factory_that_is_cancelled(harness: ClientHarness, clock: LoopClock) -> None:
    """AR-5a: a failure like any other, not a cancellation of the caller."""
    Server(harness, asyncio.CancelledError())
    connection = await started(harness)
    with pytest.raises(AuthenticationRefreshError, match=r"The token factory was cancelled\."):
        await connection.refresh_authentication()


async def test_a_callback_that_fails(
    harness: ClientHarness, clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """AR-7: it is logged; the other callbacks run, and the refresh has succeeded."""
    Server(harness, 5)
    connection = await started(harness)

    @connection.on_authentication_refreshed
    async def fail(_: float | None) -> None:
        raise LookupError

    notes = noted(connection)
    assert await connection.refresh_authentication() == 5
    assert notes == [5]
    assert [record.getMessage() for record in caplog.records] == ["A connection callback failed."]


async def test_stop_ends_refreshes(harness: ClientHarness, clock: LoopClock) -> None:
    """Neither a timer nor a request is left; a waiting caller gets an error, no callback runs."""
    server = Server(harness, 4)
    server.gate = asyncio.Event()
    harness.token_lifetime = 4
    connection = await started(harness)
    notes = noted(connection)
    waiting = asyncio.create_task(connection.refresh_authentication())
    await clock.advance(2)
    assert server.asked_at == [0, 2]
    await connection.stop()
    with pytest.raises(AuthenticationRefreshError, match="The connection ended before"):
        await waiting
    await clock.advance(100)
    assert server.asked_at == [0, 2]
    assert notes == []


async def test_a_reconnect_begins_anew(harness: ClientHarness, clock: LoopClock) -> None:
    """AR-7: the new connection has a lifetime of its own; the old one is not refreshed."""
    server = Server(harness, None)
    harness.token_lifetime = 10
    await started(harness, retry=lambda _: 0.0)
    await clock.advance(4)
    harness.token_lifetime = 20
    harness.server.transport.abort()
    await clock.advance(9)
    assert server.asked_at == []
    await clock.advance(2)
    assert server.asked_at == [14]


async def test_a_callback_that_stops_the_connection(
    harness: ClientHarness, clock: LoopClock
) -> None:
    """It is not cancelled by the end that it has caused."""
    Server(harness, REFUSED)
    harness.token_lifetime = 4
    connection = await started(harness)
    states: list[HubConnectionState] = []

    @connection.on_authentication_refresh_failed
    async def give_up(_: Exception) -> None:
        await connection.stop()
        states.append(connection.state)

    await clock.advance(10)
    assert states == [HubConnectionState.DISCONNECTED]


async def test_a_cancelled_caller(harness: ClientHarness, clock: LoopClock) -> None:
    """Its refresh ends; the connection and the automatic refresh go on."""
    server = Server(harness, None)
    server.gate = asyncio.Event()
    harness.token_lifetime = 4
    connection = await started(harness)
    waiting = asyncio.create_task(connection.refresh_authentication())
    await clock.settle()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    server.gate.set()
    await clock.advance(2)
    assert server.asked_at == [0, 2]
    assert connection.state is HubConnectionState.CONNECTED


async def test_without_negotiate(harness: ClientHarness) -> None:
    """AR-3: the server knows the connection by a token of negotiate."""
    connection = await started(harness)
    with pytest.raises(LocalProtocolError, match="opened without negotiate"):
        await connection.refresh_authentication()


async def test_without_a_connection(harness: ClientHarness) -> None:
    connection = harness.connection()
    text = "The 'refresh_authentication' method cannot be called if the connection is not active"
    with pytest.raises(NotConnectedError, match=text):
        await connection.refresh_authentication()
