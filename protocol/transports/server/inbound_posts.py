"""POSTs of clients that poll or listen to events: hub bytes on their way in (TG-6).

Decides what becomes of a body that arrives in parts, slowly or never whole; how much may wait is
decided by ``inbound_pipe``.
"""

from collections.abc import Awaitable, Callable

from ...hosting.http_answer import HttpAnswer, plain_answer
from .inbound_pipe import InboundPipe, InboundPipeClosedError

ReadBody = Callable[[int], Awaitable[bytes]]
"""Returns the next bytes of a body, at most that many, and none at its end.

Raises ConnectionError when the rest will never arrive.
"""


async def receive_post(read: ReadBody, inbound: InboundPipe) -> HttpAnswer:
    """Takes the body, when it is this POST's turn."""
    try:
        async with inbound.turn():
            await _hand_over(read, inbound)
    except InboundPipeClosedError:
        return plain_answer(404)
    except ConnectionError:
        return plain_answer(400)
    return plain_answer(200)


async def _hand_over(read: ReadBody, inbound: InboundPipe) -> None:
    """Hands over a body; one that is cut short must not spoil what follows it.

    A small body is handed over when it is complete. Of a larger one a part was handed over
    already, so the connection ends.
    """
    held: list[bytes] = []
    size = 0
    has_begun = False
    piece_size = inbound.maximum_size
    try:
        while data := await read(piece_size):
            held.append(data)
            size += len(data)
            if size >= inbound.maximum_size:
                has_begun = True
                await inbound.write(b"".join(held))
                held.clear()
                size = 0
    except BaseException:  # also where aiohttp cancels the handler of a client that has gone
        if has_begun:
            inbound.complete()
        raise
    await inbound.write(b"".join(held))
