"""Makes the authenticator of JSON Web Tokens from the table `[authentication.jwt]` (GW-39)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from protocol import Authenticator
from protocol.jwt_bearer import JwksFile, JwksUrl, JwtBearer, PemKey, SecretKey

from .authentication_tables import JwtTable
from .reading import Place
from .stored_secrets import secret

T = TypeVar("T")


def jwt_bearer(table: JwtTable, place: Place) -> Authenticator:
    """The authenticator of the table. Raises `OrchestrationError`."""
    for name in ("audience", "issuer"):
        if not getattr(table, name):
            raise place.at(name).error("missing; expected the accepted values, or one of them")
    keys = _keys(table, place)
    if not keys:
        raise place.error(
            "has no keys; set jwks_url, jwks_file, public_keys, secret_file or secret_env"
        )
    return _checked(
        lambda: JwtBearer(
            audience=table.audience,
            issuer=table.issuer,
            keys=keys,
            algorithms=table.algorithms or None,
            clock_skew=table.clock_skew,
            required_claims=table.required_claims,
        ),
        place,
    )


def _keys(table: JwtTable, place: Place) -> Sequence[JwksUrl | JwksFile | PemKey | SecretKey]:
    keys: list[JwksUrl | JwksFile | PemKey | SecretKey] = []
    url, file = table.jwks_url, table.jwks_file
    if url is not None:
        keys.append(_checked(lambda: JwksUrl(url), place.at("jwks_url")))
    if file is not None:
        keys.append(_key_set_file(file, place.at("jwks_file")))
    keys += [_public_key(path, place.at("public_keys")) for path in table.public_keys]
    shared = secret("secret", table.secret_file, table.secret_env, place)
    if shared is not None:
        name = "secret_env" if table.secret_file is None else "secret_file"
        keys.append(_checked(lambda: SecretKey(shared()), place.at(name)))
    return keys


def _key_set_file(path: Path, place: Place) -> JwksFile:
    key_set = JwksFile(path)
    try:
        key_set.require_keys()
    except ValueError as exc:
        raise place.error(str(exc)) from exc
    return key_set


def _public_key(path: Path, place: Place) -> PemKey:
    try:
        pem = path.read_bytes()
    except OSError as exc:
        raise place.error(f"cannot be read: {exc.strerror}") from exc
    return _checked(lambda: PemKey(pem), place)


def _checked(make: Callable[[], T], place: Place) -> T:
    """Return what `make` returns. If `make` fails, raise `OrchestrationError` with its text."""
    try:
        return make()
    except (TypeError, ValueError, ImportError) as exc:
        raise place.error(str(exc)) from exc
