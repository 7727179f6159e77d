"""Makes the connections to one hub: those that all callers share, or those of one user.

It registers all handlers before a connection starts, so that no event is missed (GW-27).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Protocol

import msgspec

from protocol import ExponentialBackoff, HubConnection, Payload

from ..orchestration.orchestrator import DownstreamHub
from .building import build_connection
from .clock import Clock
from .connections import HubConnections
from .state_log import StateLog
from .user_token import UserToken

NO_CLIENT_RESULT = (
    "The gateway does not answer hub methods that ask their client for a result. Clients that "
    "connect to the hub directly can."
)
"""The error that a hub method receives when it asks the gateway for a result (GW-33)."""


class OnEvent(Protocol):
    """Called with api, target and arguments of each event, in the order of the events (GW-24).

    The fourth argument is the account of the user over whose connection the event has come, or
    None. The next event is passed on when the callback has returned. Until then the hub's events
    wait in a bounded queue, and reading from the hub pauses while the queue is full.
    """

    def __call__(
        self, api: str, target: str, arguments: Payload, account: str | None, /
    ) -> Awaitable[None]: ...


class Connecting:
    """Makes connections to `hub`. `first` is what `build_connections` returns for the hub."""

    def __init__(
        self,
        hub: DownstreamHub,
        first: HubConnection,
        on_event: OnEvent | None,
        *,
        clock: Clock,
        backoff: ExponentialBackoff,
        utcnow: Callable[[], datetime],
    ) -> None:
        self._hub = hub
        self._first = first
        self._on_event = on_event
        self._clock = clock
        self._backoff = backoff
        self._utcnow = utcnow
        self._user_log = StateLog(f"hub {hub.api!r}, connection of a user")

    def shared(self) -> HubConnections:
        """The connections that all callers share."""
        return self._connections(self._first, None, None)

    def of_user(self, account: str, token: UserToken) -> HubConnections:
        """The connections of a user. Raises `OrchestrationError` if none can be built."""
        return self._connections(self._built(token), account, token)

    def _connections(
        self, connection: HubConnection, account: str | None, token: UserToken | None
    ) -> HubConnections:
        if self._on_event is not None:
            name = connection.hub_protocol.name
            connection.on_any(_forwarder_for(self._hub.api, name, self._on_event, account))
        connection.set_no_result_error(NO_CLIENT_RESULT)
        return HubConnections(
            self._hub,
            connection,
            partial(self._spare, token),
            clock=self._clock,
            backoff=self._backoff,
            utcnow=self._utcnow,
            log=StateLog(f"hub {self._hub.api!r}") if token is None else self._user_log,
            token=token,
        )

    def _spare(self, token: UserToken | None) -> HubConnection:
        connection = self._built(token)
        connection.set_no_result_error(NO_CLIENT_RESULT)
        return connection

    def _built(self, token: UserToken | None) -> HubConnection:
        connection = build_connection(self._hub, token)
        if connection is self._first:
            raise RuntimeError("build_hub_connection returned the same connection twice")
        return connection


def _forwarder_for(
    api: str, protocol_name: str, on_event: OnEvent, account: str | None
) -> Callable[[str, msgspec.Raw], Awaitable[None]]:
    async def forward(target: str, arguments: msgspec.Raw) -> None:
        await on_event(api, target, Payload({protocol_name: arguments}), account)

    return forward
