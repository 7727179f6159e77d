"""Reads the text of a token: three parts of strict base64url and strict JSON (RFC 7515, 7519).

Nothing that this module returns is trusted: ``keys`` verifies the signature, and ``claims`` checks
what the token says. Encrypted and nested tokens are refused, and so are tokens with extensions.
"""

import base64
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

_EXTENSIONS: Final = ("crit", "b64", "zip", "enc", "cty")


class TokenRefused(Exception):
    """A token is not accepted. The text is the reason for the log, without values of the token.

    ``description`` is the text for the client; it is empty if ASP.NET Core gives none.
    """

    def __init__(self, reason: str, description: str = "") -> None:
        super().__init__(reason)
        self.description = description


@dataclass(frozen=True, slots=True)
class CompactToken:
    """A token that is well-formed. Its signature is not verified yet."""

    algorithm: str
    key_id: str | None
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    payload: bytes = field(repr=False)


def read_token(text: str, maximum_size: int, types: Collection[str]) -> CompactToken:
    """Returns the parts of a token of at most ``maximum_size`` characters.

    ``types`` are the accepted values of its header ``typ``, in lower case; a token without this
    header is accepted. Raises TokenRefused.
    """
    if len(text) > maximum_size:
        raise TokenRefused("it is longer than maximum_token_size")
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenRefused("it does not have three parts")
    try:
        head, payload, signature = map(_decoded, parts)
        header = _read_object(head)
    except ValueError:
        raise TokenRefused("it is not base64url and JSON") from None
    if any(name in header for name in _EXTENSIONS):
        raise TokenRefused("it is encrypted, nested, or needs an extension")
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or not isinstance(key_id, str | None):
        raise TokenRefused("its header has no algorithm, or values of a wrong type")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in types:
        raise TokenRefused("it is of another type, as its header says")
    signing_input = text.rpartition(".")[0].encode()
    return CompactToken(algorithm, key_id, signing_input, signature, payload)


def read_claims(token: CompactToken) -> dict[str, Any]:
    """Returns the claims of a token. Raises TokenRefused if they are not one JSON object."""
    try:
        return _read_object(token.payload)
    except ValueError:
        raise TokenRefused("its claims are not a JSON object") from None


def _decoded(part: str) -> bytes:
    """The bytes of base64url without padding. Only one text is accepted for each byte string."""
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode():
        raise ValueError("not base64url")
    return data


def _read_object(data: bytes) -> dict[str, Any]:
    """The members of a JSON object, as all readers understand it. Raises ValueError."""
    try:
        value = _DECODER.decode(data.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_members, parse_constant=_refuse_constant
)
