"""The client's long polling transport on aiohttp (section TL)."""

from typing import Final

from .http_client import HttpClient, HttpRequestTimeout, read
from .posting import PostingClientTransport

_NO_CONTENT: Final = 204  # the server has ended the connection (TL-6)


class LongPollingClientTransport(PostingClientTransport):
    """Sends one poll after another. Made by ``connect``."""

    has_inherent_keep_alive: Final = True

    @classmethod
    async def connect(
        cls, http: HttpClient, url: str, close_timeout: float
    ) -> "LongPollingClientTransport":
        """Sends the first poll and ignores its body (TL-3). Raises HttpRequestError."""
        async with await http.request("GET", url):
            pass
        return cls(http, url, close_timeout)

    async def _read(self) -> None:
        while True:
            try:
                response = await self._http.request("GET", self._url)
            except HttpRequestTimeout:
                continue  # the server may hold a poll for longer than our timeout (TL-11)
            async with response:
                if response.status == _NO_CONTENT:
                    return
                while data := await read(response):
                    await self._reading.push(data)

    async def _announce_end(self) -> None:
        """Sends the DELETE request. 404 means that the connection has ended already (TL-12)."""
        async with await self._http.request("DELETE", self._url, accept=None):
            pass
