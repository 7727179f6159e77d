"""Splits the arguments of a call without decoding them (GW-7).

Numbers, dates and key order reach the hub exactly as the caller wrote them. Arguments are refused
if they could break the connection to the hub, which all callers share. HTTP callers send JSON,
clients of the gateway hub JSON or MessagePack. `downstream.failures` decides how the gateway
answers a call whose arguments are refused.
"""

from __future__ import annotations

import codecs

import msgspec

from protocol import Payload
from protocol.relaying import (
    DECODING_FAILURES,
    is_json_deeper,
    is_messagepack_deeper,
    split_json_array,
)

from ..orchestration.limits import DEFAULT_LIMITS, MAXIMUM_ARGUMENTS
from .problem_code import ProblemCode, RefusedCall


class InvalidArguments(RefusedCall):
    """The arguments cannot be used. `code` says why, `str()` explains it to the caller."""


def split_arguments(
    text: bytes, maximum_depth: int = DEFAULT_LIMITS.maximum_depth, protocol_name: str = "json"
) -> list[Payload]:
    """Split an array into its items, without changing their bytes.

    `text` is written in the hub protocol `protocol_name`. The array itself is the first level of
    `maximum_depth`. Raises `InvalidArguments`.
    """
    if not text:
        raise InvalidArguments(
            ProblemCode.EMPTY_BODY, "The body is empty; it must be a JSON array of arguments."
        )
    items = _split_json(text) if protocol_name == "json" else _split_messagepack(text)
    if len(items) > MAXIMUM_ARGUMENTS:
        raise InvalidArguments(
            ProblemCode.TOO_MANY_ARGUMENTS,
            f"There are {len(items)} arguments; at most {MAXIMUM_ARGUMENTS} are allowed.",
        )
    is_deeper = is_json_deeper if protocol_name == "json" else is_messagepack_deeper
    if is_deeper(text, maximum_depth):
        raise InvalidArguments(
            ProblemCode.TOO_DEEP,
            f"The arguments nest arrays and objects deeper than {maximum_depth} levels.",
        )
    return [Payload({protocol_name: item}) for item in items]


def _split_json(text: bytes) -> list[msgspec.Raw]:
    # msgspec does not check UTF-8 inside a Raw, and the bytes go into a text frame of the shared
    # connection.
    if not text.isascii():
        _check_utf8(text)
    try:
        return split_json_array(text)
    except msgspec.ValidationError as exc:
        raise InvalidArguments(
            ProblemCode.NOT_AN_ARRAY, "The arguments must be a JSON array."
        ) from exc
    except RecursionError as exc:
        raise InvalidArguments(ProblemCode.TOO_DEEP, "The arguments nest far too deeply.") from exc
    except DECODING_FAILURES as exc:
        raise InvalidArguments(
            ProblemCode.INVALID_JSON, f"The arguments are not JSON: {exc}."
        ) from exc


def _check_utf8(text: bytes) -> None:
    """Raise `InvalidArguments` unless `text` is UTF-8 without a byte order mark."""
    if text.startswith(codecs.BOM_UTF8):
        raise InvalidArguments(
            ProblemCode.INVALID_JSON,
            "The arguments begin with a byte order mark; send the JSON without it.",
        )
    try:
        text.decode()
    except UnicodeDecodeError as exc:
        is_utf16 = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        hint = " but UTF-16; send them as UTF-8" if is_utf16 else " text"
        raise InvalidArguments(ProblemCode.NOT_UTF8, f"The arguments are not UTF-8{hint}.") from exc


_split_binary_array = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


def _split_messagepack(data: bytes) -> list[msgspec.Raw]:
    try:
        return _split_binary_array(data)
    except DECODING_FAILURES as exc:
        raise InvalidArguments(ProblemCode.NOT_AN_ARRAY, "The arguments must be an array.") from exc
