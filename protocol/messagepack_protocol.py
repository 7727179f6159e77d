"""The MessagePack hub protocol: one array per message, behind its length (section M of the rules).

Two readers, as for JSON. The fast path lets msgspec decode the messages that nearly all traffic
consists of; what is not of their plainest form goes to the full reader in ``messagepack_reader``,
which knows every legal encoding and every error. How values become payloads and back is left to
``messagepack_values`` and ``messagepack_binding``.
"""

from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Raw, Struct

from .errors import DECODING_FAILURES, LocalProtocolError
from .framing import Framer
from .hub_protocol import HubProtocol, TransferFormat
from .messagepack_binding import BINDER
from .messagepack_framing import LengthPrefixFramer, frame
from .messagepack_reader import ResultKind, read_message
from .messagepack_values import WRITER
from .messages import (
    VOID,
    Ack,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    MessageType,
    Ping,
    ReceivedMessage,
    Sequence,
    StreamInvocation,
    StreamItem,
)
from .value_writer import FAILURES

# As plain numbers: members of an enum take msgspec twice as long.
(
    _INVOCATION,
    _STREAM_ITEM,
    _COMPLETION,
    _STREAM_INVOCATION,
    _CANCEL_INVOCATION,
    _PING,
    _CLOSE,
    _ACK,
    _SEQUENCE,
) = (kind.value for kind in MessageType)
_ERROR, _VOID, _NON_VOID = (kind.value for kind in ResultKind)


class _Frequent(Struct, array_like=True, frozen=True, gc=False):
    headers: dict[str, str]


class _Invocation(_Frequent, frozen=True, tag=1):
    invocation_id: str | None
    target: str
    arguments: Raw
    stream_ids: tuple[str, ...] = ()


class _StreamItem(_Frequent, frozen=True, tag=2):
    invocation_id: str
    item: Raw


class _Completion(_Frequent, frozen=True, tag=3):
    invocation_id: str
    kind: int
    result: Raw = VOID


class MessagePackHubProtocol(HubProtocol):
    """Hub protocol ``messagepack``, as MessagePack-CSharp speaks it on ASP.NET Core."""

    name: ClassVar[str] = "messagepack"
    version: ClassVar[int] = 2
    transfer_format: ClassVar[TransferFormat] = TransferFormat.BINARY

    def __init__(self) -> None:
        frequent: msgspec.msgpack.Decoder[_Invocation | _StreamItem | _Completion] = (
            msgspec.msgpack.Decoder(_Invocation | _StreamItem | _Completion)
        )
        self._decode = frequent.decode
        self._encode = msgspec.msgpack.Encoder().encode

    def framer(self, maximum_size: int | None) -> Framer:
        """See HubProtocol."""
        return LengthPrefixFramer(maximum_size)

    def decode(self, record: bytes) -> ReceivedMessage | None:
        """See HubProtocol."""
        try:
            message = self._decode(record)
        except DECODING_FAILURES:
            return read_message(record)
        return _hub_message(message) or read_message(record)

    def require_arguments(self, arguments: Raw) -> None:
        """See HubProtocol. They are an array, or ``decode`` had given a binding failure (M-10)."""

    def encode(self, message: HubMessage) -> bytes:
        """See HubProtocol. Raises LocalProtocolError when a Raw in it is no MessagePack value."""
        return frame(self._encode(_elements(message)))

    def encode_result(self, invocation_id: str, result: Any) -> bytes:
        """See HubProtocol."""
        try:
            value = WRITER.wire_value(result)
            return frame(self._encode((_COMPLETION, {}, invocation_id, _NON_VOID, value)))
        except FAILURES as error:
            raise WRITER.unwritable(error) from error

    encode_value = staticmethod(WRITER.encode_value)
    encode_arguments = staticmethod(WRITER.encode_arguments)
    arguments_reader = staticmethod(BINDER.arguments_reader)
    value_reader = staticmethod(BINDER.value_reader)


def _hub_message(message: _Invocation | _StreamItem | _Completion) -> ReceivedMessage | None:
    """The message, or None where the Structs cannot tell whether it is one."""
    if message.headers:
        return None
    if type(message) is _Invocation:
        first = memoryview(message.arguments)[0]
        if (
            message.target
            and not message.stream_ids
            and (0x90 <= first <= 0x9F or 0xDC <= first <= 0xDD)
        ):
            return Invocation(
                invocation_id=message.invocation_id or "",
                target=message.target,
                arguments=message.arguments,
            )
    elif message.invocation_id:
        if type(message) is _StreamItem:
            return StreamItem(invocation_id=message.invocation_id, item=message.item)
        assert type(message) is _Completion
        if message.kind == _NON_VOID and message.result != VOID:
            return Completion(invocation_id=message.invocation_id, result=message.result)
        if message.kind == _VOID:
            return Completion(invocation_id=message.invocation_id)
    return None


def _elements(message: HubMessage) -> tuple[Any, ...]:
    """What a message's array holds (M-1)."""
    match message:
        case Invocation() | StreamInvocation():
            return (
                _INVOCATION if type(message) is Invocation else _STREAM_INVOCATION,
                dict(message.headers),
                message.invocation_id or None,
                message.target,
                message.arguments,
                message.stream_ids,
            )
        case Completion():
            return (_COMPLETION, dict(message.headers), message.invocation_id, *_outcome(message))
        case StreamItem():
            return (
                _STREAM_ITEM,
                dict(message.headers),
                message.invocation_id,
                _whole(message.item),
            )
        case CancelInvocation():
            return (_CANCEL_INVOCATION, dict(message.headers), message.invocation_id)
        case Ping():
            return (_PING,)
        case Close():
            return (_CLOSE, message.error or None, message.allow_reconnect)
        case Ack():
            return (_ACK, message.sequence_id)
        case Sequence():
            return (_SEQUENCE, message.sequence_id)


def _outcome(completion: Completion) -> tuple[Any, ...]:
    """The kind of a result, and the result (M-6). An error counts even when it is empty."""
    error, result = completion.error, completion.result
    if error is not UNSET:
        if result != VOID:
            raise LocalProtocolError("A completion has either an error or a result (J-6).")
        return (_ERROR, error)
    if result == VOID:
        return (_VOID,)
    return (_NON_VOID, _whole(result))


def _whole(payload: Raw) -> Raw:
    try:
        return WRITER.raw(payload)
    except FAILURES as error:
        raise WRITER.unwritable(error) from error
