"""The hubs with a connection for each user, as one client of the gateway hub uses them (GW-55).

While a client is connected, the connections of its user stay open, so that the client gets events.
`downstream.users` opens and closes these connections. `routing.tables` names the groups of the
gateway hub that get the events of one user.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from protocol import HubCallerContext
from protocol.relaying import LogThinning

from ..access.account import account_of
from ..access.identity import Identity, UnwritableClaim, identity_of, token_of
from ..downstream.call_errors import HubUnavailable
from ..downstream.hub import Downstream
from ..orchestration.checks import OrchestrationError
from ..routing.problem_code import RefusedCall

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Client:
    """The token with which a client has connected, and the connections that the client uses."""

    account: str | None
    token: str | None = field(repr=False)
    expires_at: float | None
    held: dict[str, Callable[[], None]] = field(default_factory=dict)  # by api


class UserHubs:
    """The hubs of `downstreams` that have a connection for each user."""

    def __init__(self, downstreams: Mapping[str, Downstream]) -> None:
        self._downstreams = downstreams
        self._thinning = LogThinning()

    @staticmethod
    def identity(context: HubCallerContext, downstream: Downstream) -> Identity | None:
        """The identity of a client for calls of a hub.

        Its token is the one with which the client has connected, with the expiry of this token. A
        refresh of authentication changes neither. If a refresh has changed the account of the
        client, the identity has no token.
        """
        hub = downstream.hub
        identity = identity_of(hub, context.http_request, context.user, context.user_identifier)
        if identity is None or not hub.is_per_user:
            return identity
        client: _Client | None = context.items.get(UserHubs)
        if client is None or client.account != identity.account:
            return replace(identity, token=None)
        return replace(identity, token=client.token, expires_at=client.expires_at)

    def enter(self, context: HubCallerContext) -> None:
        """Note the token of a client that connects, and use its user's connections.

        These are the connections to all hubs that send events.
        """
        if any(each.hub.is_per_user for each in self._downstreams.values()):
            user = context.user
            context.items[UserHubs] = _Client(
                _account_of(context),
                token_of(context.http_request),
                None if user is None else user.expires_at,
            )
            self._use_connections(context)

    def follow_user(self, context: HubCallerContext) -> None:
        """Use the connections of the present user of a client, after its authentication."""
        client: _Client | None = context.items.get(UserHubs)
        if client is None:
            return
        if client.account != _account_of(context):
            _release(client)
        self._use_connections(context)

    def _use_connections(self, context: HubCallerContext) -> None:
        """Use the connections of the user of a client to all hubs that send events.

        A client whose user has no connection to a hub gets none of the hub's events. The client
        stays connected, also if the connection cannot be built or a claim cannot be written.
        """
        for downstream in self._downstreams.values():
            hub = downstream.hub
            if hub.is_per_user and any(each.receive_method for each in hub.routes.values()):
                try:
                    self.hold(context, hub.api)
                except (RefusedCall, HubUnavailable, OrchestrationError, UnwritableClaim) as exc:
                    is_fault = isinstance(exc, OrchestrationError | UnwritableClaim)
                    level = self._thinning.level(
                        (hub.api, type(exc)), level=logging.ERROR if is_fault else logging.WARNING
                    )
                    log.log(level, "a client gets no events of hub %r: %s", hub.api, exc)

    def hold(self, context: HubCallerContext, api: str) -> None:
        """Use the connection of the user of a client to the hub `api` until `leave`.

        This does nothing if the hub has no connection for each user. Raises what
        `Downstream.hold` raises.
        """
        client: _Client | None = context.items.get(UserHubs)
        downstream = self._downstreams.get(api)  # None if the gateway has no connection to it
        if client is None or downstream is None or not downstream.hub.is_per_user:
            return
        if api not in client.held:
            client.held[api] = downstream.hold(self.identity(context, downstream))

    @staticmethod
    def leave(context: HubCallerContext) -> None:
        """End all uses by a client."""
        client: _Client | None = context.items.pop(UserHubs, None)
        if client is not None:
            _release(client)


def _account_of(context: HubCallerContext) -> str | None:
    """The account of the present user of a client; None for an anonymous client."""
    user = context.user
    return None if user is None else account_of(user, context.user_identifier)


def _release(client: _Client) -> None:
    for release in client.held.values():
        release()
    client.held.clear()
