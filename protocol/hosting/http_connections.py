"""The table of connections by token, from negotiate until their transport ends.

There is one table per application, for all its paths (N-13). Tokens have 128 random bits and are
found by dict lookup. The timing of the lookup does not help to guess a token. Each path has its own
limits of waiting connections, of waiting time and of active connections, so connections are counted
by path. ``admission`` decides which request may use a connection. ``waiting_connections`` decides
which waiting connection is dropped when there is no room for another.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from .. import negotiate
from ..http_transport_type import HttpTransportType
from ..server.authentication import Principal
from ..server.http_request import HttpRequestData
from .waiting_connections import WaitingConnections


class OpenUser(Protocol):
    """The user of a connection whose transport is open; see ``server.connection_user``."""

    @property
    def user(self) -> Principal | None:
        """The present user."""

    @property
    def user_id(self) -> str | None:
        """The id of the present user."""

    def set_expiry(self, user: Principal | None) -> None:
        """Lets the connection end when the authentication of ``user`` expires."""

    async def refresh(self, user: Principal, request: HttpRequestData) -> bool:
        """Makes ``user``, who sent ``request``, the user. Returns False if this is refused."""

    def abort(self) -> None:
        """Ends the connection."""


class Resumable(Protocol):
    """The transport of a connection with stateful reconnect."""

    @property
    def can_resume(self) -> bool:
        """Whether another WebSocket may replace the present or the lost one."""


@dataclass(slots=True)
class HttpConnection:
    """The state of a connection that decides which requests may use it.

    A host adds state in a subclass.

    ``token`` is secret, ``connection_id`` is public.
    """

    connection_id: str
    token: str = field(repr=False)
    expires_at: float  # unless a transport activates the connection before
    path: str  # where the connection was negotiated, then where it was activated
    transport_type: HttpTransportType = HttpTransportType.NONE  # NONE until activation (TG-7)
    is_counted: bool = False  # for ``maximum_connections`` of its path
    is_stateful: bool = False  # negotiate has granted stateful reconnect (N-22)
    resumable: Resumable | None = None  # set by the host if its WebSocket may be exchanged
    is_disposed: bool = False  # ended by the client; the hub's side may not have ended yet
    user: Principal | None = None  # of the first POST, or of the request that activated it
    user_id: str | None = field(default=None, repr=False)  # of ``user``
    open_user: OpenUser | None = None  # set by the host when the transport is open
    user_path: str | None = None  # the path that determined ``user``; None before that

    def set_user(self, user: Principal | None, user_id: str | None, path: str) -> None:
        """Sets the user, its id and the path that determined it, if no user was set before.

        None is an anonymous user.
        """
        if self.user_path is None:
            self.user = user
            self.user_id = user_id
            self.user_path = path

    @property
    def can_resume(self) -> bool:
        """Whether a new WebSocket may continue the connection (SR-9, SR-12)."""
        return self.resumable is not None and self.resumable.can_resume

    @property
    def is_active(self) -> bool:
        """Whether a transport has activated the connection, which is final (TG-7)."""
        return self.transport_type is not HttpTransportType.NONE


ConnectionT = TypeVar("ConnectionT", bound=HttpConnection)


class HttpConnectionManager(Generic[ConnectionT]):
    """All connections of an application, by token.

    A connection waits until a transport activates it, or until it expires. Expired connections are
    removed when the table is next used, so the table needs no timer. ``make_connection`` takes the
    connection id, the token, the time of expiry and the path.
    """

    def __init__(self, make_connection: Callable[[str, str, float, str], ConnectionT]) -> None:
        self._make_connection = make_connection
        self._active: dict[str, ConnectionT] = {}
        self._active_by_path: Counter[str] = Counter()
        self._waiting: dict[str, WaitingConnections[ConnectionT]] = {}  # by path

    def create(
        self,
        path: str,
        version: int,
        now: float,
        lifetime: float,
        *,
        remote: str | None = None,
    ) -> ConnectionT:
        """A new connection, which expires after ``lifetime`` seconds unless it is activated.

        ``lifetime`` has to be the same in all calls for a path, because the oldest connection has
        to expire first. ``remote`` is the address of the client, if known.
        """
        self._expire(now)
        connection_id = negotiate.new_id()
        # In version 0 the public id serves as the token (N-12).
        token = negotiate.new_id() if version else connection_id
        connection = self._make_connection(connection_id, token, now + lifetime, path)
        self._waiting.setdefault(path, WaitingConnections()).add(token, connection, remote)
        return connection

    def make_room(self, path: str, maximum: int, now: float) -> bool:
        """Drops a waiting connection if ``maximum`` connections of ``path`` wait.

        Returns whether a connection was dropped.
        """
        self._expire(now)
        waiting = self._waiting.get(path)
        if waiting is None or len(waiting) < maximum:
            return False
        waiting.drop_one()
        return True

    def create_unnegotiated(self, path: str, now: float) -> ConnectionT:
        """A new connection for a client that skipped negotiate (TG-3).

        It is not in the table until it is activated.
        """
        connection_id = negotiate.new_id()
        return self._make_connection(connection_id, connection_id, now, path)

    def find(self, token: str, now: float) -> ConnectionT | None:
        """The connection of a token; None if the token is unknown, expired or retired (TG-4)."""
        self._expire(now)
        if found := self._active.get(token):
            return found
        for waiting in self._waiting.values():
            if found := waiting.get(token):
                return found
        return None

    def is_full(self, path: str, maximum: int) -> bool:
        """Whether ``maximum`` connections of ``path`` were activated and not removed."""
        return self._active_by_path[path] >= maximum

    def activate(
        self,
        connection: ConnectionT,
        transport_type: HttpTransportType,
        path: str,
        maximum: int,
    ) -> bool:
        """Activates the connection for a transport of ``path``, and counts it until ``remove``.

        If the path ``is_full``, changes nothing and returns False.
        """
        if self.is_full(path, maximum):
            return False
        if waiting := self._waiting.get(connection.path):
            waiting.remove(connection.token)
        connection.transport_type = transport_type
        connection.path = path
        self._active[connection.token] = connection
        self._active_by_path[path] += 1
        connection.is_counted = True
        return True

    def retire(self, connection: ConnectionT) -> None:
        """Invalidates the token when the transport has ended. The connection is still counted."""
        self._active.pop(connection.token, None)

    def remove(self, connection: ConnectionT) -> None:
        """Stops counting a connection that has ended, its hub methods included."""
        self.retire(connection)
        if connection.is_counted:
            connection.is_counted = False
            self._active_by_path[connection.path] -= 1

    @property
    def active(self) -> Iterable[ConnectionT]:
        """The active connections whose token is valid."""
        return self._active.values()

    def _expire(self, now: float) -> None:
        for waiting in self._waiting.values():
            while waiting and (oldest := next(iter(waiting.in_order))).expires_at <= now:
                waiting.remove(oldest.token)
