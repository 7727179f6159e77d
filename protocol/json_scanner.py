"""Finds where JSON values begin and end, as strictly as System.Text.Json, without decoding them.

msgspec decides whether a record is right; this scanner serves where it matters *which* mistake
comes first and what may be skipped: bytes that are not UTF-8 and lone surrogates pass inside
values (J-8), nesting is counted (J-11), nothing recurses.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw

from .errors import DECODING_FAILURES

MAXIMUM_DEPTH: Final = 64

_WHITE_SPACE: Final = re.compile(rb"[ \t\r\n]*")
# Possessive (`*+`): to give back what has matched never helps here, and remembering how to do so
# takes more than linear time.
_SCALAR: Final = re.compile(
    rb'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
    rb"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?=[ \t\r\n,\]}])"
    rb"|true|false|null"
)
_OPENERS: Final = b"[{"
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


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
    """The end of a scalar or of the bracket that opens a container, at ``position`` exactly.

    Tells the kind of a value before anything inside it is looked at. Raises JsonSyntaxError, also
    for a number that nothing follows: more digits may be missing.
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

    ``depth`` is how many containers are open around it. Raises JsonSyntaxError, also where the
    nesting passes MAXIMUM_DEPTH.
    """
    closers = bytearray()  # of the containers opened here
    while True:
        opener = data[position : position + 1]
        if opener and opener in _OPENERS:
            closers += b"]" if opener == b"[" else b"}"
            if depth + len(closers) > MAXIMUM_DEPTH:
                raise JsonSyntaxError(position)
            position = skip_white_space(data, position + 1)
            if data[position : position + 1] == closers[-1:]:
                closers.pop()
                position += 1
            else:
                position = _scan_key(data, position) if closers[-1:] == b"}" else position
                continue
        else:
            position = scan_token(data, position)
        # A value has ended: close what ends with it, or go on to the next member.
        while closers:
            position = skip_white_space(data, position)
            following = data[position : position + 1]
            if following == closers[-1:]:
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
    """Past a member's name and colon, at its value."""
    match = _SCALAR.match(data, position)
    if match is None or data[position : position + 1] != b'"':
        raise JsonSyntaxError(position)
    position = skip_white_space(data, match.end())
    if data[position : position + 1] != b":":
        raise JsonSyntaxError(position)
    return skip_white_space(data, position + 1)


def scan_object(data: bytes, position: int, read_member: Callable[[bytes, int], int]) -> int:
    """The end of the object that begins at ``position``.

    Calls ``read_member(name, start)`` for each member in order: the name as written between its
    quotes, the start of its value; it returns the value's end. Raises JsonSyntaxError.
    """

    def read_entry(start: int) -> int:
        value = _scan_key(data, start)
        return read_member(data[start + 1 : data.rindex(b'"', start, value)], value)

    return _scan_entries(data, position, b"}", read_entry)


def scan_array(data: bytes, position: int, read_element: Callable[[int], int]) -> int:
    """The end of the array that begins at ``position``.

    Calls ``read_element(start)`` for each element in order; it returns the element's end. Raises
    JsonSyntaxError.
    """
    return _scan_entries(data, position, b"]", read_element)


def split_array(data: bytes | Raw) -> list[Raw]:
    """The elements of the JSON array that is all of ``data``, each a slice with its text as it is.

    Raises msgspec.ValidationError for another kind of value, msgspec.DecodeError for what is no
    JSON. A lone surrogate in a string is JSON (J-8), which msgspec alone would refuse.
    """
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
                pass  # msgspec says better what is wrong
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


def nesting_depth(data: bytes) -> int:
    """How deep the arrays and objects in well-formed JSON are nested; a scalar has depth 0."""
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    deepest = depth = 0
    for bracket in brackets:
        if bracket in _OPENERS:
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest
