"""The connections that the calls of one sender use: a first connection, and spare ones (GW-34).

All callers of a hub share one `HubConnections`, or each user has one. `downstream.hub` and
`downstream.users` create them. `downstream.connection` keeps the first connection open. Only events
of this connection are forwarded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from protocol import ExponentialBackoff, HubConnection, NotConnectedError

from ..orchestration.orchestrator import DownstreamHub
from .call_errors import GatewayDraining, HubUnavailable, TokenRefused
from .calls import HubCalls
from .clock import Clock
from .connection import HubStatus, SupervisedConnection
from .spares import SpareConnections
from .state_log import StateLog
from .user_token import UserToken

T = TypeVar("T")

CONNECT_WAIT = 5.0
"""Seconds that a call waits for a hub that is down (GW-9)."""


class HubConnections:
    """`connection` to `hub`, and its spare connections, which `build_spare` makes.

    Create it inside a running event loop, then `start` it. For the connections of a user, `token`
    chooses the access token. Their calls fail at once if the hub accepts no token of the user.
    """

    def __init__(
        self,
        hub: DownstreamHub,
        connection: HubConnection,
        build_spare: Callable[[], HubConnection],
        *,
        clock: Clock,
        backoff: ExponentialBackoff,
        utcnow: Callable[[], datetime],
        log: StateLog,
        token: UserToken | None = None,
    ) -> None:
        self._api = hub.api
        self._clock = clock
        self._token = token
        self._draining = False
        self._supervised = SupervisedConnection(
            hub.api, connection, clock, backoff, utcnow, log, token=token
        )
        self._calls = HubCalls(hub.api, connection, clock)
        self._spares = SpareConnections(hub.api, build_spare, hub.spare_connections, clock, token)

    @property
    def status(self) -> HubStatus:
        """The state of the first connection."""
        return self._supervised.status

    @property
    def is_answering(self) -> bool:
        """False while a call on the first connection has no answer after its timeout."""
        return self._calls.stuck_since is None

    @property
    def spare_events(self) -> int:
        """How many events spare connections have received; none of them is forwarded."""
        return self._spares.events

    def start(self) -> None:
        """Begin to connect and return at once, so that the gateway serves while hubs are down."""
        self._supervised.start()

    def drain(self) -> None:
        """Refuse new calls, and calls that wait for the hub. Calls that were sent continue."""
        self._draining = True
        self._supervised.give_up()

    def cut_off(self) -> None:
        """End the calls that were sent and are not completed, and cancel them at the hub."""
        self._calls.cut_off()
        self._spares.cut_off()

    async def stop(self) -> None:
        """End the connections for good; calls without a completion fail."""
        self.drain()
        await asyncio.gather(self._supervised.stop(), self._spares.stop())
        self._calls.close()

    async def send(self, timeout: float, call: Callable[[HubCalls], Awaitable[T]]) -> T:
        """Return the result of `call`. If the hub is not connected, wait for it and call again.

        `timeout` is the timeout of the call in seconds. Raises `HubUnavailable` or a subclass if
        the hub is not connected in time, and what `call` raises.
        """
        deadline: float | None = None
        while not self._draining:
            calls = self._calls
            if calls.stuck_since is not None:
                calls = await self._spares.free(2 * timeout) or calls
            try:
                return await call(calls)
            except NotConnectedError as exc:  # nothing was sent
                now = self._clock.time()
                if deadline is None:
                    deadline = now + CONNECT_WAIT
                elif now >= deadline:
                    raise HubUnavailable(self._api) from exc
                await self._wait_for_connection(deadline)
        raise GatewayDraining(self._api)

    async def _wait_for_connection(self, deadline: float) -> None:
        try:
            await self._supervised.wait(deadline)
        except HubUnavailable as exc:
            if self._draining:
                raise GatewayDraining(self._api) from exc
            if self._token is not None and self._supervised.was_refused:
                raise TokenRefused(self._api) from exc
            raise
