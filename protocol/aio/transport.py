"""What the asyncio layer asks of a transport: a duplex byte stream, and how full it is.

Message boundaries carry no meaning (0-1). How bytes become frames, events or polls, and when a
flush happens, is the transport's business.
"""

from dataclasses import dataclass
from typing import Protocol

from ..hub_protocol import TransferFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportLimits:
    """How much may lie between a client and its hub (TG-8), and for how long (TG-9)."""

    application_max_buffer_size: int = 64 * 1024
    """Bytes received and not yet served; beyond it nothing more is read."""

    transport_max_buffer_size: int = 64 * 1024
    """Bytes sent and not yet taken by the client; beyond it, senders to it alone wait."""

    transport_send_timeout: float = 10.0
    """Seconds for which a client may take nothing of them."""


class Transport(Protocol):
    """One live connection, used by one reader and any number of writers on one event loop."""

    @property
    def has_inherent_keep_alive(self) -> bool:
        """Whether the transport itself notices a peer that is gone, as polls do.

        Over such a one neither side pings, and a client has no server timeout (TL-11, K-1).
        """

    def write(self, data: bytes) -> int:
        """Queues ``data``; everything queued in one tick of the loop leaves together.

        Never blocks and never raises; what is written to a dead connection is dropped. Returns no
        less than what is ``buffered`` now.
        """

    def flush(self) -> None:
        """Hands over now what is queued."""

    @property
    def is_closed(self) -> bool:
        """Whether the connection is known to be gone, although nobody is receiving."""

    @property
    def buffered(self) -> int:
        """Bytes written and not yet taken by the operating system."""

    async def drain(self) -> None:
        """Returns once half of what may be buffered is left, or the connection is dead (TG-8)."""

    async def close(self, *, failed: bool = False) -> None:
        """Flushes and ends the connection in an orderly way; waits a little for the peer.

        ``failed``: it ends because something failed on our side.
        """

    def abort(self) -> None:
        """Cuts the connection at once; what is buffered is lost."""


class ClientTransport(Transport, Protocol):
    """A client's end."""

    async def receive(self) -> bytes | None:
        """The next bytes, or None when the peer has ended the stream in an orderly way or vanished.

        Raises TransportViolationError when the peer broke the transport's own rules.
        """


class ServerTransport(Transport, Protocol):
    """A server's end, which learns from the handshake what its client speaks."""

    async def receive_into(self, inbox: bytearray, maximum_size: int) -> bool:
        """Appends what arrives to ``inbox``; waits only while nothing more is there.

        Returns True as soon as more than ``maximum_size`` bytes lie in it; False when the peer has
        ended the stream in an orderly way or vanished. Raises TransportViolationError when the peer
        broke the transport's own rules. A call and a coroutine for each piece of a burst would cost
        as much as all the rest of receiving it.

        Each wait may be made by another task, so no timeout may span one; cancelled in one, nothing
        is lost, for it is called again.
        """

    async def acknowledge_end(self) -> None:
        """Answers the end of the stream at once, if an answer is due before the connection's end.

        It is no part of ``receive_into``, which another task may go on with while it waits.
        """

    @property
    def limits(self) -> TransportLimits:
        """What of its kind its endpoint allows."""

    @property
    def transfer_formats(self) -> frozenset[TransferFormat]:
        """What it can carry; the handshake refuses hub protocols of another format (H-7)."""

    def stop_receiving(self) -> None:
        """The hub reads no more, although the connection has not ended yet (TG-6)."""

    def tick(self, now: float) -> None:
        """Called about once a second until it is closed, for timeouts of its own (TG-10)."""

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """What is written from now on is of this format; until then all is text (TW-3, H-8).

        It is the opcode of WebSockets, and nothing to transports that do not tell the two apart.
        What was written before leaves in the format of its time: no flush mixes them.
        """
