"""Waiting for what no event announces, and for what may fail."""

import asyncio
from collections.abc import Awaitable, Callable

from protocol import HubConnection


async def until(condition: Callable[[], object], *, interval: float = 0) -> None:
    """Let the loop run until ``condition()`` holds; the timeout of the test bounds it.

    Each round looks at the sockets. Where other processes have to act, an ``interval`` leaves the
    processor to them.
    """
    while not condition():  # noqa: ASYNC110 - nothing announces what is watched
        await asyncio.sleep(interval)


async def flood(connection: HubConnection) -> tuple[asyncio.Task[None], int]:
    """Send half a mebibyte at a time until ``send`` waits for the server.

    Returns the task that goes on sending, and how many messages it has sent.
    """
    sent = 0

    async def send_on() -> None:
        nonlocal sent
        while True:
            await connection.send("X", "x" * 512 * 1024)
            sent += 1

    flooding = asyncio.create_task(send_on())
    before = -1
    while sent != before:
        before = sent
        for _ in range(200):
            await asyncio.sleep(0)
    return flooding, sent


async def error_of(awaitable: Awaitable[object]) -> BaseException | None:
    """The error that ``awaitable`` ends with."""
    try:
        await awaitable
    except BaseException as error:
        return error
    return None
