"""The server's Server-Sent Events transport on aiohttp (section TS_).

Writes hub bytes as events to the socket of one request. ``inbound_posts`` and ``inbound_pipe``
receive the bytes from the client.
"""

import asyncio
from typing import Final

from aiohttp import HttpVersion11, web

from ...aio.transport import TransportLimits
from ...http_transport_type import TRANSFER_FORMATS, HttpTransportType
from ...hub_protocol import TransferFormat
from ...server_sent_events import FIRST_COMMENT, write_event
from ..flusher import Flusher
from ..socket_output import SocketOutput
from .inbound_pipe import InboundPipe

HEADERS: Final = {  # all but the last as in ASP.NET Core (TS_-2)
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache,no-store",
    "Pragma": "no-cache",
    "Content-Encoding": "identity",
    "X-Accel-Buffering": "no",  # makes nginx forward events at once, whatever its configuration
}


class ServerSentEventsServerTransport:
    """An ``aio.transport.ServerTransport`` over one endless response, and POSTs."""

    has_inherent_keep_alive: Final = False
    was_cut: Final = False
    transfer_formats: Final = frozenset(TRANSFER_FORMATS[HttpTransportType.SERVER_SENT_EVENTS])

    def __init__(
        self,
        request: web.Request,
        inbound: InboundPipe,
        flusher: Flusher,
        limits: TransportLimits,
        close_timeout: float,
    ) -> None:
        self.limits = limits
        self._response = web.StreamResponse(headers=HEADERS)
        self._request = request
        self._inbound = inbound
        self.set_receiver = inbound.set_receiver
        self.pause_reading = inbound.pause_reading
        self.resume_reading = inbound.resume_reading
        self._is_chunked = request.version >= HttpVersion11
        if not self._is_chunked:
            self._response.force_close()  # in HTTP/1.0, only the close shows the end
        self._output = SocketOutput(
            request, flusher, self._frame, limits, send_timeout=limits.transport_send_timeout
        )
        self._close_timeout = close_timeout
        self.write = self._output.write
        self.flush = self._output.flush
        self.drain = self._output.drain

    async def open(self) -> web.StreamResponse:
        """Sends the head and the first comment (TS_-3)."""
        await self._response.prepare(self._request)
        await self._response.write(FIRST_COMMENT)
        return self._response

    def _frame(self, payload: bytes) -> bytes:
        event = write_event(payload)
        return b"%x\r\n%b\r\n" % (len(event), event) if self._is_chunked else event

    def stop_receiving(self) -> None:
        """See ServerTransport. POSTs are refused from now on (TG-6)."""
        self._inbound.complete()

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """See ServerTransport. Events are always text (TS_-1)."""

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._output.buffered

    async def close(self, *, failed: bool = False) -> None:
        """See Transport. The stream ends in the same way in all cases (TS_-6)."""
        self._output.flush()
        self._output.end()
        self._inbound.complete()
        try:
            async with asyncio.timeout(self._close_timeout):
                await self._response.write_eof()
        except TimeoutError:
            self.abort()
        except ConnectionError:
            pass  # the client has disconnected

    def abort(self) -> None:
        """See Transport."""
        self._inbound.complete()
        self._output.abort()
