"""API keys: the authenticator that finds the owner of a key, and the hash to store (GW-39).

The configuration contains hashes only, so that a key cannot be read from it. A key has 256 random
bits, so that a plain hash is enough: it is not possible to try all keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from protocol import AuthenticationFailure, Authenticator, HttpRequestData, Principal

HEADER: Final = "X-Api-Key"
PREFIX: Final = "sgk_"
"""All keys begin with this text, so that programs can find keys in places where none should be."""

_HASH_PREFIX: Final = "sha256:"
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NOT_VALID: Final = AuthenticationFailure("The API key is not valid")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A stored key. `name` names the key, `user_id` its owner, who may have several keys.

    `hash` is the text that `key_hash` returns. `expires_at` is in seconds since the epoch; None:
    never.
    """

    name: str
    user_id: str
    hash: str = field(repr=False)
    scopes: Collection[str] = ()
    roles: Collection[str] = ()
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class KeyOwner(Principal):
    """The owner of the key that a request has. `key` is the name of the key."""

    key: str = ""


def new_key() -> str:
    """Return a new random key."""
    return PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> str:
    """The hash of a key, as the configuration contains it."""
    return _HASH_PREFIX + hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


def is_key_hash(text: str) -> bool:
    """Whether `key_hash` may have returned this text."""
    return _HASH.fullmatch(text) is not None


class ApiKeys(Authenticator):
    """Finds the owner of the key in ``X-Api-Key``, ``Authorization: Bearer`` or ``access_token``.

    Bearer tokens and values of ``access_token`` that do not begin with `PREFIX` are not keys.
    `clock` returns seconds since the epoch.
    """

    def __init__(self, keys: Iterable[ApiKey], clock: Callable[[], float] = time.time) -> None:
        self._keys = [
            (
                each.hash.encode(),
                each.expires_at,
                KeyOwner(
                    each.user_id,
                    frozenset(each.roles),
                    {"key": each.name, "scope": " ".join(each.scopes)},
                    each.expires_at,
                    each.name,
                ),
            )
            for each in keys
        ]
        self._clock = clock

    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        """Return the owner of the key; None without a key, a failure for a key that is not valid.

        A failure does not say whether the key has expired or was never valid.
        """
        key = _key_of(request)
        if key is None:
            return None
        given = key_hash(key).encode()
        found: tuple[float | None, KeyOwner] | None = None
        for stored, expires_at, owner in self._keys:  # all of them, so that the time is constant
            if hmac.compare_digest(given, stored):
                found = expires_at, owner
        if found is None:
            return _NOT_VALID
        expires_at, owner = found
        return owner if expires_at is None or self._clock() < expires_at else _NOT_VALID


def _key_of(request: HttpRequestData) -> str | None:
    key = request.headers.get(HEADER)
    if key is not None:
        return key.strip()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token = token.strip()
    else:
        token = request.query("access_token") or ""
    return token if token.startswith(PREFIX) else None
