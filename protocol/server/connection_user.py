"""The user of one open connection: when the authentication expires, and how a client renews it.

``hosting`` decides which requests may renew it, and answers them. ``hub_server`` replaces the user
that hub methods see.
"""

import asyncio
import inspect
from collections.abc import Callable

from ..messages import Close
from .authentication import Principal
from .authentication_expiry import AuthenticationExpiry
from .authorization import require_bool
from .connection import ServerConnection
from .connection_context import Ending
from .http_request import HttpRequestData
from .hub_server import HubServer
from .refresh_context import AcceptRefresh, AuthenticationRefreshContext


class ConnectionUser:
    """The user of ``connection``, which ``server`` serves.

    If ``expiry_clock`` is not None, the connection ends when this clock, in seconds since the
    epoch, reaches the expiry of the user's authentication. ``accept`` decides about new users.
    """

    def __init__(
        self,
        server: HubServer,
        connection: ServerConnection,
        *,
        expiry_clock: Callable[[], float] | None,
        accept: AcceptRefresh | None,
    ) -> None:
        self._server = server
        self._connection = connection
        self._accept = accept
        self._lock = asyncio.Lock()
        self._expiry: AuthenticationExpiry | None = None
        if expiry_clock is not None:
            self._expiry = AuthenticationExpiry(self._expire, expiry_clock)
            connection.closed.add_done_callback(self._stop_expiry)
            self.set_expiry(connection.connection.user)

    @property
    def user(self) -> Principal | None:
        """The present user."""
        return self._connection.connection.user

    @property
    def user_id(self) -> str | None:
        """The id of the present user."""
        return self._connection.connection.user_identifier

    def set_expiry(self, user: Principal | None) -> None:
        """Lets the connection end when the authentication of ``user`` expires (A-8)."""
        if self._expiry is not None and self._connection.connection.ending is None:
            self._expiry.set(None if user is None else user.expires_at)

    async def refresh(self, user: Principal, request: HttpRequestData) -> bool:
        """Replaces the user by ``user``, the user of ``request``. Returns whether it is accepted.

        If ``user`` equals the present user, or has an earlier expiry, returns True and changes
        nothing. If the user id changes and the hub does not allow this, the connection ends, and
        the result is False. Refreshes run one after another. Raises what ``accept`` raises, and
        NotABoolError if ``accept`` returns something else than a bool.
        """  # AR-2, AR-4…AR-6
        async with self._lock:
            if user == self.user or _is_older(user, self.user):
                return True
            if not await self._is_accepted(user, request):
                return False
            if not await self._server.replace_user(self._connection, user):
                return False
            self.set_expiry(user)
            return True

    def abort(self) -> None:
        """Ends the connection with a Close message that does not allow a reconnect."""
        self._connection.connection.abort()

    async def _is_accepted(self, user: Principal, request: HttpRequestData) -> bool:
        if self._accept is None:
            return True
        connection_id = self._connection.connection.connection_id
        accepted = self._accept(
            AuthenticationRefreshContext(connection_id, self.user, user, request)
        )
        return require_bool(await accepted if inspect.isawaitable(accepted) else accepted)

    def _expire(self) -> None:
        self._connection.end(Ending(Close(allow_reconnect=True)))

    def _stop_expiry(self, _closed: asyncio.Future[None]) -> None:
        assert self._expiry is not None
        self._expiry.stop()


def _is_older(user: Principal, present: Principal | None) -> bool:
    """Whether the authentication of ``user`` expires before the present one (AR-4)."""
    if present is None or present.expires_at is None or user.expires_at is None:
        return False
    return user.expires_at < present.expires_at
