"""The connections that negotiate handed out: found by token, dropped when nothing picks them up.

One table per application, whatever the path (N-13). Tokens are 128 random bits found by dict
lookup, so that guessing by timing is as hopeless as guessing outright. How many may wait, for how
long, and how many may be active is set for each path, so they are kept apart by path.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .. import negotiate
from ..http_transport_type import HttpTransportType


@dataclass(slots=True)
class HttpConnection:
    """The state of a connection that requests are decided by; a host adds its own in a subclass.

    ``token`` is secret, ``connection_id`` public.
    """

    connection_id: str
    token: str
    expires_at: float  # unless a transport picks it up
    path: str  # where it was negotiated, then where it was picked up
    transport_type: HttpTransportType = HttpTransportType.NONE  # once one has picked it up (TG-7)
    has_place: bool = False  # among the ``maximum_connections`` of its path
    is_disposed: bool = False  # ended by its client; the hub may still be ending it

    @property
    def is_active(self) -> bool:
        """Whether a transport has picked it up, for life (TG-7)."""
        return self.transport_type is not HttpTransportType.NONE


ConnectionT = TypeVar("ConnectionT", bound=HttpConnection)


class HttpConnectionManager(Generic[ConnectionT]):
    """All live connections of an application by token.

    Those of a path that wait for a transport expire in the order they came; they leave when the
    table is next used, so that it needs no timer, and their number is bounded. ``make_connection``
    takes connection id, token, time of expiry and path.
    """

    def __init__(self, make_connection: Callable[[str, str, float, str], ConnectionT]) -> None:
        self._make_connection = make_connection
        self._active: dict[str, ConnectionT] = {}
        self._active_by_path: Counter[str] = Counter()
        self._waiting: dict[str, dict[str, ConnectionT]] = {}  # by path, ordered by age

    def create(
        self, path: str, version: int, now: float, lifetime: float, maximum: int
    ) -> ConnectionT | None:
        """A new connection that waits ``lifetime`` seconds, always the same for a path.

        None when ``maximum`` of that path wait already.
        """
        self._expire(now)
        waiting = self._waiting.setdefault(path, {})
        if len(waiting) >= maximum:
            return None
        connection_id = negotiate.new_id()
        # In version 0 the public id serves as the token (N-12).
        token = negotiate.new_id() if version else connection_id
        connection = self._make_connection(connection_id, token, now + lifetime, path)
        waiting[token] = connection
        return connection

    def create_unnegotiated(self, path: str, now: float) -> ConnectionT:
        """A new connection for a client that skipped negotiate (TG-3).

        It is in the table once a transport has picked it up.
        """
        connection_id = negotiate.new_id()
        return self._make_connection(connection_id, connection_id, now, path)

    def find(self, token: str, now: float) -> ConnectionT | None:
        """The connection of a token; None when never issued, expired or ended (TG-4)."""
        self._expire(now)
        for connections in (self._active, *self._waiting.values()):
            if found := connections.get(token):
                return found
        return None

    def is_full(self, path: str, maximum: int) -> bool:
        """Whether ``maximum`` connections of ``path`` are active, so that there is no room."""
        return self._active_by_path[path] >= maximum

    def activate(
        self,
        connection: ConnectionT,
        transport_type: HttpTransportType,
        path: str,
        maximum: int,
    ) -> bool:
        """A transport of ``path`` picks it up; it stays until ``remove``.

        False when that path ``is_full``: then nothing has changed.
        """
        if self.is_full(path, maximum):
            return False
        self._waiting.get(connection.path, {}).pop(connection.token, None)
        connection.transport_type = transport_type
        connection.path = path
        self._active[connection.token] = connection
        self._active_by_path[path] += 1
        connection.has_place = True
        return True

    def retire(self, connection: ConnectionT) -> None:
        """Invalidates the token, as its transport has ended. The connection keeps its place."""
        self._active.pop(connection.token, None)

    def remove(self, connection: ConnectionT) -> None:
        """Frees its place: the connection and its methods have ended."""
        self.retire(connection)
        if connection.has_place:
            connection.has_place = False
            self._active_by_path[connection.path] -= 1

    @property
    def active(self) -> Iterable[ConnectionT]:
        """Those that a transport has picked up."""
        return self._active.values()

    def _expire(self, now: float) -> None:
        for waiting in self._waiting.values():
            while waiting and (oldest := next(iter(waiting.values()))).expires_at <= now:
                del waiting[oldest.token]
