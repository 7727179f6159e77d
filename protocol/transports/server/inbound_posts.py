"""Receives the POSTs of clients that use long polling or Server-Sent Events (TG-6).

Decides what happens to a body that arrives slowly or incompletely. ``inbound_pipe`` decides how
many bytes may wait.
"""

from collections.abc import Awaitable, Callable

from ...hosting.http_answer import HttpAnswer, plain_answer
from .inbound_pipe import InboundPipe, InboundPipeClosedError

ReadBody = Callable[[int], Awaitable[bytes]]
"""Returns the next bytes of a body, at most as many as given, and b"" at its end.

Raises ConnectionError when the rest of the body will not arrive.
"""


async def receive_post(read: ReadBody, inbound: InboundPipe) -> HttpAnswer:
    """Writes the body of a POST into the pipe, after the POSTs before it. Returns the answer."""
    try:
        async with inbound.turn():
            await _write_body(read, inbound)
    except InboundPipeClosedError:
        return plain_answer(404)
    except ConnectionError:
        return plain_answer(400)
    return plain_answer(200)


async def _write_body(read: ReadBody, inbound: InboundPipe) -> None:
    """Writes a body into the pipe so that an incomplete one does not corrupt the stream.

    A small body is written when it is complete, and dropped otherwise. A larger one is written in
    pieces; if it is incomplete, the connection ends.
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
