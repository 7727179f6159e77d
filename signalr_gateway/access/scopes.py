"""Scopes: what a credential allows its owner to do; and the values of other claims (GW-39)."""

from __future__ import annotations

from typing import Final

from protocol import Principal

_SCOPE_CLAIMS: Final = ("scope", "scp")


def has_scope(user: Principal | None, scope: str) -> bool:
    """Whether the caller has this scope; None: an anonymous caller."""
    return user is not None and scope in scopes_of(user)


def scopes_of(user: Principal) -> frozenset[str]:
    """The scopes of a user: the words of the claims ``scope`` and ``scp``."""
    texts = (text for claim in _SCOPE_CLAIMS for text in claim_values(user, claim))
    return frozenset(word for text in texts for word in text.split())


def claim_values(user: Principal, claim: str) -> frozenset[str]:
    """The values of a claim as texts. A list has several values; objects have none."""
    value = user.claims.get(claim)
    items = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    return frozenset(_text(item) for item in items if isinstance(item, str | int))


def _text(value: str | int) -> str:
    """The text of a value, as JSON writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
