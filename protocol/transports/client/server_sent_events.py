"""The client's Server-Sent Events transport on aiohttp (section TS_)."""

from typing import Final

import aiohttp

from ...server_sent_events import ServerSentEventsParser
from .http_client import HttpClient, read
from .posting import PostingClientTransport


class ServerSentEventsClientTransport(PostingClientTransport):
    """Reads one endless response. When either side ends it, the connection ends (TS_-6).

    Made by ``connect``.
    """

    has_inherent_keep_alive: Final = False
    was_cut: Final = False

    def __init__(
        self,
        http: HttpClient,
        url: str,
        response: aiohttp.ClientResponse,
        maximum_size: int | None,
        close_timeout: float,
    ) -> None:
        self._response = response
        self._parser = ServerSentEventsParser(maximum_size)
        super().__init__(http, url, close_timeout)

    @classmethod
    async def connect(
        cls, http: HttpClient, url: str, maximum_size: int | None, close_timeout: float
    ) -> "ServerSentEventsClientTransport":
        """Opens the event stream. Raises HttpRequestError.

        ``maximum_size`` is the limit of an event in bytes; None means no limit.
        """
        response = await http.request("GET", url, accept="text/event-stream", is_endless=True)
        return cls(http, url, response, maximum_size, close_timeout)

    async def _read(self) -> None:
        async with self._response:
            while piece := await read(self._response):
                for data in self._parser.feed(piece):
                    await self._reading.push(data)

    async def _announce_end(self) -> None:
        """Does nothing: the request is closed already, and a DELETE is not sent (TS_-6)."""
