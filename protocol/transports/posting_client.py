"""What Server-Sent Events and long polling have in common on a client.

What is written leaves by POST, one at a time (C-4); what arrives is read by a task, into an inbox.
How it is read, and how the server is told the end, is each transport's own business.
"""

import asyncio
import logging
from abc import ABC, abstractmethod

from ..errors import TransportViolationError
from .http_client import HttpClient, HttpRequestError
from .inbox import Inbox
from .sender import Sender

logger = logging.getLogger(__name__)


class PostingClientTransport(ABC):
    """A ``protocol.aio.transport.Transport`` over requests of its own to ``url``.

    ``close_timeout`` bounds, in seconds, how long what is queued may take to leave, and the rest of
    an orderly end.
    """

    def __init__(self, http: HttpClient, url: str, close_timeout: float) -> None:
        self._http = http
        self._url = url
        self._close_timeout = close_timeout
        self._inbox = Inbox()
        # First, so that it is the poll that goes over the connection that is open already.
        self._reader = asyncio.get_running_loop().create_task(self._read_to_the_end())
        self._sender = Sender(self._post, self._post_failed)
        self._is_ended_by_server = False
        self._ending: asyncio.Future[None] | None = None

    @abstractmethod
    async def _read(self) -> None:
        """Puts what the server sends into the inbox; returns when the server has ended it.

        Raises HttpRequestError or TransportViolationError.
        """

    @abstractmethod
    async def _say_goodbye(self) -> None:
        """Tells the server that this is the end, unless the end of requests does."""

    # ---- Transport

    async def receive(self) -> bytes | None:
        """See Transport. A request that fails is the end of the connection (C-16, C-23)."""
        return await self._inbox.receive()

    def write(self, data: bytes) -> int:
        """See Transport."""
        return self._sender.write(data)

    def flush(self) -> None:  # noqa: B027 - complete as it is
        """See Transport. The sender is at it as soon as the loop is free."""

    @property
    def is_closed(self) -> bool:
        """See Transport."""
        return self._inbox.has_ended

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._sender.buffered

    async def drain(self) -> None:
        """See Transport."""
        await self._sender.drain()

    async def close(self, *, failed: bool = False) -> None:
        """See Transport. What is queued is sent before the server is told (TL-12)."""
        await asyncio.shield(self._begin_to_end(self._close_timeout))

    def abort(self) -> None:
        """See Transport. The server is told all the same, so that it does not wait for us."""
        self._sender.cancel()
        self._inbox.end()
        _ = self._begin_to_end(0)

    # ---- inside

    async def _post(self, payload: bytes) -> None:
        async with await self._http.request("POST", self._url, body=payload) as response:
            if response.method != "POST":  # its body went nowhere, as before a page to log in
                raise HttpRequestError("A POST was redirected to where it became a GET.")

    def _post_failed(self, error: Exception) -> None:
        self._inbox.end(_violation(error))
        self._reader.cancel()

    async def _read_to_the_end(self) -> None:
        try:
            await self._read()
        except Exception as error:
            self._inbox.end(_violation(error))
        else:
            self._inbox.end()
        self._is_ended_by_server = True
        self._sender.cancel()  # nobody would take it

    def _begin_to_end(self, seconds_for_the_rest: float) -> "asyncio.Future[None]":
        """One end, however many ask for it; it goes on when they do not wait for it any more."""
        if self._ending is None:
            end = self._end(seconds_for_the_rest)
            self._ending = asyncio.get_running_loop().create_task(end)
        return self._ending

    async def _end(self, seconds_for_the_rest: float) -> None:
        try:
            if not self._inbox.has_ended:
                await self._sender.finish(seconds_for_the_rest)
            self._sender.cancel()
            self._reader.cancel()
            await asyncio.wait({self._reader})
            self._inbox.end()
            if not self._is_ended_by_server:
                async with asyncio.timeout(self._close_timeout):
                    await self._say_goodbye()
        except (HttpRequestError, TimeoutError) as error:
            reason = getattr(error, "summary", "no answer in time")
            logger.debug("The server was not told the end of a connection: %s", reason)
        finally:  # also when the loop is torn down in the midst of it
            await self._http.close()


def _violation(error: Exception) -> TransportViolationError:
    """What a connection learns, whose reader knows no HTTP."""
    if isinstance(error, TransportViolationError):
        return error
    if isinstance(error, HttpRequestError):
        return TransportViolationError(str(error), summary=error.summary)
    logger.error("A request failed unexpectedly: %s", type(error).__name__)
    return TransportViolationError(f"A request failed: {type(error).__name__}")
