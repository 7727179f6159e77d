"""Serves aiohttp applications on addresses, until a signal stops the process.

The address is bound before anything starts, so that a bind failure is the only error reported. It
is released after the last response. `serving.runner` runs and stops the application.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from ..orchestration.limits import DEFAULT_LIMITS, Limits
from .open_files import exhaustion_logged
from .request_heads import RequestHeads
from .runner import GatewayRunner

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that may wait to be accepted. A burst of clients fills aiohttp's default of 128."""
_ACCEPTED_AT_ONCE = 32
"""The `backlog` passed to asyncio: how often it calls accept in one turn of the event loop.

If no descriptor is free, each of these calls fails and is reported to the exception handler.
"""


class CannotListen(Exception):
    """The address cannot be bound; `str()` is one line with the address and the reason."""


class Address:
    """A bound host and port, as `taken` returns it. It can serve one application, once."""

    def __init__(self, scheme: str, headers_timeout: float) -> None:
        self._scheme = scheme
        self._headers_timeout = headers_timeout
        self._runner: GatewayRunner | None = None
        self._heads: RequestHeads | None = None
        self._server: asyncio.Server | None = None

    async def take(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol,
            host,
            port,
            ssl=ssl_context,
            backlog=_ACCEPTED_AT_ONCE,
            ssl_handshake_timeout=None if ssl_context is None else self._headers_timeout,
            start_serving=False,
        )

    def release(self) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """The base URL, with the port that is bound."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return (
            f"{self._scheme}://[{host}]:{port}"
            if ":" in host
            else f"{self._scheme}://{host}:{port}"
        )

    def _protocol(self) -> asyncio.BaseProtocol:
        assert self._runner is not None
        assert self._runner.server is not None
        assert self._heads is not None
        return self._heads.watch(self._runner.server())

    @asynccontextmanager
    async def serving(self, app: web.Application) -> AsyncIterator[str]:
        """Serve `app` while the context lasts; yields the base URL.

        Raises `CannotListen`, and any exception raised while `app` starts.
        """
        assert self._server is not None
        heads = self._heads = RequestHeads(self._headers_timeout)
        heads.guard(app)
        runner = self._runner = GatewayRunner(app)
        try:
            await runner.setup()
            with exhaustion_logged(asyncio.get_running_loop()):
                with _bind_failures_reported(self.url):
                    await self._server.start_serving()
                    self._deepen_backlog()
                log.info("listening on %s", self.url)
                yield self.url
        finally:
            await runner.shutdown()
            self.release()
            await runner.cleanup()
            heads.close()

    def _deepen_backlog(self) -> None:
        assert self._server is not None
        for listener in self._server.sockets:
            with listener.dup() as same:
                same.listen(BACKLOG)


@asynccontextmanager
async def taken(
    host: str,
    port: int,
    ssl_context: ssl.SSLContext | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[Address]:
    """Bind an address while the context lasts.

    Connections are accepted only while the address serves an application. Port 0 binds a free port.
    With an `ssl_context` the scheme is https. A connection is closed if its TLS handshake, or later
    a request head, takes longer than `limits.headers_timeout`. Raises `CannotListen`.
    """
    address = Address("http" if ssl_context is None else "https", limits.headers_timeout)
    with _bind_failures_reported(f"{host}:{port}"):
        await address.take(host, port, ssl_context)
    try:
        yield address
    finally:
        address.release()


@asynccontextmanager
async def serving(
    app: web.Application,
    host: str,
    port: int,
    ssl_context: ssl.SSLContext | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[str]:
    """Bind an address and serve `app` there while the context lasts; yields the base URL.

    See `taken` and `Address.serving`.
    """
    async with (
        taken(host, port, ssl_context, limits=limits) as address,
        address.serving(app) as url,
    ):
        yield url


@contextmanager
def _bind_failures_reported(place: str) -> Iterator[None]:
    """Raise `CannotListen` in place of the errors that binding an address raises."""
    try:
        yield
    except (OSError, OverflowError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        if isinstance(exc, ValueError):  # raised while the host is encoded for the resolver
            reason = "the host is not a valid name"
        raise CannotListen(f"cannot listen on {place}: {reason}") from exc


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """While the context lasts, the first SIGINT or SIGTERM sets the event that it yields.

    The second signal has its default effect: it ends the process at once. SIGHUP has no effect
    other than a line in the log.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if sys.platform != "win32":  # there Ctrl-C raises KeyboardInterrupt instead
        handlers[signal.SIGHUP] = _log_hangup
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
    try:
        yield stopped
    finally:
        if sys.platform != "win32":
            for number in handlers:
                loop.remove_signal_handler(number)


def _log_hangup() -> None:
    log.info("SIGHUP has no effect: a changed configuration is read after a restart")
