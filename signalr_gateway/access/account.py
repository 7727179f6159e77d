"""Decides which credentials belong to one user (GW-63).

The user id is not enough for this. Two issuers of tokens may give the same id to two users, and the
id of an API key may be that of a token, too. Connections of users, their events, limits of users,
and calls with an `Idempotency-Key` belong to an account.
"""

from __future__ import annotations

import hashlib

from protocol import Principal

from .api_keys import KeyOwner


def account_of(user: Principal, user_id: str | None) -> str:
    """Return a text that is equal for two credentials if they belong to one user.

    Two credentials belong to one user if they are of the same kind (API key or token), and if their
    claim ``iss`` and their `user_id` are equal. Users of one issuer without an id count as one
    user. The text is a hash, so that its length does not depend on the id.
    """
    issuer = user.claims.get("iss")
    # repr keeps values of different types apart, and escapes what cannot be encoded.
    known_by = repr((isinstance(user, KeyOwner), issuer, user_id))
    return hashlib.sha256(known_by.encode()).hexdigest()
