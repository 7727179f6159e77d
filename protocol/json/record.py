"""Reads hub messages and handshakes as ASP.NET Core does: each record is one JSON object.

.NET reads one token, checks its type, then reads the next. This module does the same, because the
first mistake decides the error (J-3…J-8): a value of the wrong type is refused before anything
inside it is read. The properties of each kind of record are left to ``reader`` and ``handshake``.
"""

import json
import re
from collections.abc import Callable
from typing import Final

from ..errors import RemoteProtocolError
from .scanner import JsonSyntaxError, scan_object, scan_token, skip_white_space

_TOKEN_TYPES: Final = {
    b"{": "StartObject",
    b"[": "StartArray",
    b'"': "String",
    b"t": "True",
    b"f": "False",
    b"n": "Null",
}
_INTEGER: Final = re.compile(rb"-?[0-9]+\Z")


def read_object(record: bytes, read_member: Callable[[str, int], int]) -> None:
    """Reads a record that must be one JSON object and nothing else.

    ``read_member`` gets the name of each member and the position of its value, and returns the end
    of the value. Raises RemoteProtocolError for a value of another type, JsonSyntaxError for bytes
    that are not JSON.
    """
    start = skip_white_space(record, 0)
    if record[start : start + 1] != b"{":
        scan_token(record + b" ", start)  # the space ends a number at the end of the record
        kind = token_type(record[start:]).removeprefix("Start")
        raise RemoteProtocolError(f"Unexpected JSON Token Type '{kind}'. Expected a JSON Object.")
    end = scan_object(record, start, lambda name, position: read_member(_unescaped(name), position))
    # .NET ignores what follows the object. It is refused here, because another reader of the same
    # bytes could find a second message there (J-8).
    if skip_white_space(record, end) != len(record):
        raise JsonSyntaxError(end)


def token_type(value: bytes) -> str:
    """.NET's name for the token that the JSON value begins with."""
    return _TOKEN_TYPES.get(value[:1], "Number")


def missing_property(name: str) -> RemoteProtocolError:
    """The error for a record without the property ``name`` (J-5, H-10)."""
    return RemoteProtocolError(f"Missing required property '{name}'.")


def read_string(name: str, token: bytes) -> str:
    """The text of the property ``name``, whose value begins with ``token``.

    ``scan_token`` has accepted ``token``. Raises RemoteProtocolError if it is not a string.
    """
    if not token.startswith(b'"'):
        raise RemoteProtocolError(f"Expected '{name}' to be of type String.")
    return read_text(token)


def read_integer(name: str, token: bytes, bits: int) -> int:
    """The signed integer of ``bits`` bits in the property ``name`` (J-4).

    ``scan_token`` has accepted ``token``. Raises RemoteProtocolError if it is not such an integer.
    """
    if token_type(token) != "Number":
        raise RemoteProtocolError(f"Expected '{name}' to be of type Number.")
    # The length is checked first: int() is slow for very many digits, or refuses them.
    if (
        _INTEGER.match(token) is None
        or len(token) > 20
        or not -(1 << (bits - 1)) <= int(token) < (1 << (bits - 1))
    ):
        raise RemoteProtocolError(
            f"Either the JSON value is not in a supported format, or is out of bounds for an "
            f"Int{bits}.",
            "FormatException",
        )
    return int(token)


def read_text(token: bytes) -> str:
    """The text of a JSON string that ``scan_token`` has accepted.

    Raises RemoteProtocolError for bad UTF-8 and for lone surrogates (J-8).
    """
    try:
        text = token.decode()
        if "\\" not in text:
            return text[1:-1]
        text = str(json.loads(text))
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


def _unescaped(name: bytes) -> str:
    """The name of a property. Bad UTF-8 becomes U+FFFD, so that it equals no known name."""
    text = name.decode("utf-8", "replace")
    return str(json.loads(f'"{text}"')) if "\\" in text else text
