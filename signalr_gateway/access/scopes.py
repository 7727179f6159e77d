"""Scopes: what a credential allows its owner to do (GW-39)."""

from __future__ import annotations

from protocol import Principal


def has_scope(user: Principal | None, scope: str) -> bool:
    """Whether the claim ``scope`` of `user`, which is text with spaces between scopes, has it."""
    return user is not None and scope in str(user.claims.get("scope", "")).split()
