"""Receives the POSTs of clients that use long polling or Server-Sent Events (TG-6).

Decides what happens to a body that arrives slowly or incompletely. ``inbound_pipe`` decides how
many bytes may wait.
"""

import asyncio
from collections.abc import Awaitable, Callable

from ...hosting.http_answer import HttpAnswer, plain_answer
from .inbound_pipe import InboundPipe, InboundPipeClosedError

ReadBody = Callable[[int], Awaitable[bytes]]
"""Returns the next bytes of a body, at most as many as given, and b"" at its end.

Raises ConnectionError when the rest of the body will not arrive.
"""


async def receive_post(read: ReadBody, inbound: InboundPipe, timeout: float) -> HttpAnswer:
    """Writes the body of a POST into the pipe, after the POSTs before it. Returns the answer.

    The body has to arrive within ``timeout`` seconds. Waiting for the hub does not count.
    """
    try:
        async with inbound.turn():
            await _write_body(_within(timeout, read), inbound)
    except InboundPipeClosedError:
        return plain_answer(404)
    except _TooSlowError:
        return plain_answer(408)
    except ConnectionError:
        return plain_answer(400)
    return plain_answer(200)


class _TooSlowError(Exception):
    pass


def _within(seconds: float, read: ReadBody) -> ReadBody:
    """Wraps ``read`` for one body: all reads together may take ``seconds``."""
    left = seconds
    now = asyncio.get_running_loop().time

    async def read_in_time(size: int) -> bytes:
        nonlocal left
        started = now()
        limit = asyncio.timeout(left)
        try:
            async with limit:
                return await read(size)
        except TimeoutError:
            if limit.expired():
                raise _TooSlowError from None
            raise
        finally:
            left -= now() - started

    return read_in_time


async def _write_body(read: ReadBody, inbound: InboundPipe) -> None:
    """Writes a body into the pipe. An incomplete body does not corrupt the stream.

    A small body is written when it is complete. If it stays incomplete, it is dropped. A larger
    body is written in pieces. If it stays incomplete, the connection ends.
    """
    held: list[bytes] = []
    size = 0
    has_written = False
    piece_size = inbound.maximum_size
    try:
        while data := await read(piece_size):
            held.append(data)
            size += len(data)
            if size >= inbound.maximum_size:
                has_written = True
                await inbound.write(b"".join(held))
                held.clear()
                size = 0
    except BaseException:  # aiohttp may cancel the handler when the client disconnects
        if has_written:
            inbound.complete()
        raise
    await inbound.write(b"".join(held))
