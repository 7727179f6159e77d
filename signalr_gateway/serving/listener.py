"""Serves aiohttp applications on addresses, until a signal stops the process.

The addresses are bound before the application starts (`serving.sockets`), so that a bind failure is
the only error reported. The addresses are released after the last response. `serving.runner` runs
and stops the application.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web

from ..orchestration.limits import DEFAULT_LIMITS, Limits
from .local_sockets import UNIX, LocalSocket, open_sockets
from .open_files import exhaustion_logged
from .request_heads import RequestHeads
from .runner import GatewayRunner
from .sockets import bind, host_and_port, listening_failures_reported

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that may wait to be accepted. A burst of clients fills aiohttp's default of 128."""
_ACCEPTED_AT_ONCE = 32
"""The `backlog` passed to asyncio: how often it calls accept in one turn of the event loop.

If no descriptor is free, each of these calls fails and is reported to the exception handler.
"""


class Address:
    """Bound sockets, which `taken` creates. They can serve one application, once."""

    def __init__(
        self,
        sockets: Sequence[LocalSocket],
        ssl_context: ssl.SSLContext | None,
        limits: Limits,
        port_option: str | None,
    ) -> None:
        self._sockets = sockets
        self._names = [_name(each.bound) for each in sockets]
        self._ssl_context = ssl_context
        self._limits = limits
        self._port_option = port_option
        self._runner: GatewayRunner | None = None
        self._heads: RequestHeads | None = None
        self._servers: list[asyncio.Server] = []

    @property
    def urls(self) -> list[str]:
        """The base URL of each socket. A Unix socket is written as in nginx: ``http://unix:/path:``."""
        scheme = "http" if self._ssl_context is None else "https"
        return [f"{scheme}://{name}" for name in self._names]

    def release(self) -> None:
        """Close the sockets."""
        for local in self._sockets:
            local.remove_file()
        for server in self._servers:
            server.close()
        for local in self._sockets[len(self._servers) :]:
            local.bound.close()

    async def _listen(self) -> None:
        timeout = None if self._ssl_context is None else self._limits.headers_timeout
        loop = asyncio.get_running_loop()
        for local, name in zip(self._sockets, self._names, strict=True):
            is_unix = local.bound.family not in (socket.AF_INET, socket.AF_INET6)
            create_server: Any = loop.create_unix_server if is_unix else loop.create_server
            with listening_failures_reported(name, self._port_option):
                server = await create_server(
                    self._protocol,
                    sock=local.bound,
                    ssl=self._ssl_context,
                    backlog=_ACCEPTED_AT_ONCE,
                    ssl_handshake_timeout=timeout,
                    start_serving=False,
                )
                self._servers.append(server)
                await server.start_serving()
                _enlarge_backlog(server)

    def _protocol(self) -> asyncio.BaseProtocol:
        assert self._runner is not None
        assert self._runner.server is not None
        assert self._heads is not None
        return self._heads.watch(self._runner.server())

    @asynccontextmanager
    async def serving(self, app: web.Application) -> AsyncIterator[str]:
        """Serve `app` while the context lasts; yields the base URL of the first host.

        Raises `CannotListen`, and any exception raised while `app` starts.
        """
        heads = self._heads = RequestHeads(
            self._limits.headers_timeout, send_timeout=self._limits.send_timeout
        )
        heads.guard(app)
        runner = self._runner = GatewayRunner(app)
        try:
            await runner.setup()
            with exhaustion_logged(asyncio.get_running_loop()):
                await self._listen()
                log.info("listening on %s", ", ".join(self.urls))
                yield self.urls[0]
        finally:
            await runner.shutdown()
            self.release()
            await runner.cleanup()
            heads.close()


def _name(bound: socket.socket) -> str:
    """The host and port of a socket as in URLs, or ``unix:/path:``."""
    name = bound.getsockname()
    if isinstance(name, tuple):
        return host_and_port(str(name[0]), int(name[1]))
    return f"{UNIX}{os.fsdecode(name)}:"


def _enlarge_backlog(server: asyncio.Server) -> None:
    """Set the backlog of the sockets to `BACKLOG`; asyncio has set it to `_ACCEPTED_AT_ONCE`."""
    for listener in server.sockets:
        with listener.dup() as same:
            same.listen(BACKLOG)


@asynccontextmanager
async def taken(
    hosts: str | Sequence[str],
    port: int,
    ssl_context: ssl.SSLContext | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    port_option: str | None = None,
    local_sockets: Sequence[str] = (),
    unix_mode: int = 0o660,
) -> AsyncIterator[Address]:
    """Bind an address, or several with the same port, while the context lasts.

    Connections are accepted only while the address serves an application. Port 0 binds a free port.
    With an `ssl_context` the scheme is https. A connection is closed if its TLS handshake, or later
    a request head, takes longer than `limits.headers_timeout`. Raises `CannotListen`. Its text
    names the option `port_option` if another port may be free. With `local_sockets`, which
    `local_sockets.open_sockets` describes, there are no other sockets.
    """
    if local_sockets:
        sockets = open_sockets(local_sockets, unix_mode)
    else:
        bound = await bind([hosts] if isinstance(hosts, str) else hosts, port, port_option)
        sockets = [LocalSocket(each) for each in bound]
    address = Address(sockets, ssl_context, limits, port_option)
    try:
        yield address
    finally:
        address.release()


@asynccontextmanager
async def serving(
    app: web.Application,
    hosts: str | Sequence[str],
    port: int,
    ssl_context: ssl.SSLContext | None = None,
    *,
    limits: Limits = DEFAULT_LIMITS,
    port_option: str | None = None,
) -> AsyncIterator[str]:
    """Bind hosts and serve `app` there while the context lasts; yields the first base URL.

    See `taken` and `Address.serving`.
    """
    async with (
        taken(hosts, port, ssl_context, limits=limits, port_option=port_option) as address,
        address.serving(app) as url,
    ):
        yield url


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
