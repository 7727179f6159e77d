"""Serves the data of a page only to callers that may read lists of hubs (GW-40, GW-46).

The other files of pages are the same in every gateway, and are served to all callers (GW-47).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from .access import Access
from .api import problem_response
from .tracing import request_id_of

PageHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(access: Access | None, handler: PageHandler) -> PageHandler:
    """Wrap the handler of data, so that it runs for admitted requests only. None admits all."""
    if access is None:
        return handler

    async def admit_first(request: web.Request) -> web.StreamResponse:
        problem = await access.admit(request, to_lists=True)
        if problem is not None:
            return problem_response(problem, request_id_of(request))
        return await handler(request)

    return admit_first
