"""Waiting for what no event announces, and for what may fail."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], object], *, interval: float = 0) -> None:
    """Let the loop run until ``condition()`` holds; the timeout of the test bounds it.

    Each round looks at the sockets. Where other processes have to act, an ``interval`` leaves the
    processor to them.
    """
    while not condition():  # noqa: ASYNC110 - nothing announces what is watched
        await asyncio.sleep(interval)


async def error_of(awaitable: Awaitable[object]) -> BaseException | None:
    """The error that ``awaitable`` ends with."""
    try:
        await awaitable
    except BaseException as error:
        return error
    return None
