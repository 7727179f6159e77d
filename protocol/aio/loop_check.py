"""Refuses calls from an event loop or thread that an object does not belong to."""

import asyncio


def require_loop(loop: asyncio.AbstractEventLoop, what: str) -> None:
    """Raises RuntimeError, which names the object ``what``, unless ``loop`` is the running loop.

    RuntimeError is not a SignalRError: the program has a mistake, which no retry can mend.
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
