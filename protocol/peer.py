"""One end of a hub connection without any I/O: bytes → messages, for either role.

Composes handshake, framer, hub protocol and keep-alive, and judges who may send what. Time is an
argument. What a message causes, and every byte's way to the other side, is left to the driver:
``aio.client`` for one role, ``aio.server`` for the other.
"""

from collections.abc import Iterable, Iterator

from .errors import RemoteProtocolError
from .framing import Framer
from .handshake import ClientHandshake, ServerHandshake
from .hub_protocol import HubProtocol
from .keepalive import KeepAlive
from .messages import MAY_SEND, Ping, ReceivedMessage, Role


class HubPeer:
    """The receiving half and the clockwork of one connection.

    ``handshake`` decides the hub protocol; until it has, only ``receive_handshake`` may be called.
    ``maximum_receive_message_size`` limits one record, separator included (F-4).
    """

    def __init__(
        self,
        role: Role,
        handshake: ClientHandshake | ServerHandshake,
        keep_alive: KeepAlive,
        maximum_receive_message_size: int | None,
    ) -> None:
        self.role = role
        self.keep_alive = keep_alive
        self._handshake = handshake
        self._maximum_size = maximum_receive_message_size
        self._accepted = MAY_SEND[role.other]
        self._hub_protocol: HubProtocol | None = None
        self._framer: Framer | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the handshake is done."""
        return self._hub_protocol is not None

    @property
    def hub_protocol(self) -> HubProtocol:
        """What was agreed in the handshake."""
        assert self._hub_protocol is not None, "the handshake is not done"
        return self._hub_protocol

    def receive_handshake(self, data: bytes) -> bytes | None:
        """None until the handshake is done, then the bytes that followed it.

        Raises HandshakeError; the connection is of no further use then.
        """
        agreed = self._handshake.receive(data)
        if agreed is None:
            return None
        self._hub_protocol, rest = agreed
        self._framer = self._hub_protocol.framer(self._maximum_size)
        return rest

    def receive_data(self, data: bytes, now: float) -> Iterable[ReceivedMessage]:
        """The messages that ``data`` completes; unknown types are left out (J-9, S-22).

        To be iterated before the next call. Iterating raises RemoteProtocolError after the messages
        before the fault (S-20).
        """
        assert self._hub_protocol is not None, "the handshake is not done"
        assert self._framer is not None
        messages = self._hub_protocol.decode_all(self._framer.feed(data))
        if isinstance(messages, list):  # of what either side may send
            if messages:
                self.keep_alive.heard(now)
            return messages
        return self._judge(messages, now)

    def _judge(
        self, messages: Iterable[ReceivedMessage | None], now: float
    ) -> Iterator[ReceivedMessage]:
        heard = False
        for message in messages:
            if not heard:
                heard = True
                self.keep_alive.heard(now)
            if message is None:
                continue
            kind = type(message)
            if kind not in self._accepted:
                raise RemoteProtocolError(f"Unexpected message type: {kind.__name__}Message")
            if kind is Ping:
                self.keep_alive.pinged()
            yield message

    def receive_end(self) -> None:
        """The stream has ended. Raises RemoteProtocolError inside a message (F-3)."""
        if self._framer is not None and self._framer.has_partial:
            raise RemoteProtocolError("Connection terminated while reading a message.")
