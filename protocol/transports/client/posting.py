"""The base of the client's Server-Sent Events and long polling transports.

Written bytes are sent by POST requests, one at a time (C-4), and a task reads. Each transport
decides how it reads, and how it announces the end to the server.
"""

import asyncio
import logging
from abc import ABC, abstractmethod

from ...aio.log_thinning import LogThinning, failure_subject
from ...aio.transport import Receiver
from ...errors import SignalRError, TransportViolationError
from ..reading import Reading
from .http_client import HttpClient, HttpRequestError
from .sender import Sender

logger = logging.getLogger(__name__)


class PostingClientTransport(ABC):
    """An ``aio.transport.Transport`` that sends POST requests to ``url``.

    ``close`` takes at most ``close_timeout`` seconds to send the queued bytes, and then at most
    ``close_timeout`` seconds to announce the end.
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
        self._has_read_to_the_end = False
        self._ending: asyncio.Future[None] | None = None

    @abstractmethod
    async def _read(self) -> None:
        """Pushes the bytes that the server sends. Returns when the server has ended the connection.

        Raises HttpRequestError, TransportViolationError or AuthenticationRefreshError.
        """

    @abstractmethod
    async def _announce_end(self) -> None:
        """Asks the server to end the connection, unless closing the requests is enough."""

    # ---- Transport

    def set_receiver(self, receiver: Receiver) -> None:
        """See Transport. A failed request ends the connection (C-16, C-23)."""
        self._reading.start(receiver)

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._sender.buffered

    async def close(self, *, failed: bool = False) -> None:
        """See Transport. Queued bytes are sent before the end is announced (TL-12)."""
        await asyncio.shield(self._start_end(self._close_timeout))

    def abort(self) -> None:
        """See Transport. The end is still announced, so that the server does not wait."""
        self._sender.cancel()
        self._reading.cancel()
        _ = self._start_end(0)

    # ---- private

    async def _post(self, payload: bytes) -> None:
        async with await self._http.request("POST", self._url, body=payload) as response:
            # A redirect has turned the POST into a GET, so the hub did not get the body. A proxy
            # that redirects to a login page causes this.
            if response.method != "POST":
                raise HttpRequestError("A POST was redirected and became a GET.")

    def _post_failed(self, error: Exception) -> None:
        self._reading.cancel(_violation(error, self._http.thinning))

    async def _read_to_the_end(self) -> None:
        try:
            await self._read()
        except Exception as error:
            self._on_reading_ended()
            raise _violation(error, self._http.thinning) from error
        self._on_reading_ended()

    def _on_reading_ended(self) -> None:
        self._has_read_to_the_end = True
        self._sender.cancel()

    def _start_end(self, send_timeout: float) -> "asyncio.Future[None]":
        """Starts the task that runs ``_end``, unless it was started before. Returns the task."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end(send_timeout))
        return self._ending

    async def _end(self, send_timeout: float) -> None:
        self._reading.resume()
        try:
            if not self._reading.has_ended:
                await self._sender.finish(send_timeout)
            self._sender.cancel()
            self._reading.cancel()
            await self._reading.wait_until_ended()
            if not self._has_read_to_the_end:
                async with asyncio.timeout(self._close_timeout):
                    await self._announce_end()
        except (HttpRequestError, TimeoutError) as error:
            reason = getattr(error, "summary", "no answer in time")
            logger.debug("The end of a connection could not be announced: %s", reason)
        finally:  # also if this task is cancelled, as at the end of asyncio.run
            await self._http.close()


def _violation(error: Exception, thinning: LogThinning) -> TransportViolationError:
    """Returns the error that the receiver gets for ``error``."""
    if isinstance(error, TransportViolationError):
        return error
    if isinstance(error, SignalRError):
        return TransportViolationError(
            str(error), summary=error.summary, public_summary=error.public_summary
        )
    level = thinning.level(failure_subject(error), level=logging.ERROR)
    logger.log(level, "A request failed unexpectedly: %s", type(error).__name__)
    return TransportViolationError(f"A request failed: {type(error).__name__}")
