"""Makes the authenticator of the gateway from the table `[authentication]` (GW-39)."""

from __future__ import annotations

from datetime import datetime

from protocol import Authenticator

from ..access.api_keys import ApiKey, ApiKeys, is_key_hash
from ..access.authenticators import FirstOf
from .authentication_tables import ApiKeyTable, AuthenticationTable, JwtTable
from .reading import Place


def authenticator(table: AuthenticationTable, place: Place) -> Authenticator | None:
    """The authenticator, or None if no credentials are configured. Raises `OrchestrationError`."""
    found: list[Authenticator] = []
    if table.api_keys:
        found.append(_api_keys(table, place))
    if table.jwt is not None:
        found.append(_jwt_bearer(table.jwt, place.at("jwt")))
    if not found:
        return None
    return found[0] if len(found) == 1 else FirstOf(found)


def _jwt_bearer(table: JwtTable, place: Place) -> Authenticator:
    try:
        from .json_web_tokens import jwt_bearer  # needs the extra jwt
    except ImportError as exc:
        raise place.error(str(exc)) from exc
    return jwt_bearer(table, place)


def _api_keys(table: AuthenticationTable, place: Place) -> ApiKeys:
    keys_place = place.at("api_keys")
    keys = [_api_key(name, key, keys_place.at(name)) for name, key in table.api_keys.items()]
    stored = [key.hash for key in keys]
    for position, key in enumerate(keys):
        if key.hash in stored[:position]:
            raise keys_place.at(key.name).at("hash").error("is that of another key, too")
    return ApiKeys(keys)


def _api_key(name: str, table: ApiKeyTable, place: Place) -> ApiKey:
    if not is_key_hash(table.hash):
        raise place.at("hash").error(
            "must be 'sha256:' and 64 hexadecimal digits; `signalr-gateway key new` makes a key"
        )
    return ApiKey(
        name=name,
        user_id=table.user or name,
        hash=table.hash,
        scopes=table.scopes,
        roles=table.roles,
        expires_at=None if table.expires is None else _seconds(table.expires, place.at("expires")),
    )


def _seconds(text: str, place: Place) -> float:
    """A moment in seconds since the epoch."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise place.error("must be a date with its time and offset, such as 2027-01-31T00:00:00Z")
    return moment.timestamp()
