"""Waits for conditions without an event, and for awaitables that may fail."""

import asyncio
from collections.abc import Awaitable, Callable

from protocol import HubConnection


async def until(condition: Callable[[], object], *, interval: float = 0) -> None:
    """Run the event loop until ``condition()`` is true; only the timeout of the test limits it.

    If the condition depends on another process, ``interval`` seconds between two checks leave the
    processor to that process.
    """
    while not condition():  # noqa: ASYNC110 - the condition has no event
        await asyncio.sleep(interval)


async def flood(connection: HubConnection) -> tuple[asyncio.Task[None], int]:
    """Send half a mebibyte at a time until ``send`` waits for the server.

    Returns the task, which continues to send, and the number of messages that it has sent.
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
    """Wait for ``awaitable``, and return its exception; None if it has none."""
    try:
        await awaitable
    except BaseException as error:
        return error
    return None
