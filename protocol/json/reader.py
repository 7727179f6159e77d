"""The full reader of JSON hub messages: any record → a message, or .NET's exact error.

Reads the properties of a record in order, as ASP.NET Core does, because the first mistake decides
the error (J-3…J-8). ``protocol`` passes on the records that its fast reader cannot read: records
with unusual but legal spellings, with unknown message types, or with mistakes. The form of a record
and of its simple properties is left to ``record``.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, Raw, UnsetType

from ..errors import RemoteProtocolError
from ..messages import (
    NO_HEADERS,
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
from .record import (
    missing_property,
    read_integer,
    read_object,
    read_string,
    read_text,
    token_type,
)
from .scanner import JsonSyntaxError, scan_array, scan_object, scan_token, scan_value

_TRAILING_COMMA: Final = (
    "JsonReaderException: The JSON array contains a trailing comma at the end which is not "
    "supported in this mode. Change the reader options."
)
_UNREADABLE_ITEM: Final = "JsonException: The item is not JSON."


def read_message(record: bytes) -> ReceivedMessage | None:
    """The message in ``record`` (without separator); None for an unknown type (J-9).

    Raises RemoteProtocolError with .NET's text and exception name.
    """
    try:
        return _MessageReader(record).read()
    except JsonSyntaxError as error:
        raise RemoteProtocolError("Error reading JSON.") from error


class _UnreadableItem(Exception):
    """A stream item is not JSON. Its end is unknown, and the rest of the record is not read."""


class _MessageReader:
    """Reads one record. If a property is given twice, the last value counts (J-10)."""

    def __init__(self, record: bytes) -> None:
        self._record = record
        self._type: int | None = None
        self._invocation_id: str | None = None
        self._target: str | None = None
        self._error: str | UnsetType = UNSET
        self._allow_reconnect = False
        self._sequence_id: int | None = None
        self._headers: Mapping[str, str] = NO_HEADERS
        self._stream_ids: tuple[str, ...] = ()
        self._arguments: Raw | None = None
        self._arguments_error = ""
        self._result = VOID
        self._item: Raw | None = None

    def read(self) -> ReceivedMessage | None:
        try:
            read_object(self._record, self._read_property)
        except _UnreadableItem:
            return StreamBindingFailure(
                invocation_id=self._invocation_id or "", error=_UNREADABLE_ITEM
            )
        return self._message()

    def _read_property(self, name: str, position: int) -> int:
        """Reads the value at ``position`` and returns its end."""
        match name:
            case "arguments":
                return self._read_arguments(position)
            case "item":
                return self._read_item(position)
            case "headers":
                return self._read_headers(position)
            case "streamIds":
                return self._read_stream_ids(position)
            case "result":
                end = scan_value(self._record, position, depth=1)
                self._result = Raw(self._record[position:end])
                return end
            case "type" | "invocationId" | "target" | "error" | "allowReconnect" | "sequenceId":
                return self._read_scalar(name, position)
            case _:  # unknown properties are skipped (J-1)
                return scan_value(self._record, position, depth=1)

    def _read_scalar(self, name: str, position: int) -> int:
        end = scan_token(self._record, position)
        token = self._record[position:end]
        match name:
            case "type":
                self._type = read_integer(name, token, 32)
            case "invocationId":
                self._invocation_id = read_string(name, token)
            case "target":
                self._target = read_string(name, token)
            case "error":
                self._error = read_string(name, token)
            case "allowReconnect":
                if token not in (b"true", b"false"):
                    raise RemoteProtocolError("Expected 'allowReconnect' to be true or false.")
                self._allow_reconnect = token == b"true"
            case _:
                self._sequence_id = None if token == b"null" else read_integer(name, token, 64)
        return end

    def _read_headers(self, position: int) -> int:
        if self._first_byte(position) != b"{":
            raise RemoteProtocolError("Expected 'headers' to be of type StartObject.")
        headers: dict[str, str] = {}

        def read_header(name: bytes, start: int) -> int:
            key = read_text(b'"' + name + b'"')
            end = scan_token(self._record, start)
            token = self._record[start:end]
            if not token.startswith(b'"'):
                raise RemoteProtocolError(
                    f"Expected header '{key}' to be of type String.",
                    summary="Expected headers to be of type String.",
                )
            headers[key] = read_text(token)
            return end

        end = scan_object(self._record, position, read_header)
        self._headers = headers
        return end

    def _read_stream_ids(self, position: int) -> int:
        if self._first_byte(position) != b"[":
            raise RemoteProtocolError("Expected 'streamIds' to be of type Array.")
        stream_ids: list[str] = []

        def read_stream_id(start: int) -> int:
            end = scan_token(self._record, start)
            stream_ids.append(_stream_id(self._record[start:end]))
            return end

        end = scan_array(self._record, position, read_stream_id)
        self._stream_ids = tuple(stream_ids)
        return end

    def _first_byte(self, position: int) -> bytes:
        """The first byte of the value at ``position``, which shows its type.

        Raises JsonSyntaxError for a malformed scalar, which .NET reports before a wrong type.
        """
        scan_token(self._record, position)
        return self._record[position : position + 1]

    def _read_arguments(self, position: int) -> int:
        if self._first_byte(position) != b"[":
            raise RemoteProtocolError("Expected 'arguments' to be of type Array.")
        self._arguments_error = ""
        try:
            end = scan_value(self._record, position, depth=1)
        except JsonSyntaxError as error:
            # Once .NET knows the target, it binds the arguments while it reads them. A trailing
            # comma in the arguments then fails the call, not the connection (J-8).
            if not error.trailing_comma or not self._target:
                raise
            end = scan_value(self._record, position, depth=1, trailing_commas=True)
            self._arguments_error = _TRAILING_COMMA
        self._arguments = Raw(self._record[position:end])
        return end

    def _read_item(self, position: int) -> int:
        """.NET requires the id before the item (S-25); here both orders are accepted."""
        try:
            end = scan_value(self._record, position, depth=1)
        except JsonSyntaxError as error:
            # Once .NET knows the id, it binds an item that is an array or an object while it reads
            # the item. Bad JSON in the item then fails the item, not the connection (J-8).
            if (
                self._invocation_id
                and self._type in (None, MessageType.STREAM_ITEM)
                and self._record[position : position + 1] in (b"[", b"{")
            ):
                raise _UnreadableItem from error
            raise
        self._item = Raw(self._record[position:end])
        return end

    def _message(self) -> ReceivedMessage | None:
        match self._type:
            case None:
                raise missing_property("type")
            case MessageType.INVOCATION:
                return self._invocation()
            case MessageType.STREAM_ITEM:
                if self._invocation_id is None:
                    raise missing_property("invocationId")
                if self._item is None:
                    raise missing_property("item")
                if not self._invocation_id:
                    raise RemoteProtocolError(
                        "No stream with id '' could be found.", "KeyNotFoundException"
                    )
                return StreamItem(
                    headers=self._headers, invocation_id=self._invocation_id, item=self._item
                )
            case MessageType.COMPLETION:
                return self._completion()
            case MessageType.STREAM_INVOCATION:
                return self._stream_invocation()
            case MessageType.CANCEL_INVOCATION:
                return CancelInvocation(headers=self._headers, invocation_id=self._required_id())
            case MessageType.PING:
                return Ping()
            case MessageType.CLOSE:
                return Close(error=self._error, allow_reconnect=self._allow_reconnect)
            case MessageType.ACK:
                return Ack(sequence_id=self._required_sequence_id())
            case MessageType.SEQUENCE:
                return Sequence(sequence_id=self._required_sequence_id())
            case _:
                return None

    def _invocation(self) -> Invocation | InvocationBindingFailure:
        target, arguments = self._call()
        if self._arguments_error:
            return self._binding_failure(target)
        return Invocation(
            headers=self._headers,
            invocation_id=self._invocation_id or "",
            target=target,
            arguments=arguments,
            stream_ids=self._stream_ids,
        )

    def _stream_invocation(self) -> StreamInvocation | InvocationBindingFailure:
        self._required_target()  # ASP.NET Core looks for the target before the id
        invocation_id = self._required_id()
        target, arguments = self._call()
        if self._arguments_error:
            return self._binding_failure(target)
        return StreamInvocation(
            headers=self._headers,
            invocation_id=invocation_id,
            target=target,
            arguments=arguments,
            stream_ids=self._stream_ids,
        )

    def _completion(self) -> Completion:
        invocation_id = self._required_id()
        if self._error is not UNSET and self._result != VOID:
            raise both_error_and_result()
        return Completion(
            headers=self._headers,
            invocation_id=invocation_id,
            error=self._error,
            result=self._result,
        )

    def _binding_failure(self, target: str) -> InvocationBindingFailure:
        return InvocationBindingFailure(
            invocation_id=self._invocation_id or "", target=target, error=self._arguments_error
        )

    def _call(self) -> tuple[str, Raw]:
        target = self._required_target()
        if self._arguments is None:
            raise missing_property("arguments")
        return target, self._arguments

    def _required_target(self) -> str:
        if self._target is None:
            raise missing_property("target")
        return self._target

    def _required_id(self) -> str:
        if not self._invocation_id:
            raise missing_property("invocationId")
        return self._invocation_id

    def _required_sequence_id(self) -> int:
        if self._sequence_id is None:
            raise missing_property("sequenceId")
        return self._sequence_id


def both_error_and_result() -> RemoteProtocolError:
    """The error for a Completion with both an error and a result (J-6)."""
    return RemoteProtocolError("The 'error' and 'result' properties are mutually exclusive.")


def _stream_id(token: bytes) -> str:
    if token == b"null":
        raise RemoteProtocolError("Null value for 'streamIds' is not valid.")
    if not token.startswith(b'"'):
        raise RemoteProtocolError(
            f"Cannot get the value of a token type '{token_type(token)}' as a string.",
            "InvalidOperationException",
        )
    return read_text(token)
