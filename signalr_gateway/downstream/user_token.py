"""Decides with which of a user's access tokens the connections of the user are opened (GW-55).

A user may have several tokens: each call and each client brings one. `downstream.users` offers
them, and `downstream.connection` reports which ones the hub refuses.
"""

from __future__ import annotations

import math

from ..access.identity import Identity

MAXIMUM_TOKENS = 8
"""Tokens of one user that are kept."""


class UserToken:
    """Chooses among the access tokens of one user. Calling the instance returns the token to use.

    The hub's last answer to each token is kept. The token that expires last is used, and tokens
    that the hub has refused are used only if it has refused all of them, because a refusal may be
    temporary. At most `MAXIMUM_TOKENS` are kept.
    """

    def __init__(self, identity: Identity) -> None:
        self._expiries: dict[str, float] = {}  # by token
        self._refused: set[str] = set()  # tokens in `_expiries` that the hub has refused
        self._used: str | None = None
        self.offer(identity)

    def __call__(self) -> str | None:
        self._used = max(self._expiries, key=self._rank, default=None)
        return self._used

    def offer(self, identity: Identity) -> None:
        """Add the token of `identity`. If there are too many, drop the least preferred other."""
        if identity.token is None:
            return
        expires_at = identity.expires_at
        self._expiries[identity.token] = math.inf if expires_at is None else expires_at
        if len(self._expiries) > MAXIMUM_TOKENS:
            others = (each for each in self._expiries if each != identity.token)
            replaced = min(others, key=self._rank)
            del self._expiries[replaced]
            self._refused.discard(replaced)

    def refused(self) -> bool:
        """Note that the hub has refused the token that was returned last.

        Return whether there is a token that the hub has not refused.
        """
        if self._used in self._expiries:
            self._refused.add(self._used)
        return len(self._refused) < len(self._expiries)

    def accepted(self) -> None:
        """Note that the hub has accepted the token that was returned last."""
        if self._used is not None:
            self._refused.discard(self._used)

    def _rank(self, token: str) -> tuple[bool, float]:
        return token not in self._refused, self._expiries[token]
