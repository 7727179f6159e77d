"""The arguments that the methods of the gateway hub take from clients (GW-16).

Names of members are those of the original. `clients.gateway_hub` decides what the calls do.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from protocol import HubException

from ..routing.problem_code import ProblemCode, RefusedCall

Text = str | int | float | None
"""The value of a text member. Clients of the original may send a number instead."""


class RouteCall(msgspec.Struct):
    """The members that the argument of each method has: a route, and the receive key of its hub.

    The argument null is read as an object without members, so that the error text names the missing
    member.
    """

    __ignores_case__: ClassVar[bool] = True  # in MessagePack too (GW-16)

    api: Text = None
    key: Text = None
    receive_key: Text = None


class GroupCall(RouteCall):
    receive_group: Text = None


class UserCall(RouteCall):
    user_id: Text = None


class DownstreamCall(RouteCall):
    data: msgspec.Raw | None = None
    data_array: msgspec.Raw | None = None


def text_of(value: Text) -> str | None:
    """The value as a text; None if it is missing."""
    return None if value is None else str(value)


def required(value: Text, name: str) -> str:
    """The value as a text. Raises HubException if it is missing or empty."""
    text = text_of(value)
    if not text:
        raise HubException(f"{name} is missing.")
    return text


def require_size(call: DownstreamCall, maximum: int | None) -> None:
    """Raise `RefusedCall` if the members with arguments have more than `maximum` bytes (GW-50)."""
    size = sum(len(bytes(value)) for value in (call.data, call.data_array) if value is not None)
    if maximum is not None and size > maximum:
        text = f"The arguments have more than the {maximum} bytes of one message."
        raise RefusedCall(ProblemCode.BODY_TOO_LARGE, text)


_NULL = {"json": b"null", "messagepack": b"\xc0"}
_ARRAY_OF_ONE = {"json": (b"[", b"]"), "messagepack": (b"\x91", b"")}


def written_arguments(call: DownstreamCall, protocol_name: str, maximum_size: int | None) -> bytes:
    """The arguments as an array in the hub protocol of the client (GW-16).

    If `Data` is not null, it is the only argument. Otherwise the items of `DataArray` are the
    arguments. Raises `RefusedCall`, or HubException if both are missing.
    """
    opening, closing = _ARRAY_OF_ONE[protocol_name]
    for value, before, after in ((call.data, opening, closing), (call.data_array, b"", b"")):
        if value is not None and bytes(value) != _NULL[protocol_name]:
            written = before + bytes(value) + after
            if maximum_size is not None and len(written) > maximum_size:
                limit = f"the {maximum_size} bytes that this route allows"
                text = f"The arguments have more than {limit}."
                raise RefusedCall(ProblemCode.BODY_TOO_LARGE, text)
            return written
    raise HubException("Data or DataArray is missing.")
