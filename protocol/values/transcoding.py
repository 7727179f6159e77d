"""Payloads of one hub protocol written in the other, for those who relay between the two.

What a value is in the other protocol is decided here, in both directions alike: what a .NET program
would make of it that read it with one protocol and wrote it with the other (J-14 … J-17, M-11 …
M-15). Both ways take time and memory in proportion to the payload, whatever it holds.
"""

import json
import math
import struct
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Raw

from ..errors import DECODING_FAILURES, RemoteProtocolError, TranscodingError
from ..messagepack.scanner import (
    ARRAY,
    MAP,
    scan_extension,
    scan_header,
    scan_integer,
    scan_text,
    scan_value,
)
from .number_types import Single

MAXIMUM_JSON_DEPTH: Final = 62
"""Containers, one inside the other, that fit into a message of 64 levels and one more array.

A payload that is deeper would make each .NET client that gets it close its connection."""  # J-11

# ---- JSON → MessagePack

_read_json: Final = msgspec.json.Decoder().decode
_write_messagepack: Final = msgspec.msgpack.Encoder().encode
_FAILURES: Final = (*DECODING_FAILURES, OverflowError)


def json_to_messagepack(payload: bytes | Raw) -> Raw:
    """A JSON value as MessagePack.

    Whole numbers that fit 64 bits become the shortest integers, all other numbers float 64: those
    that are too large for one an infinity, as in .NET. Objects become maps with their keys
    as they are, of a key given twice the last value counts, lone surrogates become U+FFFD. Raises
    TranscodingError for what is no JSON and for nesting that Python cannot follow.
    """  # J-15
    try:
        return Raw(_write_messagepack(_read_json(payload)))
    except _FAILURES:
        pass  # a large number or a lone surrogate: rare, and worth the slow way
    try:
        value = json.loads(
            bytes(payload).decode(),
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
        return Raw(_write_messagepack(_with_valid_texts(value)))
    except _FAILURES as error:
        raise TranscodingError(f"The JSON cannot be written as MessagePack: {error}") from None


_LONGEST_INTEGER: Final = 20  # characters of a number that may fit 64 bits


def _integer(text: str) -> int | float:
    if len(text) <= _LONGEST_INTEGER:
        number = int(text)
        if -(2**63) <= number < 2**64:
            return number
    return float(text)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_valid_text(name): value for name, value in members}


def _with_valid_texts(value: Any) -> Any:
    match value:
        case str():
            return _valid_text(value)
        case list():
            return [_with_valid_texts(item) for item in value]
        case dict():
            return {name: _with_valid_texts(item) for name, item in value.items()}
        case _:
            return value


def _valid_text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# ---- MessagePack → JSON

_write_text: Final = msgspec.json.Encoder().encode
_CONSTANTS: Final = {0xC0: b"null", 0xC2: b"false", 0xC3: b"true"}
_FLOATS: Final = {0xCA: struct.Struct(">f"), 0xCB: struct.Struct(">d")}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP: Final = -1


def messagepack_to_json(payload: bytes | Raw, maximum_depth: int = MAXIMUM_JSON_DEPTH) -> Raw:
    """A MessagePack value as JSON.

    bin becomes base64, a timestamp ISO 8601 with up to seven digits of a second, bad UTF-8
    U+FFFD; keys that are no texts become those that .NET makes of a dictionary's. Raises
    TranscodingError for what has no JSON form (NaN, infinities, other extensions, containers as
    keys), for nesting beyond ``maximum_depth``, and for what is no MessagePack.
    """  # J-17
    data = bytes(payload)
    writer = _JsonWriter(data, maximum_depth)
    try:
        end = writer.write(0, 0)
    except RemoteProtocolError as error:
        raise TranscodingError(f"The value is no MessagePack: {error}") from error
    if end != len(data):
        raise TranscodingError("The value is no MessagePack: something follows it.")
    return Raw(b"".join(writer.parts))


class _JsonWriter:
    """Writes the JSON of values in ``data`` to ``parts``, piece by piece."""

    def __init__(self, data: bytes, maximum_depth: int) -> None:
        self.parts: list[bytes] = []
        self._data = data
        self._maximum_depth = maximum_depth

    def write(self, position: int, depth: int) -> int:
        """Writes the value there; its end. ``depth`` containers are open around it."""
        data = self._data
        code = data[position] if position < len(data) else 0xC1
        if 0x80 <= code < 0x90 or code in (0xDE, 0xDF):
            return self._map(position, depth + 1)
        if 0x90 <= code < 0xA0 or code in (0xDC, 0xDD):
            return self._array(position, depth + 1)
        text, end = _scalar(data, position, code)
        self.parts.append(_write_text(text) if isinstance(text, str) else text)
        return end

    def _array(self, position: int, depth: int) -> int:
        self._require_depth(depth)
        count, position = scan_header(self._data, position, ARRAY)
        opening = b"["
        for _ in range(count):
            self.parts.append(opening)
            position = self.write(position, depth)
            opening = b","
        self.parts.append(b"]" if count else b"[]")
        return position

    def _map(self, position: int, depth: int) -> int:
        self._require_depth(depth)
        count, position = scan_header(self._data, position, MAP)
        opening = b"{"
        for _ in range(count):
            key, position = _key(self._data, position)
            self.parts += (opening, _write_text(key), b":")
            position = self.write(position, depth)
            opening = b","
        self.parts.append(b"}" if count else b"{}")
        return position

    def _require_depth(self, depth: int) -> None:
        if depth > self._maximum_depth:
            raise TranscodingError(
                f"The value nests arrays and maps deeper than {self._maximum_depth} levels."
            )


def _scalar(data: bytes, position: int, code: int) -> tuple[str | bytes, int]:
    """What is no container: a text, or the JSON of anything else; and its end."""
    if code < 0x80 or code >= 0xE0 or 0xCC <= code <= 0xD3:
        number, end = scan_integer(data, position)
        return b"%d" % number, end
    if 0xA0 <= code < 0xC0 or 0xD9 <= code <= 0xDB:
        text, end = scan_text(data, position)
        assert text is not None, "nil has another code"
        return text, end
    end = scan_value(data, position)
    if constant := _CONSTANTS.get(code):
        return constant, end
    if form := _FLOATS.get(code):
        return _float(form.unpack_from(data, position + 1)[0], form.size), end
    if 0xC4 <= code <= 0xC6:  # bin, behind a length of 1, 2 or 4 bytes
        return b64encode(data[position + 1 + (1 << code - 0xC4) : end]).decode(), end
    kind, content, end = scan_extension(data, position)
    if kind != _TIMESTAMP:
        raise TranscodingError(f"An extension of type {kind} has no JSON form.")
    return _timestamp(content), end


def _float(value: float, size: int) -> bytes:
    if not math.isfinite(value):
        raise TranscodingError(f"The number {value} has no JSON form.")
    return _write_text(Single(value).shortest if size == 4 else value)


def _timestamp(content: bytes) -> str:
    match len(content):
        case 4:
            seconds, nanoseconds = int.from_bytes(content), 0
        case 8:
            both = int.from_bytes(content)
            seconds, nanoseconds = both & (1 << 34) - 1, both >> 34
        case 12:
            seconds = int.from_bytes(content[4:], signed=True)
            nanoseconds = int.from_bytes(content[:4])
        case length:
            raise TranscodingError(f"There is no timestamp of {length} bytes.")
    if nanoseconds >= 10**9:
        raise TranscodingError("A timestamp has more nanoseconds than a second.")
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise TranscodingError("A timestamp lies outside of the years 1 to 9999.") from None
    fraction = f".{nanoseconds // 100:07}".rstrip("0").rstrip(".")
    return f"{moment.replace(tzinfo=None).isoformat()}{fraction}Z"


def _key(data: bytes, position: int) -> tuple[str, int]:
    """A key as text, and its end."""
    code = data[position] if position < len(data) else 0xC1
    if 0x80 <= code < 0xA0 or 0xDC <= code <= 0xDF or code == 0xC0:
        raise TranscodingError("A map has a key that is no single value, or nil.")
    text, end = _scalar(data, position, code)
    if isinstance(text, str):
        return text, end
    return text.decode().title() if code in (0xC2, 0xC3) else text.decode(), end
