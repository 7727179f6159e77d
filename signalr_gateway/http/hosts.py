"""Refuses requests whose `Host` is not allowed, to prevent DNS rebinding (GW-30).

Without this check, a web page whose host name resolves to the gateway's address would be a page of
the gateway's own origin, which `http.cors` allows.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from protocol.relaying import HostPolicy, LogThinning

from ..logs.redaction import shortened
from ..routing.problem_code import ProblemCode
from .api import problem_response
from .problem import Problem
from .tracing import request_id_of

log = logging.getLogger(__name__)


class HostGuard:
    """Checks the `Host` of requests. `allowed` are host names; None means all."""

    def __init__(self, allowed: Collection[str] | None) -> None:
        self._policy = HostPolicy(allowed)
        self._is_open = allowed is None
        self._refused = 0
        self._thinning = LogThinning()

    def guard(self, app: web.Application) -> None:
        """Check every request of `app`."""
        if not self._is_open:
            app.middlewares.append(self._middleware())

    def _middleware(self) -> Middleware:
        @web.middleware
        async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._policy.allows(request.headers):
                return await handler(request)
            return self._refuse(request)

        return check_host

    def _refuse(self, request: web.Request) -> web.Response:
        self._refused += 1
        shown = shortened(request.headers["Host"])
        text = "refused a request for the host %r (%d so far); the option allowed_hosts sets this"
        log.log(self._thinning.level("host"), text, shown, self._refused)
        detail = f"This gateway does not serve {shown}; the option allowed_hosts sets this."
        return problem_response(
            Problem(ProblemCode.HOST_NOT_ALLOWED, detail), request_id_of(request)
        )
