"""The client's long polling transport on aiohttp (section TL)."""

from typing import Final

import aiohttp

from ...authentication_refresh import is_refresh_required
from .authentication_refresh import AuthenticationRefresh
from .http_client import HttpClient, HttpRequestTimeout, read, read_all, refusal
from .posting import PostingClientTransport

_NO_CONTENT: Final = 204  # the server has ended the connection (TL-6)
_CONFLICT: Final = 409
_MAXIMUM_CONFLICT_BODY: Final = 64 * 1024


class LongPollingClientTransport(PostingClientTransport):
    """Sends one poll after another. Made by ``connect``."""

    has_inherent_keep_alive: Final = True
    was_cut: Final = False

    def __init__(
        self, http: HttpClient, url: str, close_timeout: float, refresh: AuthenticationRefresh
    ) -> None:
        super().__init__(http, url, close_timeout)
        self._refresh = refresh
        self._has_refreshed = False  # since the last poll that the server accepted

    @classmethod
    async def connect(
        cls, http: HttpClient, url: str, close_timeout: float, refresh: AuthenticationRefresh
    ) -> "LongPollingClientTransport":
        """Sends the first poll and ignores its body (TL-3). Raises HttpRequestError.

        ``refresh`` is called when the answer to a poll demands a refresh.
        """
        async with await http.request("GET", url):
            pass
        return cls(http, url, close_timeout, refresh)

    async def _read(self) -> None:
        while True:
            try:
                response = await self._http.request("GET", self._url, passes_status=_CONFLICT)
            except HttpRequestTimeout:
                continue  # the server may hold a poll for longer than the client's timeout (TL-11)
            async with response:
                if response.status == _NO_CONTENT:
                    return
                if response.status == _CONFLICT:
                    await self._refresh_on_demand(response)
                    continue
                self._has_refreshed = False
                while data := await read(response):
                    await self._reading.push(data)

    async def _refresh_on_demand(self, response: aiohttp.ClientResponse) -> None:
        """Refreshes the authentication if ``response``, of status 409, demands it (AR-3).

        Raises HttpRequestError if the response demands nothing, and if the poll after a refresh
        demands another refresh.
        """
        body = await read_all(response, _MAXIMUM_CONFLICT_BODY)
        if self._has_refreshed or body is None or not is_refresh_required(body):
            raise refusal(response)
        self._has_refreshed = True
        await self._refresh()

    async def _announce_end(self) -> None:
        """Sends the DELETE request. 404 means that the connection has ended already (TL-12)."""
        async with await self._http.request("DELETE", self._url, accept=None):
            pass
