"""A supervised connection to one hub, or to another gateway (GW-27, GW-28, GW-57).

`SupervisedConnection` connects at start and after each loss, until it is stopped. Calls that wait
for the connection with `wait` share one connect attempt at a time. `downstream.backoff` decides
when the next attempt is due. `downstream.hub` and `clients.other_gateway` decide what is sent over
the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from http import HTTPStatus

from protocol import (
    ExponentialBackoff,
    HubConnection,
    HubConnectionState,
    NegotiationError,
)

from ..logs.redaction import describe_error, describe_publicly
from .backoff import AttemptSchedule
from .call_errors import HubUnavailable
from .clock import Clock
from .deadlines import timeouts, within
from .state_log import StateLog
from .user_token import UserToken

ATTEMPT_TIMEOUT = 30.0
"""Seconds after which a connect attempt is cancelled."""
_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class HubState(Enum):
    """The state of the connection to a hub. Health answers contain the values (GW-28)."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    STOPPED = "stopped"
    PER_USER = "per_user"
    """Each user has a connection, and there is no other one (GW-55)."""


@dataclass(frozen=True, slots=True)
class HubStatus:
    """The state of the connection to a hub; `since` is the time at which this state began.

    `last_error` says why the hub is not connected, in a text that any caller may read. It is None
    while the hub is connected, before the first failure, and after `stop`.
    """

    state: HubState
    since: datetime
    last_error: str | None


class SupervisedConnection:
    """Keeps `connection` to the hub `api` open. Create it inside a running event loop."""

    def __init__(
        self,
        api: str,
        connection: HubConnection,
        clock: Clock,
        backoff: ExponentialBackoff,
        utcnow: Callable[[], datetime],
        log: StateLog,
        *,
        token: UserToken | None = None,
        verify: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`token` chooses among the access tokens of a user. If the hub refuses all of these access
        tokens, calls do not wait.

        `verify` is called in each attempt, over the open connection. If it raises an exception, the
        attempt has failed. Until it returns, the state is not CONNECTED, and calls wait.
        """
        self._api = api
        self._clock = clock
        self._utcnow = utcnow
        self._schedule = AttemptSchedule(backoff)
        self._status = HubStatus(HubState.CONNECTING, utcnow(), None)
        self._waiters: set[asyncio.Future[bool]] = set()
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._log = log
        self._token = token
        self.was_refused = False
        """Whether the hub refused the credentials in the last attempt that has ended.

        False while the user has another token that the hub has not refused."""
        self._verify = verify
        self._is_verifying = False
        self._renewed_after: Exception | None = None
        self._connection = connection
        self._attempts = timeouts(ATTEMPT_TIMEOUT, clock)
        connection.on_reconnecting(self._on_reconnecting)
        connection.on_reconnected(self._on_reconnected)
        connection.on_closed(self._on_closed)

    @property
    def status(self) -> HubStatus:
        return self._status

    def start(self) -> None:
        """Begin to connect and return at once, so that the gateway serves while hubs are down."""
        self._supervisor = asyncio.create_task(self._supervise(), name=f"hub {self._api}")

    async def stop(self) -> None:
        """End the connection for good; calls without a completion fail."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        self._enter(HubState.STOPPED, None)
        await self._connection.stop()
        self._attempts.close()

    async def wait(self, deadline: float) -> None:
        """Wait for the connection. Raises `HubUnavailable` at `deadline`, or after `give_up`."""
        if self._connection.state is HubConnectionState.CONNECTED and not self._is_verifying:
            # The call failed with the connection, which is open again by now.
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        self._wake.set()
        timer = self._clock.call_at(deadline, lambda: _release(waiter, connected=False))
        try:
            connected = await waiter
        finally:
            timer.cancel()
            self._waiters.discard(waiter)
        if not connected:
            raise HubUnavailable(self._api)

    def give_up(self) -> None:
        """Let all calls of `wait` raise `HubUnavailable`, because the gateway is stopping."""
        self._release_waiters(connected=False)

    async def renew(self, reason: Exception) -> None:
        """End the connection because of `reason`. It is opened again, as after a loss."""
        if self._status.state is HubState.CONNECTED and self._renewed_after is None:
            self._renewed_after = reason
            await self._connection.stop()

    # --- supervision -----------------------------------------------------------------------

    async def _supervise(self) -> None:
        while True:
            await self._until_due()
            if await self._attempt():
                await self._closed.wait()
                self._schedule.lost(self._clock.time())

    async def _until_due(self) -> None:
        while True:
            due = self._schedule.due(callers_waiting=bool(self._waiters))
            if due <= self._clock.time():
                return
            self._wake.clear()
            timer = self._clock.call_at(due, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    async def _attempt(self) -> bool:
        self._schedule.started(self._clock.time())
        self._closed.clear()
        try:
            await within(self._attempts, self._connect())
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as exc:  # a token factory may raise anything (GW-27)
            self._schedule.failed(self._clock.time())
            self._attempt_failed(exc)
            return False
        self._schedule.connected(self._clock.time())
        self._entered_connected()
        return True

    async def _connect(self) -> None:
        await self._connection.start()
        if self._verify is None:
            return
        self._is_verifying = True
        try:
            await self._verify()
        except BaseException:
            await self._connection.stop()
            raise
        finally:
            self._is_verifying = False

    def _attempt_failed(self, error: BaseException) -> None:
        reason = describe_error(error)
        self.was_refused = is_refusal(error)
        if self.was_refused and self._token is not None:
            if self._token.refused():
                self.was_refused = False
                self._schedule.hasten(self._clock.time())
            else:
                self.give_up()
        shown = describe_publicly(error)
        self._status = HubStatus(self._status.state, self._status.since, shown)
        self._log.note(logging.WARNING, f"cannot connect: {reason}", self._clock.time())

    def _entered_connected(self) -> None:
        self.was_refused = False
        if self._token is not None:
            self._token.accepted()
        self._enter(HubState.CONNECTED, None)
        self._log.note(logging.INFO, "connected", self._clock.time())
        self._release_waiters(connected=True)

    def _on_reconnecting(self, error: Exception | None) -> None:
        # Only a connection with a retry policy reconnects itself. `_supervise` connects again when
        # the policy gives up.
        if not self._is_verifying:
            self._enter_reconnecting(error)

    def _on_reconnected(self, connection_id: str | None) -> None:
        if not self._is_verifying:
            self._entered_connected()

    def _on_closed(self, error: Exception | None) -> None:
        if self._renewed_after is not None:
            error, self._renewed_after = self._renewed_after, None
        if self._status.state is not HubState.STOPPED and not self._is_verifying:
            self._enter_reconnecting(error)
        self._closed.set()

    def _enter_reconnecting(self, error: Exception | None) -> None:
        reason = shown = "closed by the hub"
        if error is not None:
            reason, shown = describe_error(error), describe_publicly(error)
        self._enter(HubState.RECONNECTING, shown)
        self._log.note(logging.WARNING, f"connection lost: {reason}", self._clock.time())

    def _enter(self, state: HubState, last_error: str | None) -> None:
        since = self._status.since if state is self._status.state else self._utcnow()
        self._status = HubStatus(state, since, last_error)

    def _release_waiters(self, *, connected: bool) -> None:
        for waiter in self._waiters:
            _release(waiter, connected=connected)


def is_refusal(error: BaseException) -> bool:
    """Whether the hub refuses the credentials of a connect attempt that failed with `error`."""
    return isinstance(error, NegotiationError) and error.status in _REFUSALS


def _release(waiter: asyncio.Future[bool], *, connected: bool) -> None:
    if not waiter.done():
        waiter.set_result(connected)
