"""What a poll is answered (TL-4…TL-10).

Decides status and headers, and when data counts as delivered; what a poll gets, and when, is
``long_polling_server``'s.
"""

import asyncio
import logging

from aiohttp import web

from .client_watch import is_gone
from .http_answers import POLL_HEADERS, bytes_answer, plain_answer
from .long_polling_server import LongPollingServerTransport, PollEnd

logger = logging.getLogger(__name__)


async def answer_poll(
    request: web.Request,
    polls: LongPollingServerTransport,
    got: bytes | PollEnd,
    timeout: float,
) -> web.StreamResponse:
    """Answers with what the poll ``got``; sending it takes at most ``timeout`` seconds."""
    if isinstance(got, bytes):
        return await _deliver(request, polls, got, timeout)
    match got:
        case PollEnd.TIMED_OUT:  # TL-5
            return plain_answer(200)
        case PollEnd.REPLACED | PollEnd.ABANDONED | PollEnd.CONNECTION_ENDED:  # TL-6, TL-7
            return plain_answer(204)
        case PollEnd.CONNECTION_FAILED:  # TL-10
            return plain_answer(500)


async def _deliver(
    request: web.Request, polls: LongPollingServerTransport, data: bytes, timeout: float
) -> web.StreamResponse:
    """Sends here, not in aiohttp, because what does not get through is kept (TL-8)."""
    response = bytes_answer(data)
    response.headers.update(POLL_HEADERS)
    delivered = False
    try:
        if not is_gone(request):
            async with asyncio.timeout(timeout):
                await response.prepare(request)
                await response.write_eof()
            delivered = True
            polls.delivered()
    except TimeoutError:  # TL-10
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
