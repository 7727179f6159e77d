"""The connections that negotiate handed out: found by token, dropped when nobody picks them up.

One table per application, whatever the path (N-13). Tokens are 128 random bits found by dict
lookup, so that guessing by timing is as hopeless as guessing outright. How many may wait, for how
long, and how many may be active is each path's own affair, so they are kept apart by path.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from .. import negotiate
from ..http_transport_type import HttpTransportType
from .inbound_pipe import InboundPipe
from .long_polling_server import LongPollingServerTransport


@dataclass(slots=True)
class HttpConnection:
    """What the HTTP side knows of a connection. ``token`` is secret, ``connection_id`` public."""

    connection_id: str
    token: str
    expires_at: float  # unless a transport picks it up
    path: str = ""  # where it was negotiated, then where it was picked up
    inbound: InboundPipe = field(init=False)  # what is POSTed
    transport_type: HttpTransportType = HttpTransportType.NONE  # once one has picked it up (TG-7)
    polls: LongPollingServerTransport | None = None
    is_disposed: bool = False  # its client has ended it; the hub may still be about it

    def __post_init__(self) -> None:
        self.inbound = InboundPipe(expires_at=self.expires_at)

    @property
    def is_active(self) -> bool:
        """Whether a transport has picked it up, for life (TG-7)."""
        return self.transport_type is not HttpTransportType.NONE


class HttpConnectionManager:
    """All live connections of an application by token.

    Those of a path that wait for a transport expire in the order they came; they leave when the
    table is next used, so that it needs no timer, and their number is bounded.
    """

    def __init__(self) -> None:
        self._active: dict[str, HttpConnection] = {}
        self._active_by_path: Counter[str] = Counter()
        self._waiting: dict[str, dict[str, HttpConnection]] = {}  # by path, ordered by age

    def create(
        self, path: str, version: int, now: float, lifetime: float, maximum: int
    ) -> HttpConnection | None:
        """A new connection that waits ``lifetime`` seconds, always the same for a path.

        None when ``maximum`` of that path wait already.
        """
        self._expire(now)
        waiting = self._waiting.setdefault(path, {})
        if len(waiting) >= maximum:
            return None
        connection_id = negotiate.new_id()
        token = negotiate.new_id() if version else connection_id  # N-12
        connection = waiting[token] = HttpConnection(connection_id, token, now + lifetime, path)
        return connection

    def find(self, token: str, now: float) -> HttpConnection | None:
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
        connection: HttpConnection,
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
        return True

    def remove(self, connection: HttpConnection) -> None:
        """It has ended: its token means nothing any more."""
        if self._active.pop(connection.token, None) is not None:
            self._active_by_path[connection.path] -= 1

    @property
    def active(self) -> Iterable[HttpConnection]:
        """Those that a transport has picked up."""
        return self._active.values()

    def _expire(self, now: float) -> None:
        for waiting in self._waiting.values():
            while waiting and (oldest := next(iter(waiting.values()))).expires_at <= now:
                del waiting[oldest.token]
