"""Further connections to a hub that does not answer on its first connection (GW-34).

By default a hub runs the calls of one connection one after another, so a method that hangs stops
all calls of the connection. `SpareConnections` opens connections for the other calls, and closes
connections that are no longer used. Their events are counted and not forwarded, because the first
connection receives the same events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from protocol import HubConnection, HubConnectionState
from protocol.relaying import LogThinning

from ..logs.redaction import describe_error
from .calls import HubCalls
from .clock import Clock, Timer
from .connection import is_refusal
from .deadlines import timeouts, within
from .user_token import UserToken

log = logging.getLogger(__name__)

ATTEMPT_TIMEOUT = 5.0
"""Seconds that calls wait for a spare connection before they use the hub's first connection."""
BETWEEN_ATTEMPTS = 0.5
"""Seconds between a failed attempt and the next attempt."""
UNUSED_TIME = 60.0
"""Seconds without a call after which a spare connection is closed."""


class _Spare:
    def __init__(self, connection: HubConnection, calls: HubCalls, now: float) -> None:
        self.connection = connection
        self.calls = calls
        self.used_at = now


class SpareConnections:
    """The spare connections of the hub `api`, at most `maximum` of them.

    `build` makes a connection that is not started. It may raise any exception. For the connections
    of a user, `token` chooses the access token.
    """

    def __init__(
        self,
        api: str,
        build: Callable[[], HubConnection],
        maximum: int,
        clock: Clock,
        token: UserToken | None = None,
    ) -> None:
        self._api = api
        self._build = build
        self._maximum = maximum
        self._token = token
        self._clock = clock
        self._spares: list[_Spare] = []
        self._attempt: asyncio.Task[None] | None = None
        self._unopened: HubConnection | None = None
        self._attempts = timeouts(ATTEMPT_TIMEOUT, clock)
        self._next_attempt_at = 0.0
        self._stops: set[asyncio.Task[None]] = set()
        self._cleaning: Timer | None = None
        self._has_stopped = False
        self._thinning = LogThinning()
        self.events = 0
        """How many events the spare connections have received."""

    def __len__(self) -> int:
        return len(self._spares)

    async def free(self, stuck_limit: float) -> HubCalls | None:
        """Return the `HubCalls` of a connection that is not stuck, or None.

        If there is no such connection, open one and wait for it. If there are already `maximum`
        connections, close one that has been stuck for at least `stuck_limit` seconds first. Return
        None if no connection can be opened now.
        """
        if found := self._find():
            return found
        if self._attempt is None:
            if not self._may_open(stuck_limit):
                return None
            self._attempt = asyncio.create_task(self._open(), name=f"hub {self._api}, spare")
            self._attempt.add_done_callback(self._attempt_ended)
        await asyncio.wait([self._attempt])
        return self._find()

    def cut_off(self) -> None:
        """See `Downstream.cut_off`."""
        for spare in self._spares:
            spare.calls.cut_off()

    async def stop(self) -> None:
        """Close all connections for good."""
        self._has_stopped = True
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
        if self._cleaning is not None:
            self._cleaning.cancel()
        for spare in list(self._spares):
            self._discard(spare)
        if self._stops:
            await asyncio.wait(self._stops)
        self._attempts.close()

    def _find(self) -> HubCalls | None:
        for spare in self._spares:
            if (
                spare.connection.state is HubConnectionState.CONNECTED
                and spare.calls.stuck_since is None
            ):
                spare.used_at = self._clock.time()
                return spare.calls
        return None

    def _may_open(self, stuck_limit: float) -> bool:
        now = self._clock.time()
        if self._has_stopped or now < self._next_attempt_at:
            return False
        if len(self._spares) < self._maximum:
            return True
        for spare in self._spares:
            since = spare.calls.stuck_since
            if since is not None and now - since >= stuck_limit:
                self._discard(spare)
                return True
        return False

    async def _open(self) -> None:
        try:
            connection = self._unopened or self._built()
            await within(self._attempts, connection.start())
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as exc:  # a token factory may raise anything (GW-27)
            self._next_attempt_at = self._clock.time() + BETWEEN_ATTEMPTS
            if self._token is not None and is_refusal(exc):
                self._token.refused()
            level = self._thinning.level("failed", self._clock.time(), logging.WARNING)
            text = "hub %r: cannot open a spare connection: %s"
            log.log(level, text, self._api, describe_error(exc))
            return
        self._unopened = None
        calls = HubCalls(self._api, connection, self._clock)
        spare = _Spare(connection, calls, self._clock.time())
        connection.on_closed(lambda _error: self._forget(spare))
        self._spares.append(spare)
        level = self._thinning.level("opened", self._clock.time(), logging.WARNING)
        text = "hub %r does not answer; calls go to a spare connection until it does"
        log.log(level, text, self._api)
        self._clean_later()

    def _built(self) -> HubConnection:
        """Build a connection, and keep it until an attempt to open it has succeeded.

        Each further attempt begins with another address of the hub.
        """
        self._unopened = self._build()
        self._unopened.on_any(self._count_event)
        return self._unopened

    def _attempt_ended(self, attempt: asyncio.Task[None]) -> None:
        self._attempt = None
        if not attempt.cancelled() and attempt.exception() is not None:
            log.error("hub %r: a spare connection failed", self._api, exc_info=attempt.exception())

    def _count_event(self, target: str, arguments: msgspec.Raw) -> None:
        self.events += 1

    def _clean_later(self) -> None:
        if self._cleaning is None:
            until = self._clock.time() + UNUSED_TIME
            self._cleaning = self._clock.call_at(until, self._clean)

    def _clean(self) -> None:
        """Close connections that are no longer used."""
        self._cleaning = None
        unused_since = self._clock.time() - UNUSED_TIME
        for spare in list(self._spares):
            calls = spare.calls
            if spare.used_at <= unused_since and calls.is_idle and calls.stuck_since is None:
                self._discard(spare)
        if self._spares:
            self._clean_later()

    def _discard(self, spare: _Spare) -> None:
        self._forget(spare)
        stop = asyncio.create_task(spare.connection.stop())
        self._stops.add(stop)
        stop.add_done_callback(self._stops.discard)

    def _forget(self, spare: _Spare) -> None:
        if spare in self._spares:
            self._spares.remove(spare)
            spare.calls.close()
