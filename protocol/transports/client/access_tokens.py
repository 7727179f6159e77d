"""The access tokens of one connection: when a new token is requested, and which origins get it.

``HttpClient`` sends them (A-2, A-5, N-18).
"""

import inspect
from collections.abc import Collection

from yarl import URL

from .options import AccessTokenFactory, is_field_value
from .urls import valid_origins


class AccessTokens:
    """The user's token factory, and the last token.

    ``trusted`` are the origin of the hub and the origins that the user has listed. A token of the
    factory is for these origins only. For another origin there is no token, and the factory is not
    called.
    """

    def __init__(self, factory: AccessTokenFactory | None, trusted: Collection[URL]) -> None:
        self._factory = factory
        self._trusted = frozenset(trusted)
        self._origins = self._trusted
        self._cached: str | None = None

    def replace(self, token: str, url: str) -> None:
        """From now on uses ``token``, which a negotiate response contains (N-18, N-19).

        ``url`` is the URL for which the server has given the token. The token is for the origin of
        ``url`` and for the trusted origins.
        """
        self._factory = lambda: token
        self._origins = self._trusted.union(valid_origins(url))
        self._cached = token

    def cached(self, origin: URL) -> str | None:
        """Returns the token for a request that does not need a new one. None or empty: no token."""
        return self._cached if origin in self._origins else None

    async def ask(self, origin: URL) -> str | None:
        """Returns a new token from the factory for a request to ``origin``, without caching it.

        Raises the exceptions of the factory. Raises TypeError if the factory returns anything but a
        str or None, and ValueError for a token that no header can carry.
        """
        if self._factory is None or origin not in self._origins:
            return None
        token = self._factory()
        if inspect.isawaitable(token):
            token = await token
        if token is not None and not isinstance(token, str):
            raise TypeError(
                f"access_token_factory returned {type(token).__name__}, not a str or None."
            )
        if token and not is_field_value(token):
            raise ValueError(
                "The access token contains a line break or another control character, which no "
                "header can carry."
            )
        return token

    def keep(self, token: str | None) -> None:
        """Caches a token that ``ask`` has returned."""
        self._cached = token
