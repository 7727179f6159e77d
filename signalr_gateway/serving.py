"""Serves aiohttp applications on addresses, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from aiohttp import web

from .app import make_runner

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that may wait to be accepted: far above the default 128, which a burst fills."""


class CannotListen(Exception):
    """The address cannot be bound; `str()` is one line that says which and why."""


@asynccontextmanager
async def serving(
    app: web.Application, host: str, port: int, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve `app` on host and port while the context lasts; gives the base URL.

    Port 0 takes a free one; with an `ssl_context` it is https. Raises `CannotListen`, and whatever
    starting `app` raises.
    """
    runner = make_runner(app)
    try:
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, backlog=BACKLOG, ssl_context=ssl_context)
            await site.start()
        except (OSError, OverflowError) as exc:
            reason = getattr(exc, "strerror", None) or str(exc)
            raise CannotListen(f"cannot listen on {host}:{port}: {reason}") from exc
        url = _base_url("http" if ssl_context is None else "https", runner.addresses[0])
        log.info("listening on %s", url)
        yield url
    finally:
        await runner.cleanup()


def _base_url(scheme: str, address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    host, port = address[0], address[1]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


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
