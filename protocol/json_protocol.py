"""The JSON hub protocol: one compact JSON object per record (section J of the rules).

Two readers. The fast one lets msgspec decode a record in one step and accepts less than .NET does;
what it refuses goes to the full reader in ``json_reader``, which knows every legal spelling and
every error. How values become
payloads and back is left to ``json_values`` and ``json_binding``.
"""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Values
from itertools import starmap
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Raw, Struct

from .errors import DECODING_FAILURES, LocalProtocolError
from .framing import RECORD_SEPARATOR, RecordFramer
from .hub_protocol import HubProtocol, TransferFormat
from .json_binding import BINDER
from .json_reader import read_message
from .json_scanner import MAXIMUM_DEPTH, nesting_depth
from .json_values import WRITER
from .messages import (
    VOID,
    CancelInvocation,
    Completion,
    HubMessage,
    Invocation,
    ReceivedMessage,
    StreamInvocation,
    StreamItem,
)
from .value_writer import FAILURES

# A shorter record has no room for too many brackets and as many closing ones (J-11).
_DEEP: Final = 2 * (MAXIMUM_DEPTH + 1)

# Beyond that many records, in one go would mean to hold them all at once.
_BURST: Final = 1024

_decode: Final[Callable[[bytes], HubMessage]] = msgspec.json.Decoder(HubMessage).decode

_EITHER_MAY_SEND: Final = frozenset({Invocation, Completion, StreamItem})

# Of arguments given twice msgspec shows the last alone, and not that the first are no array (J-10).
# To search each record for them would take half as long as all the decoding; but a record that is
# hardly longer than what msgspec found in it has no room for them.
_REPEATED: Final = len('"arguments":0,')
_ROOM: Final = len('{"type":1,"target":"","arguments":}') + _REPEATED
_ID_ROOM: Final = _ROOM + len('"invocationId":"x",')

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
        encoder = msgspec.json.Encoder()
        self._encode, self._encode_lines = encoder.encode, encoder.encode_lines

    def framer(self, maximum_size: int | None) -> RecordFramer:
        """See HubProtocol."""
        return RecordFramer(maximum_size)

    def decode(self, record: bytes, /) -> ReceivedMessage | None:
        """See HubProtocol."""
        try:
            message = _decode(record)
        except DECODING_FAILURES:
            return read_message(record)
        return message if _is_sound(message, record) else read_message(record)

    def decode_all(
        self, records: Iterable[bytes], /
    ) -> Iterator[ReceivedMessage | None] | list[HubMessage]:
        """See HubProtocol."""
        # Here bursts spend their time: usual records are decoded in one go and looked at after.
        if not isinstance(records, list):
            return map(self.decode, records)
        if len(records) > _BURST:
            return self._decode_in_bursts(records)
        try:
            messages = list(map(_decode, records))
        except DECODING_FAILURES:
            return map(self.decode, records)
        for message, record in zip(messages, records, strict=True):
            if (
                type(message) is Invocation
                and len(record) < _DEEP
                and len(record) - len(message.arguments)
                < (_ID_ROOM if message.invocation_id else _ROOM)
            ):
                continue
            if type(message) not in _EITHER_MAY_SEND or not _is_sound(message, record):
                return map(self.decode, records)
        return messages

    def _decode_in_bursts(self, records: list[bytes]) -> Iterator[ReceivedMessage | None]:
        for start in range(0, len(records), _BURST):
            yield from self.decode_all(records[start : start + _BURST])

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
                if result != VOID:
                    WRITER.raw(result)
                return self.encode(Completion(invocation_id=invocation_id, result=result))
            data = self._encode(_Result(invocation_id, WRITER.wire_value(result)))
        except FAILURES as error:
            raise WRITER.unwritable(error) from error
        return _frame(data)

    def encode_plain_results(self, results: Values[tuple[str, Any]]) -> bytes:
        """See HubProtocol."""
        lines = self._encode_lines(list(starmap(_Result, results)))
        return lines.replace(b"\n", RECORD_SEPARATOR)  # inside of text both are escaped

    encode_value = staticmethod(WRITER.encode_value)
    encode_arguments = staticmethod(WRITER.encode_arguments)
    arguments_reader = staticmethod(BINDER.arguments_reader)
    value_reader = staticmethod(BINDER.value_reader)


def _is_sound(message: HubMessage, record: bytes) -> bool:
    """Whether ``message``, which msgspec has made of ``record``, is what .NET makes of it.

    The Structs cannot say all that .NET checks. What is not sound goes to the full reader.
    """
    if len(record) >= _DEEP and _is_too_deep(record):
        return False
    # ``type`` rather than isinstance or match, which cost as much as decoding a short record.
    if type(message) is Invocation:
        return not _may_repeat_arguments(message, record)
    if type(message) is Completion:  # J-5, J-6
        return message.invocation_id != "" and (message.error is UNSET or message.result == VOID)
    if type(message) is StreamItem or type(message) is CancelInvocation:
        return message.invocation_id != ""
    if type(message) is StreamInvocation:
        return message.invocation_id != "" and not _may_repeat_arguments(message, record)
    return True


def _may_repeat_arguments(invocation: Invocation | StreamInvocation, record: bytes) -> bool:
    """Whether there is room for a second name, in plain letters or in escaped ones."""
    room = _ID_ROOM if invocation.invocation_id else _ROOM
    if len(record) - len(invocation.arguments) - len(invocation.target) < room:
        return False
    arguments = bytes(invocation.arguments)
    return any(
        record.count(sign) - arguments.count(sign) != times
        for sign, times in ((b'"arguments"', 1), (b"\\", 0))
    )


def _is_too_deep(record: bytes) -> bool:
    return (
        record.count(b"[") + record.count(b"{") > MAXIMUM_DEPTH
        and nesting_depth(record) > MAXIMUM_DEPTH
    )


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
