"""The client's long polling transport on aiohttp (section TL)."""

from typing import Final

from .http_client import HttpClient, HttpRequestTimeout, read
from .posting import PostingClientTransport

_NO_CONTENT: Final = 204  # the server has ended the connection (TL-6)


class LongPollingClientTransport(PostingClientTransport):
    """Asks again and again, one poll at a time; made by ``connect``."""

    has_inherent_keep_alive: Final = True

    @classmethod
    async def connect(
        cls, http: HttpClient, url: str, close_timeout: float
    ) -> "LongPollingClientTransport":
        """Waits for the first poll, whose body means nothing (TL-3). Raises HttpRequestError."""
        async with await http.request("GET", url):
            pass
        return cls(http, url, close_timeout)

    async def _read(self) -> None:
        while True:
            try:
                response = await self._http.request("GET", self._url)
            except HttpRequestTimeout:
                continue  # held for longer than we wait for any answer (TL-11)
            async with response:
                if response.status == _NO_CONTENT:
                    return
                while data := await read(response):
                    await self._reading.push(data)

    async def _announce_end(self) -> None:
        """TL-12. Any answer is as good as another, 404 too: the server knows no such connection."""
        async with await self._http.request("DELETE", self._url, accept=None):
            pass
