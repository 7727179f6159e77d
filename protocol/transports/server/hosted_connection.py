"""A negotiated connection, with the state that its transports keep between requests."""

from dataclasses import dataclass, field

from ...hosting.http_connections import HttpConnection
from ...server.resumable_transport import ResumableTransport
from .inbound_pipe import InboundPipe
from .long_polling import LongPollingServerTransport


@dataclass(slots=True)
class HostedConnection(HttpConnection):
    """A negotiated connection. ``inbound`` takes POSTs even before a transport has opened."""

    inbound: InboundPipe = field(init=False)
    long_polling: LongPollingServerTransport | None = None  # set by the first poll
    resumable_transport: ResumableTransport | None = None  # set for stateful reconnect

    def __post_init__(self) -> None:
        self.inbound = InboundPipe(expires_at=self.expires_at)

    def leave(self) -> None:
        """Ends the connection's input when the client has disconnected. POSTs are refused."""
        self.is_disposed = True
        self.inbound.complete()
