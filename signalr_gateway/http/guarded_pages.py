"""Lets only those callers read a page who may use the gateway (GW-40)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from .access import Access
from .api import problem_response
from .problem import Problem
from .tracing import request_id_of

PageHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GuardPage = Callable[[PageHandler], PageHandler]


def page_guard(access: Access | None) -> GuardPage:
    """Return the function that wraps the handler of a page; without `access` it changes nothing."""

    def guard(handler: PageHandler) -> PageHandler:
        if access is None:
            return handler

        async def admit_first(request: web.Request) -> web.StreamResponse:
            admitted = await access.admit(request)
            if isinstance(admitted, Problem):
                return problem_response(admitted, request_id_of(request))
            return await handler(request)

        return admit_first

    return guard
