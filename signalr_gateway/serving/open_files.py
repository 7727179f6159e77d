"""Raises the limit of file descriptors of the process, and logs when none is free.

Each connection needs a descriptor. The commands ``run`` and ``demo`` raise the limit as far as the
system allows. While no descriptor is free, the listener cannot accept connections, and one line a
minute is logged. Established connections are still served.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from protocol.relaying import LogThinning

log = logging.getLogger(__name__)

RESERVE = 64
"""Descriptors that the process needs besides those of clients: hubs, listeners, files."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_Handler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]


def raise_limit() -> int | None:
    """Raise the soft limit of this process to the hard one.

    Returns the resulting soft limit, None for no limit.
    """
    if sys.platform == "win32":
        return None
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # some systems report a hard limit that they do not grant
    return None if soft == resource.RLIM_INFINITY else soft


def check_limit(limit: int | None, maximum_connections: int) -> None:
    """Log a warning if `limit` is below what `maximum_connections` clients need."""
    needed = maximum_connections + RESERVE
    if limit is not None and limit < needed:
        log.warning(
            "at most %d files may be open, but %d clients (maximum_connections) need %d:"
            " raise the limit (ulimit -n, LimitNOFILE=) or lower maximum_connections",
            limit,
            maximum_connections,
            needed,
        )


@contextmanager
def exhaustion_logged(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """While the context lasts, log at most once a minute that no descriptor is free.

    Other errors go to the exception handler that `loop` had before. It is restored at the end.
    """
    previous: _Handler | None = loop.get_exception_handler()
    thinning = LogThinning()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _EXHAUSTED and "socket" in context:
            log.log(
                thinning.level("accept", loop.time(), logging.ERROR),
                "out of file descriptors: new connections wait, established ones are served;"
                " raise the limit (ulimit -n, LimitNOFILE=) or lower maximum_connections",
            )
        elif previous is not None:
            previous(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(previous)
