"""Sends the bytes of a poll through aiohttp, and decides when they count as delivered (TL-8)."""

import asyncio
import logging

from aiohttp import web

from ...aio.log_thinning import LogThinning
from ...hosting.http_answer import hub_bytes_answer
from .aiohttp_conversion import response_of
from .client_watch import is_gone
from .long_polling import LongPollingServerTransport

logger = logging.getLogger(__name__)


async def deliver(
    request: web.Request,
    transport: LongPollingServerTransport,
    data: bytes,
    timeout: float,
    thinning: LogThinning,
) -> web.Response:
    """Sends ``data`` as the answer to ``request``, within ``timeout`` seconds.

    The answer is sent here, because a failure would not be noticed if aiohttp sent the answer after
    the request handler has returned. After a failure the next poll gets the bytes.
    """
    response = response_of(hub_bytes_answer(data))
    delivered = False
    try:
        if not is_gone(request):
            async with asyncio.timeout(timeout):
                await response.prepare(request)
                await response.write_eof()
            delivered = True
            transport.delivered()
    except TimeoutError:  # the client reads too slowly (TL-10)
        logger.log(
            thinning.level("poll read too slowly"),
            "A connection is aborted: the client read the answer to its poll too slowly.",
        )
        transport.abort()
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass
    finally:
        if not delivered:
            transport.put_back(data)
    return response
