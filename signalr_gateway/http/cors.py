"""Which web pages may use the gateway: one list of origins for all of it (GW-26a).

A browser says with `Origin` which page a request comes from, and asks before it sends most of what
pages want to send. Pages of the listed origins get what they ask for, with credentials; the
library's `CorsPolicy` decides on the headers. What browsers send for any page without asking is
refused to others than those and the gateway's own: WebSockets, and POSTs that a form could make.
Programs that are no browsers send no `Origin`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from protocol import is_own_origin
from protocol.relaying import CorsPolicy, mark_origin, response_of

from ..logs.redaction import shortened
from ..logs.thinning import thinned
from ..routing.problem_code import ProblemCode
from .api import REQUEST_ID, problem_response, request_id_of
from .problem import Problem

log = logging.getLogger(__name__)

_PREFLIGHT_SECONDS = 600
_EXPOSED = f"{REQUEST_ID}, Retry-After"
_ASKED_FOR_BY_NOBODY = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""Media types of bodies that browsers send for any page."""


class OriginGuard:
    """Decides about origins; `allowed` are those beside the gateway's own."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._policy = CorsPolicy(
            allowed or None, exposed_headers=_EXPOSED, preflight_seconds=_PREFLIGHT_SECONDS
        )
        self._has_list = bool(allowed)
        self._refused = 0

    def guard(self, app: web.Application) -> None:
        """Apply it to every request of `app`."""
        app.middlewares.append(self._middleware())
        if self._has_list:
            app.on_response_prepare.append(self._prepare)

    def _middleware(self) -> Middleware:
        @web.middleware
        async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
            origin = request.headers.get("Origin")
            if origin is None:
                return await handler(request)
            preflight = self._policy.preflight(request.method, request.headers)
            if preflight is not None:  # without a list it is a 405, as ever
                return response_of(preflight)
            if _is_sent_unasked(request) and not (
                self._policy.allows(request.headers) or is_own_origin(origin, request.headers)
            ):
                return self._refuse(request, origin)
            return await handler(request)

        return check_origin

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
        if response.status == 101:
            return
        mark_origin(self._policy, request, response)
        if "Origin" not in response.headers.getall("Vary", []):
            response.headers.add("Vary", "Origin")  # also where a cache asks first, and no page


def _is_sent_unasked(request: web.Request) -> bool:
    """Whether browsers send this for any page, and it may do more than be read.

    What the page may read is decided by headers of the answer; before a body of JSON goes out,
    browsers ask.
    """
    if request.method in ("GET", "HEAD"):
        return "websocket" in request.headers.get("Upgrade", "").lower()
    media_type = request.headers.get("Content-Type", _ASKED_FOR_BY_NOBODY[0]).partition(";")[0]
    return request.method == "POST" and media_type.strip().lower() in _ASKED_FOR_BY_NOBODY
