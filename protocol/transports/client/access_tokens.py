"""Which access token goes on which request (A-2, A-5, N-18)."""

import inspect

from .options import AccessTokenFactory, is_field_value


class AccessTokens:
    """The tokens of one connection: a factory, and the token it gave last."""

    def __init__(self, factory: AccessTokenFactory | None) -> None:
        self._factory = factory
        self.cached: str | None = None
        """For requests that do not ask anew; None or empty: there is none."""

    def replace(self, token: str) -> None:
        """What a server gave in its answer to negotiate counts from now on (N-18, N-19)."""
        self._factory = lambda: token
        self.cached = token

    async def ask(self) -> str | None:
        """A fresh one, not kept.

        Raises what the factory raises, TypeError or ValueError for what is no token.
        """
        token = self._factory() if self._factory is not None else None
        if inspect.isawaitable(token):
            token = await token
        if token is not None and not isinstance(token, str):
            raise TypeError(
                f"access_token_factory gave {type(token).__name__}; a token is text, or None."
            )
        if token and not is_field_value(token):
            raise ValueError(
                "The access token has a line break or another control character in it, which no "
                "header can carry."
            )
        return token

    async def renew(self) -> str | None:
        """A fresh one, kept."""
        self.cached = await self.ask()
        return self.cached
