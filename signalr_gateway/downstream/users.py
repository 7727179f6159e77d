"""One connection to a hub for each user, with the access token of this user (GW-55).

`UserConnections` opens the connection of a user when it is used, and closes it when it is not used
for some time. `downstream.hub` makes calls on it. Clients of the gateway hub use the connection of
their user as long as they are connected, so that they get its events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..access.identity import Identity
from ..orchestration.orchestrator import DownstreamHub
from ..routing.problem_code import ProblemCode, RefusedCall
from .call_errors import GatewayDraining, TooManyUsers
from .clock import Clock
from .connection import HubState
from .connections import HubConnections
from .deadlines import Deadlines
from .user_token import UserToken


class UserConnection:
    """The connections of the user `account`. It is in use while `uses` is not 0."""

    def __init__(self, account: str, token: UserToken, connections: HubConnections) -> None:
        self.account = account
        self.token = token
        self.connections = connections
        self.uses = 0


def require_user(api: str, identity: Identity | None) -> tuple[Identity, str]:
    """The identity and the account of a caller who may use a connection per user.

    Raises `RefusedCall` for other callers.
    """
    if identity is None or identity.account is None:
        text = f"Hub '{api}' has a connection for each user, and this caller is anonymous."
        raise RefusedCall(ProblemCode.NOT_AUTHENTICATED, text)
    if identity.user_id is None:
        text = f"Hub '{api}' has a connection for each user, and this user has no id."
        raise RefusedCall(ProblemCode.NOT_AUTHORIZED, text)
    if identity.token is None:
        text = f"Hub '{api}' needs a token of the caller, and this caller has none to pass on."
        raise RefusedCall(ProblemCode.NOT_AUTHORIZED, text)
    return identity, identity.account


class UserConnections:
    """The connections to `hub` by account, at most `maximum_user_connections` of them.

    Users of two issuers have two accounts, also if their ids are equal (see `access.account`).

    `connect` makes the connections of a user, not started.
    """

    def __init__(
        self,
        hub: DownstreamHub,
        connect: Callable[[str, UserToken], HubConnections],
        clock: Clock,
    ) -> None:
        self._hub = hub
        self._connect = connect
        self._users: dict[str, UserConnection] = {}
        self._unused = Deadlines(hub.user_connection_idle_timeout, self._close, clock)
        self._stops: set[asyncio.Task[None]] = set()
        self._draining = False

    def __len__(self) -> int:
        return len(self._users)

    @property
    def spare_events(self) -> int:
        """See `HubConnections.spare_events`; of the users that are connected."""
        return sum(each.connections.spare_events for each in self._users.values())

    def enter(self, identity: Identity | None) -> UserConnection:
        """Use the connection of the user; open it if there is none. Call `leave` afterwards.

        Raises `RefusedCall`, `TooManyUsers` or `GatewayDraining`, and `OrchestrationError` if the
        function that builds a connection fails.
        """
        identity, account = require_user(self._hub.api, identity)
        user = self._users.get(account)
        if user is None:
            user = self._open(account, identity)
        else:
            user.token.offer(identity)
        user.uses += 1
        self._unused.stop(account)
        return user

    def leave(self, user: UserConnection) -> None:
        """End a use. An unused connection that is not open is closed at once."""
        user.uses -= 1
        if user.uses or self._users.get(user.account) is not user:
            return
        if user.connections.status.state is HubState.CONNECTED:
            self._unused.start(user.account)
        else:
            self._close(user.account)

    def drain(self) -> None:
        """See `Downstream.drain`."""
        self._draining = True
        for user in self._users.values():
            user.connections.drain()

    def cut_off(self) -> None:
        """See `Downstream.cut_off`."""
        for user in self._users.values():
            user.connections.cut_off()

    async def stop(self) -> None:
        """Close all connections for good."""
        self.drain()
        for account in list(self._users):
            self._close(account)
        self._unused.close()
        if self._stops:
            await asyncio.wait(self._stops)

    def _open(self, account: str, identity: Identity) -> UserConnection:
        if self._draining:
            raise GatewayDraining(self._hub.api)
        maximum = self._hub.maximum_user_connections
        if len(self._users) >= maximum:
            unused = self._unused.oldest
            if unused is None:
                raise TooManyUsers(self._hub.api, maximum)
            self._close(unused)
        token = UserToken(identity)
        user = UserConnection(account, token, self._connect(account, token))
        self._users[account] = user
        user.connections.start()
        return user

    def _close(self, account: str) -> None:
        self._unused.stop(account)
        stop = asyncio.create_task(self._users.pop(account).connections.stop())
        self._stops.add(stop)
        stop.add_done_callback(self._stops.discard)
