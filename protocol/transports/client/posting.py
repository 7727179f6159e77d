"""What Server-Sent Events and long polling have in common on a client.

What is written leaves by POST, one at a time (C-4); what arrives is read by a task. How it is read,
and how the server is notified of the end, is decided by each transport.
"""

import asyncio
import logging
from abc import ABC, abstractmethod

from ...aio.transport import Receiver
from ...errors import TransportViolationError
from ..reading import Reading
from .http_client import HttpClient, HttpRequestError
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
        self._reading = Reading(self._read_to_the_end)
        self.pause_reading = self._reading.pause
        self.resume_reading = self._reading.resume
        sender = self._sender = Sender(self._post, self._post_failed)
        self.write = sender.write
        self.flush = sender.flush
        self.drain = sender.drain
        self._is_ended_by_server = False
        self._ending: asyncio.Future[None] | None = None

    @abstractmethod
    async def _read(self) -> None:
        """Pushes what the server sends; returns when the server has ended it.

        Raises HttpRequestError or TransportViolationError.
        """

    @abstractmethod
    async def _announce_end(self) -> None:
        """Ends the connection on the server, unless the end of requests does."""

    # ---- Transport

    def set_receiver(self, receiver: Receiver) -> None:
        """See Transport. A request that fails is the end of the connection (C-16, C-23)."""
        self._reading.start(receiver)

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._sender.buffered

    async def close(self, *, failed: bool = False) -> None:
        """See Transport. What is queued is sent before the end is announced (TL-12)."""
        await asyncio.shield(self._begin_to_end(self._close_timeout))

    def abort(self) -> None:
        """See Transport. The end is still announced, so that the server does not wait."""
        self._sender.cancel()
        self._reading.cancel()
        _ = self._begin_to_end(0)

    # ---- inside

    async def _post(self, payload: bytes) -> None:
        async with await self._http.request("POST", self._url, body=payload) as response:
            if (
                response.method != "POST"
            ):  # its body was not read, as where a proxy redirects to a login
                raise HttpRequestError("A POST was redirected to where it became a GET.")

    def _post_failed(self, error: Exception) -> None:
        self._reading.cancel(_violation(error))

    async def _read_to_the_end(self) -> None:
        try:
            await self._read()
        except Exception as error:
            self._server_has_ended()
            raise _violation(error) from error
        self._server_has_ended()

    def _server_has_ended(self) -> None:
        self._is_ended_by_server = True
        self._sender.cancel()  # there is nothing that takes it

    def _begin_to_end(self, seconds_for_the_rest: float) -> "asyncio.Future[None]":
        """Starts the end once; it continues when its callers are cancelled."""
        if self._ending is None:
            end = self._end(seconds_for_the_rest)
            self._ending = asyncio.get_running_loop().create_task(end)
        return self._ending

    async def _end(self, seconds_for_the_rest: float) -> None:
        self._reading.resume()
        try:
            if not self._reading.has_ended:
                await self._sender.finish(seconds_for_the_rest)
            self._sender.cancel()
            self._reading.cancel()
            await self._reading.wait_until_ended()
            if not self._is_ended_by_server:
                async with asyncio.timeout(self._close_timeout):
                    await self._announce_end()
        except (HttpRequestError, TimeoutError) as error:
            reason = getattr(error, "summary", "no answer in time")
            logger.debug("The end of a connection could not be announced: %s", reason)
        finally:  # also when the loop is torn down in the midst of it
            await self._http.close()


def _violation(error: Exception) -> TransportViolationError:
    """The error that the receiver gets, in place of an error of HTTP."""
    if isinstance(error, TransportViolationError):
        return error
    if isinstance(error, HttpRequestError):
        return TransportViolationError(str(error), summary=error.summary)
    logger.error("A request failed unexpectedly: %s", type(error).__name__)
    return TransportViolationError(f"A request failed: {type(error).__name__}")
