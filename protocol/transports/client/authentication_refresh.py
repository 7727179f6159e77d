"""The request with which a client refreshes the authentication of a connection (AR-2, AR-3)."""

import asyncio
from typing import Final

from ... import authentication_refresh
from ...errors import AuthenticationRefreshError
from .http_client import HttpClient, HttpRequestError, read_all

_MAXIMUM_BODY: Final = 64 * 1024


class AuthenticationRefresh:
    """A ``Refresh`` of the connection to the hub at ``url`` that has ``connection_token``.

    Requests are sent one after another, so that the server gets the tokens in the order in which
    the token factory has returned them.
    """

    def __init__(self, http: HttpClient, url: str, connection_token: str) -> None:
        self._http = http
        self._url = authentication_refresh.refresh_url(url)
        self._connection_token = connection_token
        self._lock = asyncio.Lock()

    async def __call__(self) -> float | None:
        """Sends a new access token. Returns its lifetime in seconds if the server sends it.

        Raises AuthenticationRefreshError, and the exceptions of the token factory.
        """
        async with self._lock:
            try:
                async with await self._http.request(
                    "POST",
                    self._url,
                    accept=None,
                    asks_for_token=True,
                    connection_token=self._connection_token,
                ) as response:
                    body = await read_all(response, _MAXIMUM_BODY)
            except HttpRequestError as error:
                raise AuthenticationRefreshError(
                    str(error), error.status, summary=error.summary
                ) from None
        return authentication_refresh.read_refreshed(body or b"")
