"""The access tokens of one connection, and when a new one is requested (A-2, A-5, N-18)."""

import inspect

from .options import AccessTokenFactory, is_field_value


class AccessTokens:
    """The user's token factory, and the token that it has returned last."""

    def __init__(self, factory: AccessTokenFactory | None) -> None:
        self._factory = factory
        self.cached: str | None = None
        """The token for requests that do not need a new one. None or empty: no token."""

    def replace(self, token: str) -> None:
        """Uses a token from the server's negotiate response from now on (N-18, N-19)."""
        self._factory = lambda: token
        self.cached = token

    async def ask(self) -> str | None:
        """Returns a new token from the factory, without caching it.

        Raises the exceptions of the factory, TypeError if it does not return a str or None, and
        ValueError for a token that no header can carry.
        """
        token = self._factory() if self._factory is not None else None
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

    async def renew(self) -> str | None:
        """Returns a new token from the factory, and caches it. Raises as ``ask`` does."""
        self.cached = await self.ask()
        return self.cached
