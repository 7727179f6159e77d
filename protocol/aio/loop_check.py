"""Refuses calls from another event loop or thread than the one that an object belongs to."""

import asyncio


def require_loop(loop: asyncio.AbstractEventLoop, what: str) -> None:
    """Raises RuntimeError unless ``loop`` is the running loop. The error calls the object ``what``.

    The error is not a SignalRError, because it is a mistake of the program that no retry can mend.
    """
    try:
        is_running = asyncio.get_running_loop() is loop
    except RuntimeError:  # no loop runs in this thread
        is_running = False
    if not is_running:
        raise RuntimeError(
            f"{what} belongs to another event loop. In another thread, pass the coroutine and that "
            "loop to asyncio.run_coroutine_threadsafe."
        )
