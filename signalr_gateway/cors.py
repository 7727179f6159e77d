"""Which web pages may use the gateway: one list of origins for all of it (GW-26a).

A browser says with `Origin` which page a request comes from, and asks before it sends most of what
pages want to send. Pages of the listed origins get what they ask for, with credentials. What
browsers send for any page without asking is refused to others than those and the gateway's own:
WebSockets, and calls without a content type. Programs that are no browsers send no `Origin`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from protocol import is_own_origin

from .event_log import thinned
from .http_api import REQUEST_ID, problem_response, request_id_of
from .problem import Problem, ProblemCode
from .redaction import shortened

log = logging.getLogger(__name__)

_PREFLIGHT_SECONDS = "600"
_EXPOSED = f"{REQUEST_ID}, Retry-After"


class OriginGuard:
    """Decides about origins; `allowed` are normal ones."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)
        self._refused = 0

    def guard(self, app: web.Application) -> None:
        """Apply it to every request of `app`."""
        app.middlewares.append(self._middleware())
        app.on_response_prepare.append(self._prepare)

    def _middleware(self) -> Middleware:
        @web.middleware
        async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
            origin = request.headers.get("Origin")
            if origin is None:
                return await handler(request)
            if self._allowed and _is_preflight(request):
                return self._preflight(request, origin)
            if _is_sent_unasked(request) and not self.allows(origin, request.headers):
                return self._refuse(request, origin)
            return await handler(request)

        return check_origin

    def allows(self, origin: str, headers: Mapping[str, str]) -> bool:
        """Whether a page of `origin` may do what it likes: a listed one, or the gateway's own."""
        return origin in self._allowed or is_own_origin(origin, headers)

    def _preflight(self, request: web.Request, origin: str) -> web.Response:
        """TC-5: whatever is asked for, or no word of it. (Without a list it is a 405, as ever.)"""
        response = web.Response(status=204)
        if origin in self._allowed:
            headers = response.headers
            headers["Access-Control-Allow-Methods"] = request.headers[_REQUESTED_METHOD]
            headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
            if requested := request.headers.get("Access-Control-Request-Headers"):
                headers["Access-Control-Allow-Headers"] = requested
        return response

    def _refuse(self, request: web.Request, origin: str) -> web.Response:
        self._refused += 1
        shown = shortened(origin)
        text = "a request of a page of %r was refused (%d so far)"
        log.log(thinned(logging.WARNING, self._refused), text, shown, self._refused)
        detail = f"Pages of {shown} may not use this gateway; the option allowed_origins sets this."
        return problem_response(
            Problem(ProblemCode.ORIGIN_NOT_ALLOWED, detail), request_id_of(request)
        )

    async def _prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """A page may read the answer, be it an error or a stream."""
        if not self._allowed or response.status == 101:
            return
        response.headers.add("Vary", "Origin")  # also where a cache asks first, and no page
        origin = request.headers.get("Origin")
        if origin in self._allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED


_REQUESTED_METHOD = "Access-Control-Request-Method"


def _is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and _REQUESTED_METHOD in request.headers


def _is_sent_unasked(request: web.Request) -> bool:
    """Whether browsers send this for any page, and it may do more than be read.

    What the page may read is decided by headers of the answer. Before a body of JSON goes out, they
    ask; bodies of the types for which they do not ask are taken by nobody here (GW-9).
    """
    if request.method in ("GET", "HEAD"):
        return "websocket" in request.headers.get("Upgrade", "").lower()
    return request.method == "POST" and "Content-Type" not in request.headers
