"""A negotiated connection, with what its transports keep between requests."""

from dataclasses import dataclass, field

from ...hosting.http_connections import HttpConnection
from .inbound_pipe import InboundPipe
from .long_polling import LongPollingServerTransport


@dataclass(slots=True)
class HostedConnection(HttpConnection):
    """``inbound`` buffers POSTed bytes, also before a transport has picked the connection up."""

    inbound: InboundPipe = field(init=False)
    polls: LongPollingServerTransport | None = None  # once it polls

    def __post_init__(self) -> None:
        self.inbound = InboundPipe(expires_at=self.expires_at)

    def leave(self) -> None:
        """The client has left: reading ends, and POSTs are refused."""
        self.is_disposed = True
        self.inbound.complete()
