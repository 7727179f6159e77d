"""Several authenticators as one (GW-39)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from protocol import AuthenticationFailure, Authenticator, HttpRequestData, Principal


class FirstOf(Authenticator):
    """The first of `authenticators` that finds credentials in a request decides about them."""

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self.authenticators = tuple(authenticators)
        self._started = AsyncExitStack()

    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        """Return the first result that is not None."""
        for each in self.authenticators:
            found = await each.authenticate(request)
            if found is not None:
                return found
        return None

    async def start(self) -> None:
        """Start all authenticators. If one fails, those that have started are closed."""
        async with AsyncExitStack() as started:
            for each in self.authenticators:
                started.push_async_callback(each.close)
                await each.start()
            self._started = started.pop_all()

    async def close(self) -> None:
        """Close all authenticators."""
        await self._started.aclose()
