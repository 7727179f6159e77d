"""Closes connections whose request head takes too long, or is too large.

aiohttp has no deadline for a request head: silent connections would stay open for ever, and use up
the file descriptors of the process. The deadline begins when a connection is accepted, and again
with the first byte of each later request. It ends when the request head is complete. The body has a
deadline of its own (`http.api`).

This module also limits the number of fields and the size of the whole head, and answers with 431.
If a client sends its next request before it has received an answer, the head of that request goes
to aiohttp directly. aiohttp limits the number of fields and the size of each, and answers with 400.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

from aiohttp import web

from ..downstream.clock import Clock
from ..downstream.deadlines import Deadlines
from .unread_answers import UnreadAnswers

MAXIMUM_HEAD_SIZE: Final = 32 * 1024
"""Bytes of the request line and all fields, as in ASP.NET Core. One field may use all of them."""
MAXIMUM_FIELDS: Final = 100
"""Fields of a request head, as in ASP.NET Core."""
_END: Final = b"\r\n\r\n"


def _refusal(reason: str) -> bytes:
    return (
        "HTTP/1.1 431 Request Header Fields Too Large\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(reason)}\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"Connection: close\r\n\r\n{reason}"
    ).encode()


_TOO_LARGE: Final = _refusal(f"The request head has more than {MAXIMUM_HEAD_SIZE} bytes.")
_TOO_MANY_FIELDS: Final = _refusal(f"The request head has more than {MAXIMUM_FIELDS} fields.")


class RequestHeads:
    """The deadlines of all connections, with one timer. Timeouts are in seconds.

    A connection is also closed if its client does not read an answer (`send_timeout`).
    """

    def __init__(
        self, timeout: float, clock: Clock | None = None, *, send_timeout: float = 30.0
    ) -> None:
        clock = clock or asyncio.get_running_loop()
        self._deadlines: Deadlines[WatchedConnection] = Deadlines(
            timeout, WatchedConnection.abort, clock
        )
        self._answers = UnreadAnswers(send_timeout, clock)

    def guard(self, app: web.Application) -> None:
        """Add a middleware to `app` that stops the deadline while a request is served."""

        @web.middleware
        async def middleware(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            transport = request.transport
            watched = None if transport is None else transport.get_protocol()
            if not isinstance(watched, WatchedConnection):
                return await handler(request)
            watched.suspend()
            try:
                response = await handler(request)
                if not request.content.is_eof():
                    # The rest of the body follows: it is not a head, and no request comes after it.
                    response.force_close()
                return response
            finally:
                watched.resume(head_follows=request.content.is_eof())

        app.middlewares.insert(0, middleware)

    def watch(self, protocol: asyncio.Protocol) -> WatchedConnection:
        """Return the protocol that a listener uses in place of `protocol`."""
        return WatchedConnection(self._deadlines, self._answers, protocol)

    def close(self) -> None:
        """Stop all deadlines."""
        self._deadlines.close()
        self._answers.close()


class WatchedConnection(asyncio.Protocol):
    """Passes all calls to aiohttp's protocol, and starts the deadline of each request head.

    While a request is served, aiohttp's protocol is the protocol of the transport; at all other
    times this object is. A head that is too large is answered with 431, and the connection is
    closed.
    """

    def __init__(
        self,
        deadlines: Deadlines[WatchedConnection],
        answers: UnreadAnswers,
        protocol: asyncio.Protocol,
    ) -> None:
        self._deadlines = deadlines
        self._answers = answers
        self._protocol = protocol
        self._transport: asyncio.Transport | None = None
        self._is_served = False
        self._is_refused = False
        self._is_in_head = True
        self._head_size = 0  # bytes of the unfinished head
        self._head_lines = 0  # complete lines of the unfinished head
        self._tail = b""  # the last bytes of the head, which may be the start of `_END`

    def suspend(self) -> None:
        """Let the transport call aiohttp's protocol directly, while a request is served."""
        self._deadlines.stop(self)
        self._is_served = True
        if self._transport is not None and not self._transport.is_closing():
            self._answers.watch(self)
            self._transport.set_protocol(self._protocol)

    def resume(self, *, head_follows: bool = True) -> None:
        """Become the transport's protocol again, once the request has been served."""
        self._is_served = False
        self._is_in_head, self._head_size, self._head_lines, self._tail = head_follows, 0, 0, b""
        if self._transport is None:
            return
        if self._transport.is_closing() and not self._transport.get_write_buffer_size():
            # The connection is lost, and `connection_lost` of aiohttp's protocol is called.
            self._answers.forget(self)
            self._transport = None
        else:
            self._transport.set_protocol(self)

    @property
    def unread(self) -> int:
        """See `Answering`."""
        if self._is_served or self._transport is None:
            return 0
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._deadlines.start(self)
        self._answers.watch(self)
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._deadlines.start(self)
        refusal = self._count_head(data) if self._is_in_head else None
        if refusal is not None:
            self._refuse_head(refusal)
        else:
            self._protocol.data_received(data)

    def _count_head(self, data: bytes) -> bytes | None:
        """Count the bytes and lines of the head in `data`. Returns a refusal if it is too large."""
        if not self._head_size:
            data = data.lstrip(b"\r\n")  # empty lines before a head are ignored
        known = self._head_size - len(self._tail)
        both = self._tail + data
        end = both.find(_END)
        self._is_in_head = end < 0
        size = len(both) if end < 0 else end + len(_END)
        self._head_size = known + size
        self._head_lines += data.count(b"\n", 0, size - len(self._tail))
        self._tail = both[1 - len(_END) :]
        if self._head_size > MAXIMUM_HEAD_SIZE:
            return _TOO_LARGE
        # The request line is not a field, and neither is the empty line that ends the head.
        others = 1 if self._is_in_head else 2
        return _TOO_MANY_FIELDS if self._head_lines - others > MAXIMUM_FIELDS else None

    def _refuse_head(self, refusal: bytes) -> None:
        self._is_refused = True
        if self._transport is not None:
            self._transport.write(refusal)
            self._transport.close()

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadlines.stop(self)
        self._answers.forget(self)
        self._transport = None
        self._protocol.connection_lost(exc)
