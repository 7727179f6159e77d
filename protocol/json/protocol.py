"""The JSON hub protocol: one compact JSON object per record (section J of the rules).

There are two readers. The fast reader is msgspec: it decodes each of the nine message types in one
step, into types that accept less than .NET does. The full reader in ``reader`` accepts every legal
spelling and reports every error. It reads the records that msgspec refuses. msgspec also accepts
some records that .NET refuses. ``JsonHubProtocol.decode`` finds these records and passes them to
the full reader. Converting values to payloads and back is left to ``writing`` and ``binding``.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Raw, Struct

from ..errors import DECODING_FAILURES, LocalProtocolError
from ..framing import RECORD_SEPARATOR, RecordFramer
from ..hub_protocol import HubProtocol, TransferFormat
from ..messages import (
    VOID,
    Completion,
    HubMessage,
    Invocation,
    ReceivedMessage,
    StreamInvocation,
)
from ..values.writing import FAILURES
from .binding import BINDER
from .reader import read_message
from .scanner import MAXIMUM_DEPTH, is_deeper
from .writing import WRITER

_decode: Final[Callable[[bytes], HubMessage]] = msgspec.json.Decoder(HubMessage).decode

# A shorter record has no room for the brackets of too many levels (J-11).
_SHORTEST_DEEP: Final = 2 * (MAXIMUM_DEPTH + 1)

# The lengths of the shortest records with "arguments" twice. The target, the invocation id and the
# value of the last "arguments" are not counted.
_SHORTEST_REPEAT_WITH_ID: Final = len(
    '{"type":1,"invocationId":"","target":"","arguments":0,"arguments":}'
)
_SHORTEST_REPEAT: Final = len('{"type":1,"target":"","arguments":0,"arguments":}')

_NATIVE: Final = WRITER.native


class _Result(Struct, tag_field="type", tag=3, rename="camel", gc=False):
    """A Completion whose result is not encoded yet."""

    invocation_id: str
    result: Any


class _Item(Struct, tag_field="type", tag=2, rename="camel", gc=False):
    """A StreamItem whose item is not encoded yet."""

    invocation_id: str
    item: Any


class JsonHubProtocol(HubProtocol):
    """Hub protocol ``json``, as System.Text.Json speaks it on ASP.NET Core."""

    name: ClassVar[str] = "json"
    version: ClassVar[int] = 2
    transfer_format: ClassVar[TransferFormat] = TransferFormat.TEXT

    def __init__(self) -> None:
        encoder = msgspec.json.Encoder()
        self._encode = encoder.encode

    def framer(self, maximum_size: int | None) -> RecordFramer:
        """See HubProtocol."""
        return RecordFramer(maximum_size)

    def decode(self, record: bytes, /) -> ReceivedMessage | None:
        """See HubProtocol."""
        try:
            message = _decode(record)
        except DECODING_FAILURES:
            return read_message(record)
        # These checks find records that msgspec accepts and .NET refuses. They run for every
        # message, so they compare lengths first: a function call makes decoding a fifth slower.
        size = len(record)
        if size >= _SHORTEST_DEEP and is_deeper(record, MAXIMUM_DEPTH):
            return read_message(record)
        if type(message) is Invocation or type(message) is StreamInvocation:
            shortest = _SHORTEST_REPEAT_WITH_ID if message.invocation_id else _SHORTEST_REPEAT
            if size - len(message.arguments) >= shortest:
                if _may_repeat_arguments(message, record, shortest):
                    return read_message(record)
        elif (
            type(message) is Completion
            and message.error is not UNSET
            and message.result is not VOID
        ):
            return read_message(record)  # the full reader refuses an error beside a result (J-6)
        return message

    def require_arguments(self, arguments: Raw) -> None:
        """See HubProtocol. ``decode`` leaves it out, because it would take a third of the time."""
        BINDER.require_array(arguments)

    def encode(self, message: HubMessage) -> bytes:
        """See HubProtocol. Raises LocalProtocolError if a Raw contains a record separator."""
        if type(message) is Completion:
            message = _with_defaults(message)
        return _frame(self._encode(message))

    def encode_result(self, invocation_id: str, result: Any) -> bytes:
        """See HubProtocol."""
        kind = type(result)
        try:
            if kind in _NATIVE:  # holds no Raw, and so no record separator
                return self._encode(_Result(invocation_id, result)) + RECORD_SEPARATOR
            if kind is Raw:
                if result != VOID:
                    WRITER.raw(result)
                return self.encode(Completion(invocation_id=invocation_id, result=result))
            data = self._encode(_Result(invocation_id, WRITER.wire_value(result)))
        except FAILURES as error:
            raise WRITER.unwritable(error) from error
        return _frame(data)

    def encode_item(self, invocation_id: str, item: Any) -> bytes:
        """See HubProtocol."""
        try:
            if type(item) in _NATIVE:  # holds no Raw, and so no record separator
                return self._encode(_Item(invocation_id, item)) + RECORD_SEPARATOR
            data = self._encode(_Item(invocation_id, WRITER.wire_value(item)))
        except FAILURES as error:
            raise WRITER.unwritable(error) from error
        return _frame(data)

    encode_value = staticmethod(WRITER.encode_value)
    encode_arguments = staticmethod(WRITER.encode_arguments)
    arguments_reader = staticmethod(BINDER.arguments_reader)
    value_reader = staticmethod(BINDER.value_reader)


def _may_repeat_arguments(
    call: Invocation | StreamInvocation, record: bytes, shortest: int
) -> bool:
    """Whether ``record`` may have "arguments" twice, in plain or in escaped letters.

    msgspec keeps the last value and does not check that the first one is an array (J-10).
    """
    if len(record) - len(call.arguments) - len(call.target) - len(call.invocation_id) < shortest:
        return False
    arguments = bytes(call.arguments)
    return any(
        record.count(text) - arguments.count(text) != times
        for text, times in ((b'"arguments"', 1), (b"\\", 0))
    )


def _with_defaults(completion: Completion) -> Completion:
    """The same Completion, with UNSET for an empty error (J-12) and VOID for an equal result.

    msgspec leaves out a property only if its value is the default object itself.
    """
    error = completion.error or UNSET
    result = VOID if completion.result == VOID else completion.result
    if error is not UNSET and result is not VOID:
        raise LocalProtocolError("A completion has either an error or a result.")  # J-6
    return msgspec.structs.replace(completion, error=error, result=result)


def _frame(record: bytes) -> bytes:
    if 0x1E in record:  # RECORD_SEPARATOR; a search for an int is four times as fast
        raise LocalProtocolError("A raw payload holds the record separator 0x1E.")
    return record + RECORD_SEPARATOR
