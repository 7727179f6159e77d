"""Reads a JSON Web Key Set (RFC 7517): which of its keys verify signatures.

Keys of other kinds and for other purposes are ignored, as the standard demands. Of a private key
only the public part is used.
"""

from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from jwt import PyJWS
from jwt.exceptions import PyJWTError

from .keys import VerificationKey

MAXIMUM_SIZE: Final = 256 * 1024  # bytes
_MAXIMUM_KEYS: Final = 100
_PUBLIC_MEMBERS: Final = {
    "RSA": ("n", "e"),
    "EC": ("crv", "x", "y"),
    "OKP": ("crv", "x"),
    "oct": ("k",),
}
_READERS: Final = {
    kind: PyJWS().get_algorithm_by_name(name)
    for kind, name in (("RSA", "RS256"), ("EC", "ES256"), ("OKP", "EdDSA"), ("oct", "HS256"))
}


class KeySetError(Exception):
    """A key set cannot be read. The text is the reason, without addresses and values."""


def read_key_set(data: bytes, *, with_secrets: bool) -> list[VerificationKey]:
    """Returns the keys of a set that verify signatures, in order.

    Secrets (``oct``) are ignored without ``with_secrets``. Raises KeySetError for a document that
    is not a key set, and for one without a usable key.
    """
    try:
        document = msgspec.json.decode(data)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise KeySetError("it is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise KeySetError("it is not a JSON Web Key Set")
    if len(listed) > _MAXIMUM_KEYS:
        raise KeySetError(f"it has more than {_MAXIMUM_KEYS} keys")
    keys = [
        key
        for each in listed
        if (key := _read_key(each)) is not None and (with_secrets or not key.is_secret)
    ]
    if not keys:
        raise KeySetError("it has no key that verifies signatures")
    return keys


class _Jwk(msgspec.Struct):
    """The members of a JSON Web Key that are used."""

    kty: str
    kid: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None
    alg: str | None = None
    crv: str | None = None
    e: str | None = None
    k: str | None = None
    n: str | None = None
    x: str | None = None
    y: str | None = None


def _read_key(members: Any) -> VerificationKey | None:
    """The key, or None for one that is malformed, too weak, or not meant for signatures."""
    try:
        jwk = msgspec.convert(members, _Jwk)
    except msgspec.ValidationError:
        return None
    is_for_signatures = jwk.use in (None, "sig") and (
        jwk.key_ops is None or "verify" in jwk.key_ops
    )
    if jwk.kty not in _READERS or not is_for_signatures:
        return None
    public = {name: getattr(jwk, name) for name in _PUBLIC_MEMBERS[jwk.kty]}
    try:
        key = VerificationKey(_READERS[jwk.kty].from_jwk({"kty": jwk.kty, **public}), jwk.kid)
    except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        return None
    if jwk.alg is not None:
        key.restrict([jwk.alg])
    return key if key.algorithms else None
