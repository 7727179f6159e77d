"""What the asyncio layer asks of a transport, in asyncio's vocabulary.

A transport pushes what arrives to a ``Receiver`` and takes what is written. Message boundaries
carry no meaning (LA-1). How bytes become frames, events or polls, and when a flush happens, is
decided by the transports.
"""

from dataclasses import dataclass
from typing import Protocol

from ..hub_protocol import TransferFormat

SLICE = 256
"""Connections that are written to before the event loop gets a chance to do something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """How much may lie between a client and its hub (TG-8), and for how long (TG-9)."""

    application_max_buffer_size: int = 64 * 1024
    """Bytes received and not yet served; beyond it nothing more is read."""

    transport_max_buffer_size: int = 64 * 1024
    """Bytes sent and not yet taken by the client; beyond it, senders to it alone wait."""

    transport_send_timeout: float = 10.0
    """Seconds for which a client may take nothing of them."""


class Receiver(Protocol):
    """Gets what a transport receives, in order. Neither method raises."""

    def data_received(self, data: bytes) -> None:
        """Takes the next bytes of the stream, as many as one read has brought."""

    def connection_lost(self, error: Exception | None) -> None:
        """Ends the stream; called once, and never before ``set_receiver`` returns.

        ``error`` is None when the peer has ended the stream or its connection was lost, and a
        TransportViolationError when the peer broke the transport's own rules.
        """


class Transport(Protocol):
    """One live connection, used by one receiver and any number of writers on one event loop."""

    @property
    def has_inherent_keep_alive(self) -> bool:
        """Whether the transport itself notices a lost peer, as long polling does.

        Over such a transport neither side pings, and a client has no server timeout (TL-11, K-1).
        """

    def write(self, data: bytes) -> int:
        """Queues ``data``; everything queued in one tick of the loop leaves together.

        Never blocks and never raises; what is written to a dead connection is dropped. Returns no
        less than what is ``buffered`` now.
        """

    def flush(self) -> None:
        """Hands over now what is queued."""

    @property
    def buffered(self) -> int:
        """Bytes written and not yet taken by the operating system."""

    def set_receiver(self, receiver: Receiver) -> None:
        """Pushes all bytes to ``receiver`` from now on.

        Bytes that came before are pushed at once, inside this call. Called once.
        """

    def pause_reading(self) -> None:
        """Asks for no more bytes; what one read has already brought may still be pushed."""

    def resume_reading(self) -> None:
        """Allows reading again. Nothing is pushed inside this call."""

    async def drain(self) -> None:
        """Returns once half of what may be buffered is left, or the connection is dead (TG-8)."""

    async def close(self, *, failed: bool = False) -> None:
        """Flushes and ends the connection in an orderly way; waits a little for the peer.

        Reading resumes for the peer's answer; its bytes are dropped.

        ``failed``: it ends because something failed on our side.
        """

    def abort(self) -> None:
        """Cuts the connection at once; what is buffered is lost."""


class ServerTransport(Transport, Protocol):
    """A server's end. The handshake decides the format of what it sends."""

    @property
    def limits(self) -> TransportLimits:
        """The limits that its endpoint sets for transports of its kind."""

    @property
    def transfer_formats(self) -> frozenset[TransferFormat]:
        """What it can carry; the handshake refuses hub protocols of another format (H-7)."""

    def stop_receiving(self) -> None:
        """Drops what arrives from now on, although the connection has not ended yet (TG-6)."""

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """Sets the format of what is written from now on; until then all is text (TW-3, H-8).

        It is the opcode of WebSockets; other transports ignore it. What was written before keeps
        its format: no flush mixes the two.
        """
