"""Serves aiohttp applications on addresses, until told to stop.

An address is taken before anything starts, so that one that cannot be had is all that is said, and
given up after the last answer (`runner`).
"""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from aiohttp import web

from .open_files import exhaustion_logged
from .request_heads import DEFAULT_HEADERS_TIMEOUT, RequestHeads
from .runner import GatewayRunner

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that may wait to be accepted: far above the default 128, which a burst fills."""
_ACCEPTED_AT_ONCE = 32
"""asyncio's backlog: accepts in one turn of the loop, and failing ones when descriptors run out."""


class CannotListen(Exception):
    """The address cannot be bound; `str()` is one line that says which and why."""


class Address:
    """A host and port that nobody else can have; made by `taken`, good for serving once."""

    def __init__(self, scheme: str) -> None:
        self._scheme = scheme
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
            ssl_handshake_timeout=None if ssl_context is None else DEFAULT_HEADERS_TIMEOUT,
            start_serving=False,
        )

    def release(self) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """The base URL, with the port that was taken."""
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
    async def serving(
        self, app: web.Application, *, headers_timeout: float = DEFAULT_HEADERS_TIMEOUT
    ) -> AsyncIterator[str]:
        """Serve `app` while the context lasts; gives the base URL.

        A connection without a complete request head after `headers_timeout` seconds is closed.
        Raises `CannotListen`, and whatever starting `app` raises.
        """
        assert self._server is not None
        heads = self._heads = RequestHeads(headers_timeout)
        heads.guard(app)
        runner = self._runner = GatewayRunner(app)
        try:
            await runner.setup()
            with exhaustion_logged(asyncio.get_running_loop()):
                with _told(self.url):
                    await self._server.start_serving()
                    self._deepen_backlog()
                log.info("listening on %s", self.url)
                yield self.url
        finally:
            await runner.drain()
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
    host: str, port: int, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[Address]:
    """An address that is ours while the context lasts, though nobody is answered there yet.

    Port 0 takes a free one; with an `ssl_context` it is https. Raises `CannotListen`.
    """
    address = Address("http" if ssl_context is None else "https")
    with _told(f"{host}:{port}"):
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
    headers_timeout: float = DEFAULT_HEADERS_TIMEOUT,
) -> AsyncIterator[str]:
    """Both steps at once: see `taken` and `Address.serving`."""
    async with (
        taken(host, port, ssl_context) as address,
        address.serving(app, headers_timeout=headers_timeout) as url,
    ):
        yield url


@contextmanager
def _told(place: str) -> Iterator[None]:
    """What the system says about an address, as one line."""
    try:
        yield
    except (OSError, OverflowError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise CannotListen(f"cannot listen on {place}: {reason}") from exc


@contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """While the context lasts, the first SIGINT or SIGTERM sets the event that it gives.

    The second one ends the process the ordinary way, for those who cannot wait.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def restore() -> None:
        for number in numbers:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)

    def stop() -> None:
        stopped.set()
        restore()

    for number in numbers:
        with suppress(NotImplementedError):  # on Windows Ctrl-C raises KeyboardInterrupt instead
            loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        restore()
