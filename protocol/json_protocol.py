"""The JSON hub protocol: one compact JSON object per record (section J of the rules).

Two readers. The fast path lets msgspec decode the two messages that nearly all traffic consists
of, and accepts less than .NET does; whatever it refuses goes to the full reader in
``json_reader``, which knows every legal spelling and every error. One mistake escapes the fast
path: of ``arguments`` given twice it sees the last alone, not that the first are no array (J-10);
any search for a second name would take half as long as all the decoding. How values become
payloads and back is left to ``json_values`` and
``json_binding``.
"""

from typing import Any, ClassVar, Final, cast

import msgspec
from msgspec import UNSET, Raw, Struct

from .errors import LocalProtocolError
from .framing import RECORD_SEPARATOR, RecordFramer
from .hub_protocol import HubProtocol, TransferFormat
from .json_binding import BINDER
from .json_reader import both_error_and_result, read_message
from .json_scanner import MAXIMUM_DEPTH, nesting_depth
from .json_values import WRITER
from .messages import VOID, Completion, HubMessage, Invocation, ReceivedMessage
from .value_writer import FAILURES

# A record that can be too deep has this many brackets, and room for as many closing ones.
_SUSPICIOUS_LENGTH: Final = 2 * (MAXIMUM_DEPTH + 1)
_SUSPICIOUS_BRACKETS: Final = MAXIMUM_DEPTH - 2
_NATIVE: Final = WRITER.native


class _Result(Struct, tag_field="type", tag=3, rename="camel", gc=False):
    """A Completion whose result is still a value."""

    invocation_id: str
    result: Any


class JsonHubProtocol(HubProtocol):
    """Hub protocol ``json``, as System.Text.Json speaks it on ASP.NET Core."""

    name: ClassVar[str] = "json"
    version: ClassVar[int] = 2
    transfer_format: ClassVar[TransferFormat] = TransferFormat.TEXT

    def __init__(self) -> None:
        frequent: msgspec.json.Decoder[Invocation | Completion] = msgspec.json.Decoder(
            Invocation | Completion
        )
        self._decode = frequent.decode
        self._encode = msgspec.json.Encoder().encode

    def framer(self, maximum_size: int | None) -> RecordFramer:
        """See HubProtocol."""
        return RecordFramer(maximum_size)

    def decode(self, record: bytes) -> ReceivedMessage | None:
        """See HubProtocol."""
        if (
            len(record) >= _SUSPICIOUS_LENGTH
            and record.count(b"[") + record.count(b"{") > _SUSPICIOUS_BRACKETS
            and nesting_depth(record) > MAXIMUM_DEPTH
        ):
            return read_message(record)
        try:
            message = self._decode(record)
        except (ValueError, RecursionError):  # msgspec's errors, UnicodeDecodeError, deep nesting
            return read_message(record)
        if type(message) is Invocation:  # isinstance would cost half as much as the decoding
            return message
        return _checked(cast("Completion", message), record)

    def require_arguments(self, arguments: Raw) -> None:
        """See HubProtocol. Not part of ``decode``, a third of whose time it would take."""
        BINDER.require_array(arguments)

    def encode(self, message: HubMessage) -> bytes:
        """See HubProtocol. Raises LocalProtocolError when a Raw in it holds a record separator."""
        if type(message) is Completion:
            message = _writable(message)
        return _frame(self._encode(message))

    def encode_result(self, invocation_id: str, result: Any) -> bytes:
        """See HubProtocol."""
        kind = type(result)
        try:
            if kind in _NATIVE:  # no Raw in it, so there is nothing to look for
                return self._encode(_Result(invocation_id, result)) + RECORD_SEPARATOR
            if kind is Raw:
                return self.encode(Completion(invocation_id=invocation_id, result=result))
            data = self._encode(_Result(invocation_id, WRITER.wire_value(result)))
        except FAILURES as error:
            raise WRITER.unwritable(error) from error
        return _frame(data)

    encode_value = staticmethod(WRITER.encode_value)
    encode_arguments = staticmethod(WRITER.encode_arguments)
    arguments_reader = staticmethod(BINDER.arguments_reader)
    value_reader = staticmethod(BINDER.value_reader)


def _checked(completion: Completion, record: bytes) -> ReceivedMessage | None:
    """What the Struct cannot say of a completion (J-5, J-6)."""
    if not completion.invocation_id:
        return read_message(record)
    if completion.error is not UNSET and completion.result != VOID:
        raise both_error_and_result()
    return completion


def _writable(completion: Completion) -> Completion:
    """Without what msgspec does not know for a default: an empty error (J-12), a copy of VOID."""
    error = completion.error or UNSET
    result = VOID if completion.result == VOID else completion.result
    if error is not UNSET and result is not VOID:
        raise LocalProtocolError("A completion has either an error or a result (J-6).")
    return msgspec.structs.replace(completion, error=error, result=result)


def _frame(record: bytes) -> bytes:
    if 0x1E in record:  # RECORD_SEPARATOR as a number: four times as fast
        raise LocalProtocolError("A raw payload holds the record separator 0x1E.")
    return record + RECORD_SEPARATOR
