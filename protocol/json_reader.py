"""The full reader of JSON hub messages: any record → a message, or .NET's exact error.

Goes through a record's properties in the order they came, as ASP.NET Core's reader does, because
the first mistake decides the error (J-3…J-8). It reads what the fast path of ``json_protocol``
leaves: rare message types, odd but legal spellings, and everything that is wrong.
"""

import json
import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from .errors import RemoteProtocolError
from .json_scanner import JsonSyntaxError, scan_object, scan_value, skip_white_space
from .messages import (
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

_TOKEN_NAMES: Final = {
    b"{": "Object",
    b"[": "Array",
    b'"': "String",
    b"t": "True",
    b"f": "False",
    b"n": "Null",
}
_TRAILING_COMMA: Final = (
    "JsonReaderException: The JSON array contains a trailing comma at the end which is not "
    "supported in this mode. Change the reader options."
)
_UNREADABLE_ITEM: Final = "JsonReaderException: The item is not JSON."
_INTEGER: Final = re.compile(rb"-?[0-9]+\Z")
_split_array: Final = msgspec.json.Decoder(list[Raw]).decode


def read_message(record: bytes) -> ReceivedMessage | None:
    """The message in ``record`` (without separator); None for an unknown type (J-9).

    Raises RemoteProtocolError with .NET's text and exception name.
    """
    try:
        return _MessageReader(record).read()
    except JsonSyntaxError as error:
        raise RemoteProtocolError("Error reading JSON.") from error


class _UnreadableItem(Exception):
    """What follows a stream item cannot be found, and need not be."""


class _MessageReader:
    """The state of one pass over one record; later properties replace earlier ones (J-10)."""

    def __init__(self, record: bytes) -> None:
        self._record = record
        self._type: int | None = None
        self._invocation_id: str | None = None
        self._target: str | None = None
        self._error: str | UnsetType = UNSET
        self._allow_reconnect = False
        self._sequence_id: int | None = None
        self._headers: dict[str, str] = {}
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
        """Takes in the value at ``position`` and returns its end."""
        if name == "arguments":
            return self._read_arguments(position)
        if name == "item":
            return self._read_item(position)
        end = scan_value(self._record, position, depth=1)
        value = self._record[position:end]
        match name:
            case "type":
                self._type = read_integer(name, value, 32)
            case "invocationId":
                self._invocation_id = read_string(name, value)
            case "target":
                self._target = read_string(name, value)
            case "error":
                self._error = read_string(name, value)
            case "allowReconnect":
                if value not in (b"true", b"false"):
                    raise RemoteProtocolError("Expected 'allowReconnect' to be true or false.")
                self._allow_reconnect = value == b"true"
            case "sequenceId":
                if value != b"null":
                    self._sequence_id = read_integer(name, value, 64)
            case "headers":
                self._headers = _headers(value)
            case "streamIds":
                self._stream_ids = _stream_ids(value)
            case "result":
                self._result = Raw(value)
            case _:
                pass  # unknown properties are skipped (J-1)
        return end

    def _read_arguments(self, position: int) -> int:
        if self._record[position : position + 1] != b"[":
            scan_value(self._record, position, depth=1)
            raise RemoteProtocolError("Expected 'arguments' to be of type Array.")
        self._arguments_error = ""
        try:
            end = scan_value(self._record, position, depth=1)
        except JsonSyntaxError as error:
            # Once the target is known .NET binds while it reads, and forgives this one mistake the
            # connection, not the call (J-8).
            if not error.trailing_comma or not self._target:
                raise
            end = scan_value(self._record, position, depth=1, trailing_commas=True)
            self._arguments_error = _TRAILING_COMMA
        self._arguments = Raw(self._record[position:end])
        return end

    def _read_item(self, position: int) -> int:
        """.NET wants the id before the item (S-25); either order is as good for us."""
        try:
            end = scan_value(self._record, position, depth=1)
        except JsonSyntaxError as error:
            # Once the id is known .NET binds what the first token begins while it reads, and gives
            # up on the item alone (J-8).
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
        if self._target is None:
            raise missing_property("target")
        if self._arguments is None:
            raise missing_property("arguments")
        return self._target, self._arguments

    def _required_id(self) -> str:
        if not self._invocation_id:
            raise missing_property("invocationId")
        return self._invocation_id

    def _required_sequence_id(self) -> int:
        if self._sequence_id is None:
            raise missing_property("sequenceId")
        return self._sequence_id


def read_object(record: bytes, read_member: Callable[[str, int], int]) -> None:
    """Reads a record that has to be one JSON object and nothing else.

    ``read_member`` gets each member's name and the position of its value, and returns the value's
    end. Raises RemoteProtocolError for another kind of value, JsonSyntaxError for broken JSON.
    """
    start = skip_white_space(record, 0)
    if record[start : start + 1] != b"{":
        scan_value(record, start)
        token = _TOKEN_NAMES.get(record[start : start + 1], "Number")
        raise RemoteProtocolError(f"Unexpected JSON Token Type '{token}'. Expected a JSON Object.")
    end = scan_object(record, start, lambda name, position: read_member(_unescaped(name), position))
    # .NET does not look behind the object; we do, so that a record means one thing to all (J-8).
    if skip_white_space(record, end) != len(record):
        raise JsonSyntaxError(end)


def both_error_and_result() -> RemoteProtocolError:
    """J-6."""
    return RemoteProtocolError("The 'error' and 'result' properties are mutually exclusive.")


def missing_property(name: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"Missing required property '{name}'.")


def _unescaped(name: bytes) -> str:
    """A property's name; one that is no Unicode text equals no name we know."""
    if b"\\" in name:
        return str(json.loads(b'"' + name + b'"'))
    return name.decode("utf-8", "replace")


def _text(value: bytes) -> str:
    """The text of a scanned JSON string (J-8: what is no Unicode text ends the connection)."""
    try:
        text = str(json.loads(value))
        text.encode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(
            "Cannot transcode invalid UTF-8 JSON text to UTF-16 string.",
            "InvalidOperationException",
        ) from error
    except UnicodeEncodeError as error:
        raise RemoteProtocolError(
            "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
            "InvalidOperationException",
        ) from error
    return text


def read_string(name: str, value: bytes) -> str:
    """The text of property ``name``, whose scanned value is ``value``."""
    if not value.startswith(b'"'):
        raise RemoteProtocolError(f"Expected '{name}' to be of type String.")
    return _text(value)


def read_integer(name: str, value: bytes, bits: int) -> int:
    """The signed integer of that many bits in property ``name`` (J-4)."""
    if value[:1] in b'"tfn{[':
        raise RemoteProtocolError(f"Expected '{name}' to be of type Number.")
    # The length is checked first: converting a number of a million digits would take for ever.
    if (
        _INTEGER.match(value) is None
        or len(value) > 20
        or not -(1 << (bits - 1)) <= int(value) < (1 << (bits - 1))
    ):
        raise RemoteProtocolError(
            f"Either the JSON value is not in a supported format, or is out of bounds for an "
            f"Int{bits}.",
            "FormatException",
        )
    return int(value)


def _headers(value: bytes) -> dict[str, str]:
    if not value.startswith(b"{"):
        raise RemoteProtocolError("Expected 'headers' to be of type StartObject.")
    headers: dict[str, str] = {}

    def read_header(name: bytes, position: int) -> int:
        end = scan_value(value, position)
        key = _text(b'"' + name + b'"')
        if value[position : position + 1] != b'"':
            raise RemoteProtocolError(f"Expected header '{key}' to be of type String.")
        headers[key] = _text(value[position:end])
        return end

    scan_object(value, 0, read_header)
    return headers


def _stream_ids(value: bytes) -> tuple[str, ...]:
    if not value.startswith(b"["):
        raise RemoteProtocolError("Expected 'streamIds' to be of type Array.")
    return tuple(_stream_id(bytes(element)) for element in _split_array(value))


def _stream_id(element: bytes) -> str:
    if element == b"null":
        raise RemoteProtocolError("Null value for 'streamIds' is not valid.")
    if not element.startswith(b'"'):
        token = _TOKEN_NAMES.get(element[:1], "Number")
        raise RemoteProtocolError(
            f"Cannot get the value of a token type '{token}' as a string.",
            "InvalidOperationException",
        )
    return _text(element)
