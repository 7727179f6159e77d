"""The command line ``signalr-gateway``: ``demo``, ``run`` and ``check``.

`main` installs signal handlers before it imports the gateway, because the import takes most of the
time of a start.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of ``check`` when a signal ends it, as in a shell."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    SIGINT and SIGTERM end the command cleanly, also before the gateway serves.
    """
    try:
        with _handled_signals():
            from .command_line import run_command

            return run_command(arguments)
    except KeyboardInterrupt:
        given = sys.argv[1:] if arguments is None else arguments
        return INTERRUPTED if "check" in given[:1] else 0


@contextmanager
def _handled_signals() -> Iterator[None]:
    """While the context lasts, SIGINT and SIGTERM raise KeyboardInterrupt, and SIGHUP does nothing.

    asyncio replaces only Python's own handler of SIGINT. asyncio's handler would have no effect
    while code blocks the event loop.
    """
    handlers: dict[int, Handler] = {signal.SIGINT: _interrupt, signal.SIGTERM: _interrupt}
    if sys.platform != "win32":
        handlers[signal.SIGHUP] = signal.SIG_IGN
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
