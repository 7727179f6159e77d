"""One end of a hub connection without any I/O: bytes → messages → bytes, for either role.

Composes handshake, framer, hub protocol, keep-alive, ledger and message buffer. Refuses every
message that the table of ``peer_state`` does not allow. Time is an argument.
``client.connection`` and ``server.connection`` act on the messages and own the transport.
"""

from collections.abc import Iterator
from typing import Final

from .errors import (
    ConnectionClosed,
    LocalProtocolError,
    MessageTooLargeError,
    RemoteProtocolError,
)
from .framing import Framer
from .handshake import (
    STATEFUL_VERSION,
    SUCCESS_RESPONSE,
    ClientHandshake,
    ServerHandshake,
    write_response,
)
from .hub_protocol import HubProtocol
from .keepalive import KeepAlive
from .ledger import CallLedger
from .message_buffer import COUNTED, MessageBuffer
from .messages import (
    VOID,
    Ack,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    ReceivedMessage,
    Role,
    StreamInvocation,
    StreamItem,
)
from .peer_state import MAY_SEND, PeerState

# The limit for sending applies to these messages and to results. The code that sends them handles
# MessageTooLargeError.
_CALLS_AND_ITEMS: Final = frozenset({Invocation, StreamInvocation, StreamItem})


class HubPeer:
    """One end of one connection, from the first byte of its handshake to its end.

    ``handshake`` decides the hub protocol. ``maximum_receive_message_size`` limits each message
    that is received, ``maximum_send_message_size`` each call, item and result that is sent. Both
    are bytes of the whole frame, delimiter included; None means no limit (F-4). With a
    ``message_buffer`` the connection can change its transport, if the version in the handshake
    allows it (SR-1).

    If the state does not allow a call, the method raises LocalProtocolError and changes nothing.
    """

    __slots__ = (
        "_framer",
        "_handshake",
        "_hub_protocol",
        "_maximum_receive_size",
        "_maximum_send_size",
        "_may_receive",
        "_may_send",
        "_offered_buffer",
        "calls",
        "keep_alive",
        "message_buffer",
        "role",
        "state",
    )

    def __init__(
        self,
        role: Role,
        handshake: ClientHandshake | ServerHandshake,
        keep_alive: KeepAlive,
        maximum_receive_message_size: int | None,
        maximum_send_message_size: int | None = None,
        *,
        message_buffer: MessageBuffer | None = None,
    ) -> None:
        self.role = role
        self.keep_alive = keep_alive
        self.calls = CallLedger()
        self._handshake = handshake
        self._maximum_receive_size = maximum_receive_message_size
        self._maximum_send_size = maximum_send_message_size
        self._hub_protocol: HubProtocol | None = None
        self._framer: Framer | None = None
        self._offered_buffer = message_buffer
        self.message_buffer: MessageBuffer | None = None
        """Set by a handshake that allows stateful reconnect. It counts all later messages."""
        self._enter(PeerState.HANDSHAKE)

    def _enter(self, state: PeerState) -> None:
        self.state = state
        self._may_send = MAY_SEND[self.role][state]
        self._may_receive = MAY_SEND[self.role.other][state.mirrored]

    @property
    def can_send(self) -> bool:
        """Whether messages may be sent in this state."""
        return bool(self._may_send)

    @property
    def hub_protocol(self) -> HubProtocol:
        """The hub protocol that was agreed in the handshake."""
        if self._hub_protocol is None:
            raise _no_handshake()
        return self._hub_protocol

    # ---- the handshake

    def request_handshake(self) -> bytes:
        """The handshake request, a client's first bytes."""
        self._require_handshake(Role.CLIENT)
        assert isinstance(self._handshake, ClientHandshake)
        return self._handshake.request()

    def receive_handshake(self, data: bytes, now: float) -> bytes | None:
        """Returns None until the other end's record is complete, then the bytes after it (H-3).

        When bytes are returned, a client is connected; a server is connected after
        ``accept_handshake``. Raises HandshakeError if the handshake fails. The caller must then end
        the connection. A server first sends ``refuse_handshake`` with the text of the error.
        """
        self._require_handshake(self.role)
        agreed = self._handshake.receive(data)
        if agreed is None:
            return None
        self._hub_protocol, rest = agreed
        self._framer = self._hub_protocol.framer(self._maximum_receive_size)
        if self._handshake.version >= STATEFUL_VERSION:
            self.message_buffer = self._offered_buffer
        if self.role is Role.CLIENT:
            self._start(now)
        return rest

    def accept_handshake(self, now: float) -> bytes:
        """A server's answer that accepts the request; nothing may be sent before it (H-14)."""
        self._require_handshake(Role.SERVER)
        if self._hub_protocol is None:
            raise LocalProtocolError("There is no handshake request to accept.")
        self._start(now)
        return SUCCESS_RESPONSE

    def refuse_handshake(self, error: str) -> bytes:
        """A server's answer that refuses the request, with the text ``error``.

        The state becomes closed; no Close message follows (H-2).
        """
        self._require_handshake(Role.SERVER)
        self._enter(PeerState.CLOSED)
        return write_response(error)

    def _require_handshake(self, role: Role) -> None:
        if self.state is not PeerState.HANDSHAKE or self.role is not role:
            raise LocalProtocolError(
                f"A {self.role.value} cannot do this step of the handshake in the state "
                f"'{self.state.value}'."
            )

    def _start(self, now: float) -> None:
        self._enter(PeerState.CONNECTED)
        self.keep_alive.start(now)

    # ---- receiving

    def receive_data(self, data: bytes, now: float) -> Iterator[ReceivedMessage | None]:
        """The messages that ``data`` completes.

        None stands for a message of an unknown type (J-9, S-22), and for a duplicate (SR-5).

        The caller iterates to the end before it calls ``receive_data`` again. If there is a fault,
        iterating yields the messages before the fault, then raises RemoteProtocolError (S-20).
        Bytes after a fault or a Close are ignored (C-15, S-24).
        """
        hub_protocol, framer = self._hub_protocol, self._framer
        if hub_protocol is None or framer is None:
            raise _no_handshake()
        may_receive = self._may_receive
        if not may_receive:
            return
        messages = hub_protocol.decode_all(framer.feed(data))
        if self.message_buffer is not None:
            messages = self.message_buffer.receive(messages)
        has_message = False
        try:
            for message in messages:
                if not has_message:
                    has_message = True
                    self.keep_alive.message_received(now)
                kind = type(message)
                if kind in may_receive:
                    if kind is Ping:
                        self.keep_alive.ping_received()
                    elif kind is Close:
                        self._end_receiving()
                        yield message
                        return
                elif message is not None:
                    raise RemoteProtocolError(f"Unexpected message type: {kind.__name__}Message")
                yield message
        except RemoteProtocolError:
            self._end_receiving()
            raise

    def receive_end(self) -> None:
        """Ends receiving, because no more bytes will come from the other end.

        Raises RemoteProtocolError if the bytes end inside a message (F-3).
        """
        is_inside = (
            bool(self._may_receive) and self._framer is not None and self._framer.has_partial
        )
        self._end_receiving()
        if is_inside:
            raise RemoteProtocolError("Connection terminated while reading a message.")

    def _end_receiving(self) -> None:
        is_open = self.state in (PeerState.CONNECTED, PeerState.HALF_CLOSED_REMOTE)
        self._enter(PeerState.HALF_CLOSED_REMOTE if is_open else PeerState.CLOSED)

    # ---- sending

    def send(self, message: HubMessage, now: float) -> bytes:
        """Returns the frame of ``message`` and counts the message as sent.

        Returns b"" if the message buffer is full and holds the frame back (SR-8).

        Raises LocalProtocolError if this end may not send ``message`` now or if a payload has no
        representation. Raises MessageTooLargeError if the frame is over the limit. A message that
        raises does not count as sent.
        """
        kind = type(message)
        hub_protocol = self._hub_protocol
        if hub_protocol is None:
            raise _no_handshake()
        frame = hub_protocol.encode(message)
        limit = self._maximum_send_size
        if limit is not None and len(frame) > limit and _is_limited(message):
            raise MessageTooLargeError(len(frame), limit)
        self.sent(kind, now)
        if self.message_buffer is not None and kind in COUNTED:
            return self.message_buffer.add(frame)
        return frame

    def sent(self, kind: type[HubMessage], now: float) -> None:
        """Counts a message of this kind as sent, for a frame that the caller has encoded.

        Raises LocalProtocolError if this end may not send a message of this kind now.
        """
        if kind not in self._may_send:
            raise LocalProtocolError(
                f"A {self.role.value} may not send a {kind.__name__} in the state "
                f"'{self.state.value}'."
            )
        self.keep_alive.message_sent(kind, now)
        if kind is Close:
            is_open = self.state is PeerState.CONNECTED
            self._enter(PeerState.HALF_CLOSED_LOCAL if is_open else PeerState.CLOSED)

    def acknowledge(self, now: float) -> bytes:
        """The Ack for the messages received so far, or b"" if none is owed (SR-6)."""
        buffer = self.message_buffer
        if buffer is None or not buffer.owes_ack or Ack not in self._may_send:
            return b""
        return self.send(buffer.next_ack(), now)

    def resume(self, now: float) -> bytes:
        """Moves the connection to a new transport, and returns the first bytes for it (SR-13).

        An unfinished message from the last transport is dropped, because the other end sends it
        again. The interval and the timeout start again. In the handshake there are no first bytes,
        and the handshake continues where it was cut off (SR-21).
        """
        if self.state is PeerState.HANDSHAKE:
            return b""
        buffer = self.message_buffer
        if buffer is None or self.state is not PeerState.CONNECTED:
            raise LocalProtocolError(
                f"A {self.role.value} cannot change its transport in the state "
                f"'{self.state.value}'."
            )
        self._framer = self.hub_protocol.framer(self._maximum_receive_size)
        self.keep_alive.start(now)
        sequence, frames = buffer.replay()
        return self.send(sequence, now) + frames

    def close(self, end: ConnectionClosed) -> None:
        """Ends the connection; pending calls fail with a copy of ``end`` (R-3)."""
        self._enter(PeerState.CLOSED)
        self.calls.fail_all(end)


def _no_handshake() -> LocalProtocolError:
    return LocalProtocolError("The handshake is not done.")


def _is_limited(message: HubMessage) -> bool:
    if type(message) is Completion:
        return message.result != VOID
    return type(message) in _CALLS_AND_ITEMS
