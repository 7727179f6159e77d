"""Records that are one JSON object, read as ASP.NET Core reads them: messages and handshakes.

.NET takes in a token, judges its kind, then takes in the next; so does this module, because the
first mistake decides the error (J-3…J-8): a value of the wrong kind is refused before anything
inside it is looked at. Which properties there are is left to those who read a record.
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
    """Reads a record that has to be one JSON object and nothing else.

    ``read_member`` gets each member's name and the position of its value, and returns the value's
    end. Raises RemoteProtocolError for another kind of value, JsonSyntaxError for broken JSON.
    """
    start = skip_white_space(record, 0)
    if record[start : start + 1] != b"{":
        scan_token(record + b" ", start)  # the end of the record ends a number
        kind = token_type(record[start:]).removeprefix("Start")
        raise RemoteProtocolError(f"Unexpected JSON Token Type '{kind}'. Expected a JSON Object.")
    end = scan_object(record, start, lambda name, position: read_member(_unescaped(name), position))
    # .NET does not look behind the object; we do, so that a record means one thing to all (J-8).
    if skip_white_space(record, end) != len(record):
        raise JsonSyntaxError(end)


def token_type(value: bytes) -> str:
    """.NET's name for what the JSON value ``value`` begins with."""
    return _TOKEN_TYPES.get(value[:1], "Number")


def missing_property(name: str) -> RemoteProtocolError:
    """What to raise for a record without that property (J-5, H-10)."""
    return RemoteProtocolError(f"Missing required property '{name}'.")


def read_string(name: str, token: bytes) -> str:
    """The text of property ``name``, whose value begins with the scanned ``token``."""
    if not token.startswith(b'"'):
        raise RemoteProtocolError(f"Expected '{name}' to be of type String.")
    return read_text(token)


def read_integer(name: str, token: bytes, bits: int) -> int:
    """The signed integer of that many bits in property ``name`` (J-4)."""
    if token_type(token) != "Number":
        raise RemoteProtocolError(f"Expected '{name}' to be of type Number.")
    # The length is checked first: converting a number of a million digits would take for ever.
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
    """The text of a scanned JSON string (J-8: what is no Unicode text ends the connection)."""
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
    """A property's name; one that is no Unicode text equals no name we know."""
    text = name.decode("utf-8", "replace")
    return str(json.loads(f'"{text}"')) if "\\" in text else text
