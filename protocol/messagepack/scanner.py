"""Finds where MessagePack values begin and end, and reads single values.

Functions take the bytes and the position of a value. They raise RemoteProtocolError with .NET's
text for bytes that are not MessagePack, for a value of another type, and for a length beyond the
end of the bytes (M-10). Nothing recurses.
"""

import struct
from typing import Final

from ..errors import RemoteProtocolError

MAXIMUM_DEPTH: Final = 500
"""The deepest nesting of containers that .NET reads. Empty containers do not count (M-18)."""

_NEVER_USED: Final = 0xC1
_SIZES: Final = {1: struct.Struct(">B"), 2: struct.Struct(">H"), 4: struct.Struct(">I")}
_NAMES: Final = {
    0xC0: "nil",
    _NEVER_USED: "(never used)",
    0xC2: "false",
    0xC3: "true",
    0xCA: "float 32",
    0xCB: "float 64",
    **{0xC4 + n: f"bin {8 << n}" for n in range(3)},
    **{0xC7 + n: f"ext {8 << n}" for n in range(3)},
    **{0xCC + n: f"uint {8 << n}" for n in range(4)},
    **{0xD0 + n: f"int {8 << n}" for n in range(4)},
    **{0xD4 + n: f"fixext {1 << n}" for n in range(5)},
    **{0xD9 + n: f"str {8 << n}" for n in range(3)},
    **{0xDC + n: f"array {16 << n}" for n in range(2)},
    **{0xDE + n: f"map {16 << n}" for n in range(2)},
}
_INTEGERS: Final = {
    code: struct.Struct(">" + form)
    for code, form in zip((*range(0xCC, 0xD0), *range(0xD0, 0xD4)), "BHIQbhiq", strict=True)
}

# Tables by the first byte of a value.
_FIXED: Final = [0] * 256  # the size of the whole value, 0 if the size varies
_LENGTHS: Final = [0] * 256  # the number of bytes that hold the length, if the size varies
_EXTRA: Final = [0] * 256  # 1 for an extension, whose type follows the length and is not counted
_VALUES: Final = [0] * 256  # the number of values in one entry of a container, 0 for other values


def _fill_tables() -> None:
    for code in (*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3, *range(0x80, 0xA0)):
        _FIXED[code] = 1
    for code in range(0xA0, 0xC0):
        _FIXED[code] = 1 + (code & 0x1F)
    for code, number in _INTEGERS.items():
        _FIXED[code] = 1 + number.size
    _FIXED[0xCA], _FIXED[0xCB] = 5, 9
    for power in range(5):
        _FIXED[0xD4 + power] = 2 + (1 << power)
    for first in (0xC4, 0xC7, 0xD9):  # bin, ext, str
        _LENGTHS[first : first + 3] = 1, 2, 4
    for first in (0xDC, 0xDE):  # array, map
        _LENGTHS[first : first + 2] = 2, 4
    for code in (0xC7, 0xC8, 0xC9):
        _EXTRA[code] = 1  # the type
    for code in (*range(0x90, 0xA0), 0xDC, 0xDD):
        _VALUES[code] = 1
    for code in (*range(0x80, 0x90), 0xDE, 0xDF):
        _VALUES[code] = 2


_fill_tables()


def end_of_data() -> RemoteProtocolError:
    """The error for a value that ends beyond the end of the bytes."""
    return RemoteProtocolError(
        "Attempted to read past the end of the stream.", "EndOfStreamException"
    )


def _unexpected(code: int) -> RemoteProtocolError:
    if code < 0x80:
        name = "positive fixint"
    elif code >= 0xE0:
        name = "negative fixint"
    elif code < 0xC0:
        name = ("fixmap", "fixarray", "fixstr", "fixstr")[(code - 0x80) >> 4]
    else:
        name = _NAMES[code]
    return RemoteProtocolError(
        f"Unexpected msgpack code {code} ({name}) encountered.", "MessagePackSerializationException"
    )


def _code(data: bytes, position: int) -> int:
    if position >= len(data):
        raise end_of_data()
    return data[position]


def _length(data: bytes, position: int, width: int) -> int:
    """The number in the ``width`` bytes after the first byte of a value."""
    if position + 1 + width > len(data):
        raise end_of_data()
    length: int = _SIZES[width].unpack_from(data, position + 1)[0]
    return length


ARRAY: Final = 1
MAP: Final = 2
"""The kinds of containers. The number of a kind is the number of values in one entry: an array has
one value per entry, a map has a key and a value."""


def scan_header(data: bytes, position: int, kind: int) -> tuple[int, int]:
    """The number of entries of the container at ``position``, and where they begin.

    Raises RemoteProtocolError if the value is of another kind, and if the container has more values
    than ``data`` has bytes after the header.
    """
    code = _code(data, position)
    if _VALUES[code] != kind:
        raise _unexpected(code)
    if _FIXED[code]:
        count, start = code & 0x0F, position + 1
    else:
        width = _LENGTHS[code]
        count, start = _length(data, position, width), position + 1 + width
    if count * kind > len(data) - start:
        raise end_of_data()
    return count, start


def scan_value(data: bytes, position: int) -> int:
    """The end of the value at ``position``."""
    size, pending = len(data), 1
    while pending:
        pending -= 1
        code = _code(data, position)
        if code == _NEVER_USED:
            raise _unexpected(code)
        kind = _VALUES[code]
        if kind:
            count, position = scan_header(data, position, kind)
            pending += count * kind
        elif fixed := _FIXED[code]:
            position += fixed
        else:
            width = _LENGTHS[code]
            position += 1 + width + _EXTRA[code] + _length(data, position, width)
        if position > size:
            raise end_of_data()
    return position


def is_deeper(data: bytes, limit: int = MAXIMUM_DEPTH) -> bool:
    """Whether containers in the one whole value ``data`` nest more than ``limit`` deep."""
    if len(data) <= limit or _possible_containers(data) <= limit:
        return False
    fixed, kinds = _FIXED, _VALUES  # locals, because the loop runs for each value in ``data``
    outer: list[int] = []  # unread values of each container around the current one
    pending = 1  # unread values of the current container
    position, size = 0, len(data)
    while position < size:
        while not pending:
            pending = outer.pop()
        pending -= 1
        code = data[position]
        kind = kinds[code]
        if not kind:
            position += fixed[code]
            if not fixed[code]:
                position = scan_value(data, position)
            continue
        if fixed[code]:
            count, position = code & 0x0F, position + 1
        else:
            count, position = scan_header(data, position, kind)
        if count:
            if len(outer) == limit:
                return True
            outer.append(pending)
            pending = count * kind
    return False


_CONTAINERS: Final = bytes(code for code in range(256) if _VALUES[code])


def _possible_containers(data: bytes) -> int:
    """The number of bytes that could begin a container. There are no more containers than that."""
    return len(data) - len(data.translate(None, _CONTAINERS))


def scan_text(data: bytes, position: int) -> tuple[str | None, int]:
    """The text at ``position``, or None for nil, and its end. Bad UTF-8 becomes U+FFFD (M-10)."""
    code = _code(data, position)
    if code == 0xC0:
        return None, position + 1
    if 0xA0 <= code < 0xC0:
        start, length = position + 1, code & 0x1F
    elif 0xD9 <= code <= 0xDB:
        width = _LENGTHS[code]
        start, length = position + 1 + width, _length(data, position, width)
    else:
        raise _unexpected(code)
    end = start + length
    if end > len(data):
        raise end_of_data()
    return data[start:end].decode("utf-8", "replace"), end


def scan_integer(data: bytes, position: int) -> tuple[int, int]:
    """The integer at ``position``, of any width, and its end (M-13)."""
    code = _code(data, position)
    if code < 0x80:
        return code, position + 1
    if code >= 0xE0:
        return code - 0x100, position + 1
    form = _INTEGERS.get(code)
    if form is None:
        raise _unexpected(code)
    end = position + _FIXED[code]
    if end > len(data):
        raise end_of_data()
    value: int = form.unpack_from(data, position + 1)[0]
    return value, end


def scan_boolean(data: bytes, position: int) -> tuple[bool, int]:
    """The boolean at ``position``, and its end."""
    code = _code(data, position)
    if code not in (0xC2, 0xC3):
        raise _unexpected(code)
    return code == 0xC3, position + 1


def scan_extension(data: bytes, position: int) -> tuple[int, bytes, int]:
    """The type and the content of the extension at ``position``, and its end."""
    code = _code(data, position)
    if code in range(0xD4, 0xD9):
        start, length = position + 1, _FIXED[code] - 2
    elif code in range(0xC7, 0xCA):
        width = _LENGTHS[code]
        start, length = position + 1 + width, _length(data, position, width)
    else:
        raise _unexpected(code)
    end = start + 1 + length
    if end > len(data):
        raise end_of_data()
    kind = data[start]
    return kind - 0x100 if kind > 0x7F else kind, data[start + 1 : end], end
