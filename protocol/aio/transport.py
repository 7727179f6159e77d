"""The interface between connections and transports, in asyncio's vocabulary.

A transport pushes received bytes to a ``Receiver`` and sends the bytes that are written to it. It
is a byte stream: message boundaries carry no meaning (LA-1). ``protocol.transports`` decides how
bytes become frames, events or polls, and when they are flushed.
"""

from dataclasses import dataclass
from typing import Protocol

from ..hub_protocol import TransferFormat

CONNECTIONS_PER_TURN = 256
"""The maximum number of connections that are written to in one turn of the event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """How many bytes may wait in each direction (TG-8), and how long a sender may wait (TG-9)."""

    application_max_buffer_size: int = 64 * 1024
    """Bytes received and not yet handled. While there are more, reading pauses."""

    transport_max_buffer_size: int = 64 * 1024
    """Bytes written and still ``buffered``. While there are more, a send to this client alone
    waits."""

    transport_send_timeout: float = 10.0
    """Seconds that a sender waits for the buffer to drain before the client is disconnected."""


class Receiver(Protocol):
    """Gets the bytes that a transport receives, in order. Neither method raises an exception."""

    def data_received(self, data: bytes) -> None:
        """Takes the next bytes of the stream: all bytes of one read."""

    def connection_lost(self, error: Exception | None) -> None:
        """Ends the stream. It is called once, and never before ``set_receiver`` returns.

        ``error`` is None when the peer has ended the stream or the connection was lost, and a
        TransportViolationError when the peer broke the rules of the transport.
        """


class Transport(Protocol):
    """One live connection, used by one receiver and any number of writers on one event loop."""

    @property
    def has_inherent_keep_alive(self) -> bool:
        """Whether the transport itself notices a lost peer, as long polling does.

        Over such a transport neither side pings, and a client has no server timeout (TL-11, K-1).
        """

    @property
    def was_cut(self) -> bool:
        """Whether the connection was lost although the peer has not closed it (SR-9).

        Such a peer may continue on another transport. False on transports that cannot be exchanged.
        """

    def write(self, data: bytes) -> int:
        """Queues ``data``. All bytes queued in one turn of the event loop are sent together.

        Never blocks and never raises. Bytes written to a dead connection are dropped. Returns the
        number of bytes that are ``buffered`` now, or an upper bound of this number.
        """

    def flush(self) -> None:
        """Sends the queued bytes at once."""

    @property
    def buffered(self) -> int:
        """The number of bytes written and not yet taken by the operating system."""

    def set_receiver(self, receiver: Receiver) -> None:
        """Pushes all bytes to ``receiver`` from now on.

        Bytes that have already been received are pushed inside this call. A connection calls it
        once.
        """

    def pause_reading(self) -> None:
        """Stops reading. The bytes of a read that is already complete may still be pushed."""

    def resume_reading(self) -> None:
        """Allows reading again. Nothing is pushed inside this call."""

    async def drain(self) -> None:
        """Returns when at most half of the buffer is full, or the connection is dead (TG-8)."""

    async def close(self, *, failed: bool = False) -> None:
        """Flushes and closes the connection in an orderly way, and waits a short time for the peer.

        Reading resumes for the peer's answer, whose bytes are dropped. ``failed`` is true if the
        connection ends because of an error on this side.
        """

    def abort(self) -> None:
        """Cuts the connection at once. Buffered bytes are lost."""


class ServerTransport(Transport, Protocol):
    """The server's end of a transport. The handshake decides the format of the bytes it sends."""

    @property
    def limits(self) -> TransportLimits:
        """The limits that the hub's endpoint sets for this kind of transport."""

    @property
    def transfer_formats(self) -> frozenset[TransferFormat]:
        """The formats that the transport can carry.

        The handshake refuses hub protocols that need another format (H-7).
        """

    def stop_receiving(self) -> None:
        """Drops bytes that arrive from now on. The connection has not ended yet (TG-6)."""

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """Sets the format of all later writes. Earlier writes are text (TW-3, H-8).

        Over WebSockets the format is the opcode of the frames. Other transports ignore the format.
        Bytes written before this call keep their format: no flush mixes two formats.
        """
