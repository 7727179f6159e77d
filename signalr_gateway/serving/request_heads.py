"""Closes connections that do not send a complete request head in time.

aiohttp has no such deadline: a silent connection would stay open for ever, and many of them use up
the file descriptors of the process. The deadline runs from the moment a connection is accepted, and
again from the first byte of each later request, until the request head is complete. The body has a
deadline of its own (`http.api`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from ..downstream.clock import Clock
from ..downstream.deadlines import Deadlines


class RequestHeads:
    """The deadlines of all connections, with one timer. `timeout` is in seconds."""

    def __init__(self, timeout: float, clock: Clock | None = None) -> None:
        self._deadlines: Deadlines[WatchedConnection] = Deadlines(
            timeout, WatchedConnection.abort, clock or asyncio.get_running_loop()
        )

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
                return await handler(request)
            finally:
                watched.resume()

        app.middlewares.insert(0, middleware)

    def watch(self, protocol: asyncio.Protocol) -> WatchedConnection:
        """Return the protocol that a listener uses in place of `protocol`."""
        return WatchedConnection(self._deadlines, protocol)

    def close(self) -> None:
        """Stop all deadlines."""
        self._deadlines.close()


class WatchedConnection(asyncio.Protocol):
    """Passes all calls on to aiohttp's protocol, and starts the deadline of each request head.

    It is the transport's protocol only while no request is served.
    """

    def __init__(self, deadlines: Deadlines[WatchedConnection], protocol: asyncio.Protocol) -> None:
        self._deadlines = deadlines
        self._protocol = protocol
        self._transport: asyncio.Transport | None = None

    def suspend(self) -> None:
        """Let the transport call aiohttp's protocol directly, while a request is served."""
        self._deadlines.stop(self)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.set_protocol(self._protocol)

    def resume(self) -> None:
        """Become the transport's protocol again, once the request has been served."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.set_protocol(self)

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._deadlines.start(self)
        self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._deadlines.start(self)
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadlines.stop(self)
        self._transport = None
        self._protocol.connection_lost(exc)
