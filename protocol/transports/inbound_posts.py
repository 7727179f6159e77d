"""POSTs of clients that poll or listen to events: hub bytes on their way in (TG-6).

Decides what becomes of a body that arrives in parts, slowly or never whole; how much may wait is
``inbound_pipe``'s.
"""

from aiohttp import web

from .http_answers import plain_answer
from .inbound_pipe import InboundPipe, InboundPipeClosedError


async def receive_post(request: web.Request, inbound: InboundPipe) -> web.Response:
    """Takes the body, when it is this POST's turn."""
    try:
        async with inbound.turn():
            await _hand_over(request, inbound)
    except InboundPipeClosedError:
        return plain_answer(404)
    except (ConnectionError, web.RequestPayloadError):
        return plain_answer(400)
    return plain_answer(200)


async def _hand_over(request: web.Request, inbound: InboundPipe) -> None:
    """Hands over a body; one that is cut short must not spoil what follows it.

    A small one is handed over when it is complete. Of a larger one the hub may have had a part
    by then: the connection ends.
    """
    held: list[bytes] = []
    size = 0
    has_begun = False
    try:
        async for data in request.content.iter_chunked(inbound.maximum_size):
            held.append(data)
            size += len(data)
            if size >= inbound.maximum_size:
                has_begun = True
                await inbound.write(b"".join(held))
                held.clear()
                size = 0
    except (ConnectionError, web.RequestPayloadError):
        if has_begun:
            inbound.complete()
        raise
    await inbound.write(b"".join(held))
