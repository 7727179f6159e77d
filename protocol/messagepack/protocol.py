"""The MessagePack hub protocol: each message is a length and one array (section M).

There are two readers, as for JSON. The fast reader is msgspec: it decodes each of the nine message
types in one step, into types that accept less than .NET does. The full reader in ``reader`` accepts
every legal encoding and reports every error. It reads the records that msgspec refuses. msgspec
also accepts some records that .NET refuses. For such a record the method ``message`` of the decoded
Struct returns None, and the full reader reads the record. ``writing`` converts values to payloads,
``binding`` converts payloads to values.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct

from ..errors import DECODING_FAILURES, LocalProtocolError
from ..framing import Framer
from ..hub_protocol import HubProtocol, TransferFormat
from ..messages import (
    VOID,
    Ack,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Int64,
    Invocation,
    MessageType,
    Ping,
    ReceivedMessage,
    RequiredText,
    Sequence,
    StreamInvocation,
    StreamItem,
)
from ..values.writing import FAILURES
from .binding import BINDER
from .framing import LengthPrefixFramer, frame
from .reader import ResultKind, read_message
from .writing import WRITER

# Plain numbers, because msgspec takes twice as long to encode members of an enum.
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


# The full reader reads all headers, because msgspec accepts a key that is given twice (M-2).
_NoHeaders: TypeAlias = Annotated[dict[str, str], Meta(max_length=0)]


# The elements of each message, in their order on the wire (M-1). The method ``message`` converts
# them to a HubMessage. It returns None for a record that msgspec accepts and .NET refuses.
class _Array(Struct, array_like=True, frozen=True, gc=False):
    pass


class _Invocation(_Array, frozen=True, tag=_INVOCATION):
    headers: _NoHeaders
    invocation_id: str | None
    target: RequiredText
    arguments: Raw
    stream_ids: tuple[RequiredText, ...] = ()  # older clients send none (M-4)

    def message(self) -> Invocation | None:
        if not _is_array(self.arguments):
            return None
        return Invocation(
            invocation_id=self.invocation_id or "",
            target=self.target,
            arguments=self.arguments,
            stream_ids=self.stream_ids,
        )


class _StreamItem(_Array, frozen=True, tag=_STREAM_ITEM):
    headers: _NoHeaders
    invocation_id: RequiredText
    item: Raw

    def message(self) -> StreamItem:
        return StreamItem(invocation_id=self.invocation_id, item=self.item)


class _Completion(_Array, frozen=True, tag=_COMPLETION):
    headers: _NoHeaders
    invocation_id: RequiredText
    kind: int
    result: Raw = VOID

    def message(self) -> Completion | None:
        if self.kind == _VOID:
            return Completion(invocation_id=self.invocation_id)
        if self.result is VOID:
            return None
        if self.kind == _NON_VOID:
            return Completion(invocation_id=self.invocation_id, result=self.result)
        if self.kind == _ERROR:
            return Completion(invocation_id=self.invocation_id, error=_decode_text(self.result))
        return None


class _StreamInvocation(_Array, frozen=True, tag=_STREAM_INVOCATION):
    headers: _NoHeaders
    invocation_id: RequiredText
    target: RequiredText
    arguments: Raw
    stream_ids: tuple[RequiredText, ...] = ()

    def message(self) -> StreamInvocation | None:
        if not _is_array(self.arguments):
            return None
        return StreamInvocation(
            invocation_id=self.invocation_id,
            target=self.target,
            arguments=self.arguments,
            stream_ids=self.stream_ids,
        )


class _CancelInvocation(_Array, frozen=True, tag=_CANCEL_INVOCATION):
    headers: _NoHeaders
    invocation_id: RequiredText

    def message(self) -> CancelInvocation:
        return CancelInvocation(invocation_id=self.invocation_id)


class _Ping(_Array, frozen=True, tag=_PING):
    def message(self) -> Ping:
        return Ping()


class _Close(_Array, frozen=True, tag=_CLOSE):
    error: str | None
    allow_reconnect: bool = False

    def message(self) -> Close:
        error = UNSET if self.error is None else self.error
        return Close(error=error, allow_reconnect=self.allow_reconnect)


class _Ack(_Array, frozen=True, tag=_ACK):
    sequence_id: Int64

    def message(self) -> Ack:
        return Ack(sequence_id=self.sequence_id)


class _Sequence(_Array, frozen=True, tag=_SEQUENCE):
    sequence_id: Int64

    def message(self) -> Sequence:
        return Sequence(sequence_id=self.sequence_id)


_AnyArray: TypeAlias = (
    _Invocation
    | _StreamItem
    | _Completion
    | _StreamInvocation
    | _CancelInvocation
    | _Ping
    | _Close
    | _Ack
    | _Sequence
)
_decode: Final[Callable[[bytes], _AnyArray]] = msgspec.msgpack.Decoder(_AnyArray).decode
_decode_text: Final = msgspec.msgpack.Decoder(str).decode


def _is_array(arguments: Raw) -> bool:
    first = memoryview(arguments)[0]
    return 0x90 <= first <= 0x9F or 0xDC <= first <= 0xDD


class MessagePackHubProtocol(HubProtocol):
    """Hub protocol ``messagepack``, as MessagePack-CSharp speaks it on ASP.NET Core."""

    name: ClassVar[str] = "messagepack"
    version: ClassVar[int] = 2
    transfer_format: ClassVar[TransferFormat] = TransferFormat.BINARY

    def __init__(self) -> None:
        self._encode = msgspec.msgpack.Encoder().encode

    def framer(self, maximum_size: int | None) -> Framer:
        """See HubProtocol."""
        return LengthPrefixFramer(maximum_size)

    def decode(self, record: bytes, /) -> ReceivedMessage | None:
        """See HubProtocol."""
        try:
            message = _decode(record).message()
        except DECODING_FAILURES:
            return read_message(record)
        return message or read_message(record)

    def require_arguments(self, arguments: Raw) -> None:
        """Does nothing: ``decode`` returns a binding failure if the arguments are not an array."""

        # M-10

    def encode(self, message: HubMessage) -> bytes:
        """See HubProtocol. Raises LocalProtocolError for a Raw that is not a MessagePack value."""
        return frame(self._encode(_elements(message)))

    def encode_result(self, invocation_id: str, result: Any) -> bytes:
        """See HubProtocol."""
        try:
            value = WRITER.wire_value(result)
            return frame(self._encode((_COMPLETION, {}, invocation_id, _NON_VOID, value)))
        except FAILURES as error:
            raise WRITER.unwritable(error) from error

    def encode_item(self, invocation_id: str, item: Any) -> bytes:
        """See HubProtocol."""
        try:
            value = WRITER.wire_value(item)
            return frame(self._encode((_STREAM_ITEM, {}, invocation_id, value)))
        except FAILURES as error:
            raise WRITER.unwritable(error) from error

    encode_value = staticmethod(WRITER.encode_value)
    encode_arguments = staticmethod(WRITER.encode_arguments)
    arguments_reader = staticmethod(BINDER.arguments_reader)
    value_reader = staticmethod(BINDER.value_reader)


def _elements(message: HubMessage) -> tuple[Any, ...]:
    """The elements of a message's array (M-1)."""
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
                _checked(message.item),
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
    """The kind of the result, then the result or the error (M-6). An empty error is written too."""
    error, result = completion.error, completion.result
    if error is not UNSET:
        if result != VOID:
            raise LocalProtocolError("A completion has either an error or a result.")  # J-6
        return (_ERROR, error)
    if result == VOID:
        return (_VOID,)
    return (_NON_VOID, _checked(result))


def _checked(payload: Raw) -> Raw:
    """Returns ``payload``. Raises LocalProtocolError if it is not one whole value."""
    try:
        return WRITER.raw(payload)
    except FAILURES as error:
        raise WRITER.unwritable(error) from error
