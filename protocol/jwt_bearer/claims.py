"""Decides whether the claims of a token are accepted, and which user they describe.

The texts of refusals are those of ASP.NET Core, without the values of claims other than times.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ..server.authentication import Principal
from .compact_token import TokenRefused

_LATEST: Final = 253_402_300_799.0  # the last second of the year 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """The claims that tokens need, and the names of the claims that describe the user.

    ``audience`` and ``issuer`` are the accepted values; None accepts all tokens. ``clock_skew`` are
    seconds by which the clock of the issuer may differ.
    """

    audience: frozenset[str] | None
    issuer: frozenset[str] | None
    clock_skew: float
    required: frozenset[str]
    user_id: frozenset[str]
    roles: frozenset[str]

    def principal(self, claims: Mapping[str, Any], now: float) -> Principal:
        """Returns the user of a verified token. ``now`` are seconds since the epoch.

        Raises TokenRefused if the token has expired, or is for others, or lacks a claim.
        """
        expires_at = self._check_lifetime(claims, now)
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not _is_accepted(named, self.audience):
            raise _refused("The audience is invalid")
        if not _is_accepted([claims.get("iss")], self.issuer):
            raise _refused("The issuer is invalid")
        if any(claims.get(name) in (None, "", []) for name in self.required):
            raise _refused("A required claim is missing")
        user_ids = [text for text in _texts(claims, self.user_id) if text]
        roles = frozenset(_texts(claims, self.roles))
        return Principal(user_ids[0] if user_ids else None, roles, claims, expires_at)

    def _check_lifetime(self, claims: Mapping[str, Any], now: float) -> float:
        """Returns the time of expiry, or raises TokenRefused."""
        expires, not_before = _time(claims, "exp"), _time(claims, "nbf")
        if expires is None:
            raise _refused("The token has no expiration")
        if not_before is not None:
            if not_before > expires:
                raise _refused(
                    f"The token lifetime is invalid; NotBefore: '{_date(not_before)}', "
                    f"Expires: '{_date(expires)}'"
                )
            if not_before > now + self.clock_skew:
                raise _refused(f"The token is not valid before '{_date(not_before)}'")
        if expires <= now - self.clock_skew:
            raise _refused(f"The token expired at '{_date(expires)}'")
        return expires


def _refused(description: str) -> TokenRefused:
    return TokenRefused(description, description)


def _is_accepted(values: Iterable[object], accepted: frozenset[str] | None) -> bool:
    """Whether one of the values is accepted. None accepts all."""
    return accepted is None or any(isinstance(it, str) and it in accepted for it in values)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A time in seconds since the epoch, from the epoch to the year 9999; None if missing.

    ``compact_token`` refuses NaN. The number may be too large for a float.
    """
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused("a claim that is a time is not a number")
    return float(min(max(value, 0.0), _LATEST))


def _date(seconds: float) -> str:
    """A time as ASP.NET Core writes it: in UTC, in the invariant culture."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%m/%d/%Y %H:%M:%S")


def _texts(claims: Mapping[str, Any], names: frozenset[str]) -> Iterator[str]:
    """The values of the named claims, in the order of the token. A list has several values.

    As in .NET, numbers and booleans count as their JSON texts. Objects are ignored. Raises
    TokenRefused for a text that is not valid Unicode.
    """
    for name, value in claims.items():
        if name in names:
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, bool):
                    yield str(each).lower()
                elif isinstance(each, str | int):
                    yield _valid_text(str(each))


def _valid_text(text: str) -> str:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise TokenRefused("a claim is not valid Unicode")
    return text
