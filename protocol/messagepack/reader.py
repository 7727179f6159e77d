"""The full reader of MessagePack hub messages: any record → a message, or .NET's exact error.

Reads the elements of a message in order, as ASP.NET Core does, because the first mistake decides
the error (M-2…M-10). ``protocol`` passes on the records that its fast reader cannot read: records
with headers, with unusual but legal encodings, with unknown message types, or with mistakes. The
encoding of single values is left to ``scanner``.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final, TypeVar

from msgspec import UNSET, Raw

from ..errors import RemoteProtocolError
from ..messages import (
    VOID,
    Ack,
    CancelInvocation,
    Close,
    Completion,
    Invocation,
    InvocationBindingFailure,
    MessageType,
    Ping,
    ReceivedMessage,
    Sequence,
    StreamBindingFailure,
    StreamInvocation,
    StreamItem,
)
from ..values.binding import BINDING_FAILED
from .scanner import (
    ARRAY,
    MAP,
    scan_boolean,
    scan_header,
    scan_integer,
    scan_text,
    scan_value,
)


class ResultKind(IntEnum):
    """Whether a Completion holds an error, nothing or a result (M-6)."""

    ERROR = 1
    VOID = 2
    NON_VOID = 3


NO_ARGUMENTS: Final = "Reading array length for 'arguments' failed."
"""The error of arguments that are not an array, which fails the call (M-10)."""

_BROKEN_ITEM: Final = "InvalidDataException: The item is missing or not MessagePack."
_T = TypeVar("_T")


def read_message(record: bytes) -> ReceivedMessage | None:
    """The message in ``record`` (without its length); None for an unknown type (M-9).

    Raises RemoteProtocolError with .NET's text and exception name.
    """
    return _MessageReader(record).read()


class _MessageReader:
    """Reads one record element by element. ``_position`` is where the next element begins."""

    def __init__(self, record: bytes) -> None:
        self._record = record
        self._count, self._position = scan_header(record, 0, ARRAY)

    def read(self) -> ReceivedMessage | None:
        match self._integer("messageType", 32):
            case MessageType.INVOCATION | MessageType.STREAM_INVOCATION as kind:
                return self._call(kind)
            case MessageType.STREAM_ITEM:
                return self._stream_item()
            case MessageType.COMPLETION:
                return self._completion()
            case MessageType.CANCEL_INVOCATION:
                headers = self._headers()
                invocation_id = self._required_id("CancelInvocation")
                return CancelInvocation(headers=headers, invocation_id=invocation_id)
            case MessageType.PING:
                return Ping()
            case MessageType.CLOSE:
                error = self._text("error")
                allow_reconnect = self._count > 2 and self._boolean("allowReconnect")
                return Close(
                    error=UNSET if error is None else error, allow_reconnect=allow_reconnect
                )
            case MessageType.ACK:
                return Ack(sequence_id=self._integer("sequenceId", 64))
            case MessageType.SEQUENCE:
                return Sequence(sequence_id=self._integer("sequenceId", 64))
            case _:
                return None

    # ---- messages

    def _call(self, kind: int) -> ReceivedMessage:
        headers = self._headers()
        if kind == MessageType.INVOCATION:
            invocation_id = self._text("invocationId") or ""
            target = self._required(self._text("target"), "target for Invocation message")
        else:
            invocation_id = self._required_id("StreamInvocation")
            target = self._required(self._text("target"), "target for StreamInvocation message")
        arguments = self._arguments()
        if isinstance(arguments, str):  # an error; the elements after it are not read
            return InvocationBindingFailure(
                invocation_id=invocation_id, target=target, error=arguments
            )
        stream_ids = self._stream_ids() if self._count > 5 else ()  # older clients send none (M-4)
        call = Invocation if kind == MessageType.INVOCATION else StreamInvocation
        return call(
            headers=headers,
            invocation_id=invocation_id,
            target=target,
            arguments=arguments,
            stream_ids=stream_ids,
        )

    def _stream_item(self) -> StreamItem | StreamBindingFailure:
        headers = self._headers()
        invocation_id = self._required_id("StreamItem")
        try:
            item = self._payload()
        except RemoteProtocolError:
            return StreamBindingFailure(invocation_id=invocation_id, error=_BROKEN_ITEM)
        return StreamItem(headers=headers, invocation_id=invocation_id, item=item)

    def _completion(self) -> Completion:
        headers = self._headers()
        invocation_id = self._required_id("Completion")
        match self._integer("resultKind", 32):
            case ResultKind.ERROR:
                error = self._text("error")
                return Completion(
                    headers=headers,
                    invocation_id=invocation_id,
                    error=UNSET if error is None else error,
                )
            case ResultKind.VOID:
                return Completion(headers=headers, invocation_id=invocation_id, result=VOID)
            case ResultKind.NON_VOID:
                result = self._payload()
                return Completion(headers=headers, invocation_id=invocation_id, result=result)
            case _:
                raise RemoteProtocolError("Invalid invocation result kind.")

    # ---- elements

    def _arguments(self) -> Raw | str:
        """The arguments, or the error with which they fail the call (S-6m)."""
        try:
            scan_header(self._record, self._position, ARRAY)
        except RemoteProtocolError:
            return f"InvalidDataException: {NO_ARGUMENTS}"
        try:
            return self._payload()
        except RemoteProtocolError:
            return f"InvalidDataException: {BINDING_FAILED}"

    def _headers(self) -> dict[str, str]:
        count = self._read("Reading map length for 'headers' failed.", _scan_map)
        headers: dict[str, str] = {}
        for number in range(count):
            key = self._required(self._text(f"headers[{number}].Key"), "key in header")
            value = self._required(self._text(f"headers[{number}].Value"), "value in header")
            if key in headers:
                raise RemoteProtocolError(
                    f"An item with the same key has already been added. Key: {key}",
                    "ArgumentException",
                    summary="A header is given twice.",
                )
            headers[key] = value
        return headers

    def _stream_ids(self) -> tuple[str, ...]:
        count = self._read("Reading array length for 'streamIds' failed.", _scan_array)
        stream_ids = []
        for _ in range(count):
            text, self._position = scan_text(self._record, self._position)
            stream_ids.append(self._required(text, "value in streamIds received"))
        return tuple(stream_ids)

    def _required_id(self, message: str) -> str:
        text = self._text("invocationId")
        return self._required(text, f"invocation ID for {message} message")

    def _required(self, text: str | None, what: str) -> str:
        if not text:
            raise RemoteProtocolError(f"Null or empty {what}.")
        return text

    def _text(self, field: str) -> str | None:
        return self._read(f"Reading '{field}' as String failed.", scan_text)

    def _boolean(self, field: str) -> bool:
        return self._read(f"Reading '{field}' as Boolean failed.", scan_boolean)

    def _integer(self, field: str, bits: int) -> int:
        failure = f"Reading '{field}' as Int{bits} failed."
        value = self._read(failure, scan_integer)
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise RemoteProtocolError(failure)
        return value

    def _payload(self) -> Raw:
        start = self._position
        self._position = scan_value(self._record, start)
        return Raw(self._record[start : self._position])

    def _read(self, failure: str, scan: Callable[[bytes, int], tuple[_T, int]]) -> _T:
        try:
            value, self._position = scan(self._record, self._position)
        except RemoteProtocolError as error:
            raise RemoteProtocolError(failure) from error
        return value


def _scan_array(data: bytes, position: int) -> tuple[int, int]:
    return scan_header(data, position, ARRAY)


def _scan_map(data: bytes, position: int) -> tuple[int, int]:
    return scan_header(data, position, MAP)
