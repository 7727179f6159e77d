"""Converts payloads of one hub protocol to the other, for programs that forward them.

The result is the same as if a .NET program read the value with one hub protocol and wrote it with
the other (J-14…J-17, M-11…M-15). Time and memory are proportional to the size of every payload.
"""

import gc
import json
import math
import re
import struct
from base64 import b64encode
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
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
"""The deepest nesting of a payload: a message has 64 levels, and two of them enclose the payload.

A .NET client that receives a deeper payload closes its connection."""  # J-11

# ---- JSON → MessagePack

_read_json: Final = msgspec.json.Decoder().decode
_write_messagepack: Final = msgspec.msgpack.Encoder().encode
_FAILURES: Final = (*DECODING_FAILURES, OverflowError)


def json_to_messagepack(payload: bytes | Raw) -> Raw:
    """A JSON value as MessagePack.

    Whole numbers that fit 64 bits become the shortest integers. All other numbers become float 64.
    Numbers that are too large become an infinity, as in .NET. Objects become maps with unchanged
    keys. If a key is given twice, the last value counts. Lone surrogates become U+FFFD. Raises
    TranscodingError for bytes that are not JSON, and for nesting beyond Python's recursion limit.
    """  # J-15
    with _no_garbage_collection():
        try:
            return Raw(_write_messagepack(_read_json(payload)))
        except _FAILURES:
            pass  # a large number or a lone surrogate, which the slow reader below accepts
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


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pauses the collection of reference cycles.

    Decoded JSON has no cycles, but the collector would search its many small lists repeatedly. For
    a payload of nested arrays this search takes two thirds of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


_LONGEST_INTEGER: Final = 20  # characters of a number that may fit 64 bits


def _integer(text: str) -> int | float:
    if len(text) <= _LONGEST_INTEGER:
        number = int(text)
        if -(2**63) <= number < 2**64:
            return number
    return float(text)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


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
_NEVER_USED: Final = 0xC1
_CONTAINERS: Final = {
    **dict.fromkeys((*range(0x90, 0xA0), 0xDC, 0xDD), ARRAY),
    **dict.fromkeys((*range(0x80, 0x90), 0xDE, 0xDF), MAP),
}
_BRACKETS: Final = {ARRAY: (b"[", b"]"), MAP: (b"{", b"}")}
_CONSTANTS: Final = {0xC0: b"null", 0xC2: b"false", 0xC3: b"true"}
_FLOATS: Final = {0xCA: struct.Struct(">f"), 0xCB: struct.Struct(">d")}
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - all are UTC, and isoformat adds no zone
_TIMESTAMP: Final = -1


def messagepack_to_json(payload: bytes | Raw, maximum_depth: int = MAXIMUM_JSON_DEPTH) -> Raw:
    """A MessagePack value as JSON.

    bin becomes base64, bad UTF-8 becomes U+FFFD. A timestamp becomes ISO 8601 with up to seven
    decimal places. Keys that are not texts are written as .NET writes the keys of a dictionary.
    Raises TranscodingError for values without a JSON form (NaN, infinities, other extensions; nil,
    arrays and maps as keys), for nesting beyond ``maximum_depth``, and for bytes that are not
    MessagePack.
    """  # J-17
    steps = messagepack_to_json_in_steps(payload, maximum_depth)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            json_form: Raw = end.value
            return json_form


def messagepack_to_json_in_steps(
    payload: bytes | Raw, maximum_depth: int = MAXIMUM_JSON_DEPTH
) -> Generator[None, None, Raw]:
    """Converts as ``messagepack_to_json`` does, in steps of a few milliseconds. Returns the JSON.

    A MiB of small values takes up to a second. The caller can do other work between two steps. A
    small payload takes one step, and the generator yields nothing.
    """
    data = bytes(payload)
    pieces: list[bytes] = []
    try:
        for piece in _json_pieces(data, maximum_depth):
            if pieces:
                yield
            pieces.append(piece)
    except RemoteProtocolError as error:
        raise TranscodingError(f"The value is not MessagePack: {error}") from error
    return Raw(b"".join(pieces))


_STEP: Final = 1024
"""The cost of a step in units. A value costs 1 unit, unless a constant below sets its cost."""
_SINGLE_COST: Final = 10
_EXTENSION_COST: Final = 4
_RUN_SHARE: Final = 16  # this many values of a run cost 1 unit
_EXTENSIONS: Final = (0xC7, 0xC8, 0xC9, *range(0xD4, 0xD9))
_COSTS: Final = {0xCA: _SINGLE_COST, **dict.fromkeys(_EXTENSIONS, _EXTENSION_COST)}
_LONGEST_RUN: Final = _STEP * _RUN_SHARE
_ONE_BYTE: Final = {
    **{number: b"%d" % number for number in range(0x80)},
    **{code: b"%d" % (code - 0x100) for code in range(0xE0, 0x100)},
    **_CONSTANTS,
    0xA0: b'""',
}
"""The JSON of values of one byte."""
_WITH_EMPTY: Final = {**_ONE_BYTE, 0x80: b"{}", 0x90: b"[]"}
"""The JSON of values of one byte and of empty containers, which count as a level of nesting."""


def _run_of(codes: Iterable[int]) -> "re.Pattern[bytes]":
    return re.compile(b"[%b]+" % b"".join(re.escape(bytes([code])) for code in codes))


_RUN: Final = _run_of(_ONE_BYTE)
_RUN_WITH_EMPTY: Final = _run_of(_WITH_EMPTY)


def _json_pieces(data: bytes, maximum_depth: int) -> Iterator[bytes]:
    """The JSON of the one value ``data``, in pieces that take about the same time.

    It is a loop without recursion, because it runs for each value in ``data``.
    """
    size, position, budget = len(data), 0, _STEP
    parts: list[bytes] = []
    append = parts.append
    outer: list[tuple[int, bytes]] = []  # ``pending`` and ``closing`` of the enclosing containers
    # Entries still to come in the current container, its closing bracket, and the text before the
    # next entry.
    pending, closing, before = 1, b"", b""
    one_byte, run = _WITH_EMPTY, _RUN_WITH_EMPTY
    while True:
        while not pending:
            append(closing)
            if not outer:
                if position != size:
                    raise TranscodingError("The value is not MessagePack: bytes follow it.")
                yield b"".join(parts)
                return
            pending, closing = outer.pop()
            one_byte, run = _WITH_EMPTY, _RUN_WITH_EMPTY
            before = b","
        if budget <= 0:
            yield b"".join(parts)
            parts.clear()
            budget = _STEP
        pending -= 1
        budget -= 1
        if closing == b"}":
            budget -= _COSTS.get(data[position], 0) if position < size else 0
            key, position = _key(data, position)
            append(before + _write_text(key) + b":")
            before = b""
        code = data[position] if position < size else _NEVER_USED
        if short := one_byte.get(code):
            append(before + short)
            position += 1
            before = b","
            if pending and closing == b"]":
                found = run.match(data, position, position + min(pending, _LONGEST_RUN))
                if found is not None:
                    values = found[0]
                    append(before + b",".join(map(one_byte.__getitem__, values)))
                    position += len(values)
                    pending -= len(values)
                    budget -= len(values) // _RUN_SHARE
        elif (kind := _CONTAINERS.get(code, 0)) != 0:
            if len(outer) >= maximum_depth:
                raise TranscodingError(
                    f"The value nests arrays and maps deeper than {maximum_depth} levels."
                )
            outer.append((pending, closing))
            pending, position = scan_header(data, position, kind)
            opening, closing = _BRACKETS[kind]
            if len(outer) == maximum_depth:
                one_byte, run = _ONE_BYTE, _RUN
            append(before + opening)
            before = b""
        else:
            text, position = _scalar(data, position, code)
            append(before)
            append(_write_text(text) if isinstance(text, str) else text)
            before = b","
            budget -= _COSTS.get(code, 0)


def _scalar(data: bytes, position: int, code: int) -> tuple[str | bytes, int]:
    """A scalar and the position after it. Text is returned as str, any other value as its JSON."""
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
    if 0xC4 <= code <= 0xC6:  # bin, after a length of 1, 2 or 4 bytes
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
            raise TranscodingError(f"A timestamp has {length} bytes, not 4, 8 or 12.")
    if nanoseconds >= 10**9:
        raise TranscodingError("A timestamp has more nanoseconds than a second.")
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        raise TranscodingError("A timestamp is outside the years 1 to 9999.") from None
    fraction = f".{nanoseconds // 100:07}".rstrip("0").rstrip(".")
    return f"{moment.isoformat()}{fraction}Z"


def _key(data: bytes, position: int) -> tuple[str, int]:
    """A key as text, and its end."""
    code = data[position] if position < len(data) else 0xC1
    if 0x80 <= code < 0xA0 or 0xDC <= code <= 0xDF or code == 0xC0:
        raise TranscodingError("A map has a key that is nil, an array or a map.")
    text, end = _scalar(data, position, code)
    if isinstance(text, str):
        return text, end
    return text.decode().title() if code in (0xC2, 0xC3) else text.decode(), end
