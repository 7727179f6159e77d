"""Sends the bytes of a poll through aiohttp, and decides when they count as delivered (TL-8)."""

import asyncio
import logging

from aiohttp import web

from ...hosting.http_answer import hub_bytes_answer
from .aiohttp_conversion import response_of
from .client_watch import is_gone
from .long_polling import LongPollingServerTransport

logger = logging.getLogger(__name__)


async def deliver(
    request: web.Request, polls: LongPollingServerTransport, data: bytes, timeout: float
) -> web.Response:
    """Sends ``data`` as the answer to ``request``, within ``timeout`` seconds.

    The answer is not left to aiohttp to write: if it cannot be sent, the next poll gets the bytes.
    """
    response = response_of(hub_bytes_answer(data))
    delivered = False
    try:
        if not is_gone(request):
            async with asyncio.timeout(timeout):
                await response.prepare(request)
                await response.write_eof()
            delivered = True
            polls.delivered()
    except TimeoutError:  # the client reads too slowly (TL-10)
        logger.warning("A connection is cut off: its poll took too long to read.")
        polls.abort()
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass
    finally:
        if not delivered:
            polls.put_back(data)
    return response
