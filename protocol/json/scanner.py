"""Finds where JSON values begin and end, as strictly as System.Text.Json, without decoding them.

``record``, ``reader`` and ``handshake`` use the scanner to find where a value ends and which
mistake comes first. Bad UTF-8 and lone surrogates are accepted inside values (J-8). Nesting is
limited (J-11), and scanning does not recurse. Decoding is left to msgspec.
"""

import re
from array import array
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from typing import Final

import msgspec
from msgspec import Raw

from ..errors import DECODING_FAILURES

MAXIMUM_DEPTH: Final = 64

# Possessive quantifiers (`*+`) prevent backtracking. Backtracking would never find a match here,
# and its memory would make the time more than linear.
_SPACE: Final = rb"[ \t\r\n]*+"
_TEXT: Final = rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
_ATOM: Final = (
    _TEXT
    + rb"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+(?=[ \t\r\n,\]}])"
    + rb"|true|false|null"
)
_WHITE_SPACE: Final = re.compile(_SPACE)
_ARRAYS: Final = re.compile(rb"(?:\[%b)++" % _SPACE)
_ENDS_OF_ARRAYS: Final = re.compile(rb"\](?:%b\]){0,%d}+" % (_SPACE, MAXIMUM_DEPTH))
_SCALAR: Final = re.compile(_ATOM)


def _value(level: int) -> bytes:
    """A pattern of values in which containers nest at most ``level`` deep."""
    if level == 0:
        return rb"(?:%b)" % _ATOM
    element = _value(level - 1)
    member = rb"%b%b:%b%b" % (_TEXT, _SPACE, _SPACE, element)
    return rb"(?:%b|\[%b\]|\{%b\})" % (_ATOM, _all(element, rb"\]"), _all(member, rb"\}"))


def _all(entry: bytes, closer: bytes) -> bytes:
    """A pattern of all entries of a container that ends with the bracket ``closer``.

    Each comma must be followed by an entry.
    """
    after = rb"(?:,%b(?!%b)|(?=%b))" % (_SPACE, closer, closer)
    return rb"%b(?:%b%b%b)*+" % (_SPACE, entry, _SPACE, after)


@cache  # compiled at first use, which takes ten milliseconds
def _runs(level: int) -> dict[bytes, re.Pattern[bytes]]:
    """Patterns of runs of entries, by the bracket that closes their container.

    A run begins with the comma after an entry. Its entries nest at most ``level`` deep. The pattern
    also matches white space after the run. A run is skipped in one step, because a step in Python
    takes as long as matching fifty bytes.
    """
    comma, value = rb"%b,%b" % (_SPACE, _SPACE), _value(level)
    return {
        b"]": re.compile(rb"(?:%b%b)*+%b" % (comma, value, _SPACE)),
        b"}": re.compile(rb"(?:%b%b%b:%b%b)*+%b" % (comma, _TEXT, _SPACE, _SPACE, value, _SPACE)),
    }


_MOST_LEVELS: Final = 2
_OPENERS: Final = b"[{"
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes: 1 and -1
_LONG: Final = 1024
"""From this size on, finding brackets one by one is usually faster than counting all of them."""


class JsonSyntaxError(ValueError):
    """The bytes are not JSON from ``position`` on."""

    def __init__(self, position: int, trailing_comma: bool = False) -> None:
        super().__init__(f"malformed JSON at byte {position}")
        self.position = position
        self.trailing_comma = trailing_comma


def skip_white_space(data: bytes, position: int) -> int:
    """The first position at or after ``position`` that holds no JSON white space."""
    match = _WHITE_SPACE.match(data, position)
    assert match is not None
    return match.end()


def scan_token(data: bytes, position: int) -> int:
    """The end of the token exactly at ``position``: a scalar, or a container's opening bracket.

    Raises JsonSyntaxError. A number at the end of ``data`` raises it too, because more digits could
    follow.
    """
    opener = data[position : position + 1]
    if opener and opener in _OPENERS:
        return position + 1
    match = _SCALAR.match(data, position)
    if match is None:
        raise JsonSyntaxError(position)
    return match.end()


def scan_value(data: bytes, position: int, depth: int = 0, trailing_commas: bool = False) -> int:
    """The end of the value that begins exactly at ``position``.

    ``depth`` is the number of containers that are open around it. Raises JsonSyntaxError, also
    where the nesting exceeds MAXIMUM_DEPTH.
    """
    closers = bytearray()  # the closing brackets of the containers that are open inside the value
    while True:
        opener = data[position : position + 1]
        if opener and opener in _OPENERS:
            arrays = _ARRAYS.match(data, position)
            closers += b"]" * arrays[0].count(b"[") if arrays else b"}"
            if depth + len(closers) > MAXIMUM_DEPTH:
                raise JsonSyntaxError(position)
            position = arrays.end() if arrays else skip_white_space(data, position + 1)
            if data[position : position + 1] != closers[-1:]:
                position = position if arrays else _scan_key(data, position)
                continue
        else:
            position = scan_token(data, position)
        # A value has ended: close the containers that end here, or continue with the next entry.
        while closers:
            room = min(MAXIMUM_DEPTH - depth - len(closers), _MOST_LEVELS)
            run = _runs(room)[bytes(closers[-1:])].match(data, position)
            assert run is not None
            position = run.end()
            following = data[position : position + 1]
            if following == closers[-1:]:
                ends = _ENDS_OF_ARRAYS.match(data, position)
                count = ends[0].count(b"]") if ends else 1
                if ends and closers.endswith(b"]" * count):
                    del closers[-count:]
                    position = ends.end()
                else:
                    closers.pop()
                    position += 1
                continue
            if following != b",":
                raise JsonSyntaxError(position)
            position = skip_white_space(data, position + 1)
            if data[position : position + 1] == closers[-1:]:
                if not trailing_commas:
                    raise JsonSyntaxError(position, trailing_comma=True)
                continue
            if closers[-1:] == b"}":
                position = _scan_key(data, position)
            break
        else:
            return position


def _scan_key(data: bytes, position: int) -> int:
    """The position of a member's value: skips the name at ``position`` and the colon."""
    match = _SCALAR.match(data, position)
    if match is None or data[position : position + 1] != b'"':
        raise JsonSyntaxError(position)
    position = skip_white_space(data, match.end())
    if data[position : position + 1] != b":":
        raise JsonSyntaxError(position)
    return skip_white_space(data, position + 1)


def scan_object(data: bytes, position: int, read_member: Callable[[bytes, int], int]) -> int:
    """The end of the object that begins at ``position``.

    Calls ``read_member(name, start)`` for each member in order. ``name`` is as written between the
    quotes, ``start`` is the position of the value. ``read_member`` returns the end of the value.
    Raises JsonSyntaxError.
    """

    def read_entry(start: int) -> int:
        value = _scan_key(data, start)
        return read_member(data[start + 1 : data.rindex(b'"', start, value)], value)

    return _scan_entries(data, position, b"}", read_entry)


def scan_array(data: bytes, position: int, read_element: Callable[[int], int]) -> int:
    """The end of the array that begins at ``position``.

    Calls ``read_element(start)`` for each element in order. ``read_element`` returns the end of the
    element. Raises JsonSyntaxError.
    """
    return _scan_entries(data, position, b"]", read_element)


def split_array(data: bytes | Raw) -> list[Raw]:
    """The elements of the JSON array ``data``, each with its text unchanged.

    Raises msgspec.ValidationError for a value of another type, msgspec.DecodeError for bytes that
    are not JSON. Unlike msgspec it accepts lone surrogates in strings.
    """  # J-8
    try:
        return _split(data)
    except msgspec.ValidationError:
        raise
    except DECODING_FAILURES:
        text = bytes(data)
        if b"\\u" in text:
            try:
                return _scan_whole_array(text)
            except JsonSyntaxError:
                pass  # the text of msgspec's error is better
        raise


_split: Final = msgspec.json.Decoder(list[Raw]).decode


def _scan_whole_array(text: bytes) -> list[Raw]:
    elements: list[Raw] = []

    def read_element(start: int) -> int:
        end = scan_value(text, start, depth=1)
        elements.append(Raw(text[start:end]))
        return end

    start = skip_white_space(text, 0)
    if text[start : start + 1] != b"[":
        raise JsonSyntaxError(start)
    end = skip_white_space(text, scan_array(text, start, read_element))
    if end != len(text):
        raise JsonSyntaxError(end)
    return elements


def _scan_entries(
    data: bytes, position: int, closer: bytes, read_entry: Callable[[int], int]
) -> int:
    position = skip_white_space(data, position + 1)
    if data[position : position + 1] == closer:
        return position + 1
    while True:
        position = skip_white_space(data, read_entry(position))
        following = data[position : position + 1]
        if following == closer:
            return position + 1
        if following != b",":
            raise JsonSyntaxError(position)
        position = skip_white_space(data, position + 1)


def is_deeper(data: bytes, limit: int) -> bool:
    """Whether arrays and objects in ``data``, well-formed JSON, nest more than ``limit`` deep."""
    if not _has_more_openers(data, limit):
        return False
    # Without escapes, every second piece between quotes is inside a string.
    outside = _STRING.sub(b"", data) if b"\\" in data else b"".join(data.split(b'"')[::2])
    steps = array("b", outside.translate(_STEPS, _NOT_BRACKETS))
    return max(accumulate(steps), default=0) > limit


def _has_more_openers(data: bytes, limit: int) -> bool:
    if len(data) < _LONG:
        return data.count(b"[") + data.count(b"{") > limit
    for opener in (b"[", b"{"):
        position = data.find(opener)
        while position >= 0:
            if limit == 0:
                return True
            limit -= 1
            position = data.find(opener, position + 1)
    return False
