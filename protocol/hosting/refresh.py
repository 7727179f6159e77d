"""How clients renew the authentication of an open connection (AR-1…AR-6, A-8).

A client of .NET 11 or later posts a new access token to ``{path}/refresh``. A poll with a new token
does the same. ``access`` determines the user of a request. The ``OpenUser`` of a connection decides
whether it becomes the user of the connection.
"""

from collections.abc import Callable
from typing import Generic

from ..authentication_refresh import (
    CONNECTION_TOKEN_HEADER,
    remaining_lifetime,
    write_refreshed,
    write_refusal,
)
from ..http_transport_type import HttpTransportType
from ..server.authentication import Principal
from ..server.http_request import HttpRequestData
from .access import AccessControl
from .http_answer import HttpAnswer, json_answer, plain_answer
from .http_connections import ConnectionT, HttpConnectionManager


class RefreshRequests(Generic[ConnectionT]):
    """Decides about the requests that renew the authentication of connections of one path.

    ``clock`` returns seconds of a monotonic clock, ``wall_clock`` seconds since the epoch.
    """

    def __init__(
        self,
        connections: HttpConnectionManager[ConnectionT],
        path: str,
        access: AccessControl,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        *,
        is_enabled: bool,
    ) -> None:
        self._connections = connections
        self._path = path
        self._access = access
        self._clock = clock
        self._wall_clock = wall_clock
        self.is_enabled = is_enabled

    def lifetime(self, user: Principal | None) -> int | None:
        """The seconds that negotiate announces to a user, or None (AR-1)."""
        if not self.is_enabled or user is None:
            return None
        return remaining_lifetime(user.expires_at, self._wall_clock())

    async def answer(self, request: HttpRequestData) -> HttpAnswer:
        """The answer to a request of ``{path}/refresh`` (AR-2, AR-3)."""
        caller = await self._access.admit(request)
        if isinstance(caller, HttpAnswer):
            return caller
        if request.method != "POST":
            return plain_answer(405)
        if not self.is_enabled:
            return _refused(404, "refresh_disabled")
        if caller.user is None:
            return _refused(401, "invalid_token")
        found = self._find(request)
        if isinstance(found, HttpAnswer):
            return found
        assert found.open_user is not None
        if refusal := await self._replace(found, caller.user, request):
            return refusal
        return json_answer(write_refreshed(self.lifetime(found.open_user.user)))

    def _find(self, request: HttpRequestData) -> ConnectionT | HttpAnswer:
        """The open connection of this path that the request names, or the refusal."""
        token = request.headers.get(CONNECTION_TOKEN_HEADER) or request.query("id")
        if not token:
            return _refused(400, "missing_connection_token")
        found = self._connections.find(token, self._clock())
        is_open = found is not None and found.open_user is not None and not found.is_disposed
        if found is None or not is_open or found.user_path != self._path:
            return _refused(404, "connection_not_found")
        if found.token == found.connection_id:  # in version 0 the public id is the token (N-12)
            return _refused(400, "unsupported_negotiate_version")
        return found

    def decides_about(self, connection: ConnectionT, user: Principal | None) -> bool:
        """Whether a poll of ``user`` is a refresh, so that the user may differ (AR-5, A-9)."""
        return (
            self.is_enabled
            and user is not None
            and connection.user_path == self._path
            and connection.transport_type is HttpTransportType.LONG_POLLING
        )

    async def renew(
        self, connection: ConnectionT, user: Principal | None, request: HttpRequestData
    ) -> HttpAnswer | None:
        """Renews the authentication of a connection with the user of a request (AR-5, A-8).

        The request polls or resumes the connection. Returns None, or the answer that refuses it.
        """
        open_user = connection.open_user
        if open_user is None or user is None:
            return None
        if not self.is_enabled:
            open_user.set_expiry(user)
        elif refusal := await self._replace(connection, user, request):
            open_user.abort()
            return refusal
        return None

    async def _replace(
        self, connection: ConnectionT, user: Principal, request: HttpRequestData
    ) -> HttpAnswer | None:
        """Returns None, or the answer to a refresh that is not accepted or fails."""
        open_user = connection.open_user
        assert open_user is not None
        try:
            is_accepted = await open_user.refresh(user, request)
        except Exception as error:  # its text may quote credentials
            return self._access.failed(error)
        connection.user, connection.user_id = open_user.user, open_user.user_id
        return None if is_accepted else _refused(403, "permission_change_rejected")


def _refused(status: int, code: str) -> HttpAnswer:
    return HttpAnswer(status, write_refusal(code), "application/json")
