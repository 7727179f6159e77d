"""Decides which web pages may use the gateway, with one list of origins for all paths (GW-26a).

The list allows requests with credentials; the library's `CorsPolicy` writes the headers. For any
page, browsers send some requests without a preflight: WebSocket upgrades, and POSTs that a form can
make. These are refused unless the page's origin is listed or is the gateway's own. Requests without
an `Origin` header, which programs other than browsers send, are not checked.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from protocol import is_own_origin
from protocol.relaying import CorsPolicy, LogThinning, mark_origin, response_of

from ..logs.redaction import shortened
from ..routing.problem_code import ProblemCode
from .api import problem_response
from .problem import Problem
from .tracing import REQUEST_ID, request_id_of

log = logging.getLogger(__name__)

_PREFLIGHT_SECONDS = 600
_EXPOSED = f"{REQUEST_ID}, Retry-After"
_SAFELISTED_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
"""Media types of bodies that browsers send without a preflight."""


class OriginGuard:
    """Checks the origins of requests. `allowed` are origins in addition to the gateway's own."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._policy = CorsPolicy(
            allowed or None, exposed_headers=_EXPOSED, preflight_seconds=_PREFLIGHT_SECONDS
        )
        self._has_list = bool(allowed)
        self._refused = 0
        self._thinning = LogThinning()

    def guard(self, app: web.Application) -> None:
        """Check every request of `app`."""
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
            if preflight is not None:  # without a list it is None, and the handler answers 405
                return response_of(preflight)
            if _needs_no_preflight(request) and not (
                self._policy.allows(request.headers) or is_own_origin(origin, request.headers)
            ):
                return self._refuse(request, origin)
            return await handler(request)

        return check_origin

    def _refuse(self, request: web.Request, origin: str) -> web.Response:
        self._refused += 1
        shown = shortened(origin)
        text = "refused a request of a web page of %r (%d so far)"
        log.log(self._thinning.level("origin"), text, shown, self._refused)
        detail = f"Pages of {shown} may not use this gateway; the option allowed_origins sets this."
        return problem_response(
            Problem(ProblemCode.ORIGIN_NOT_ALLOWED, detail), request_id_of(request)
        )

    async def _prepare(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers that let a page read the answer."""
        if response.status == 101:
            return
        mark_origin(self._policy, request, response)
        if "Origin" not in response.headers.getall("Vary", []):
            response.headers.add("Vary", "Origin")  # for caches, also without `Origin` in a request


def _needs_no_preflight(request: web.Request) -> bool:
    """Whether the request can have an effect, and browsers send it without a preflight.

    A plain GET has no effect, and the headers of its answer decide whether the page may read the
    answer. Browsers send a preflight before a POST of JSON.
    """
    if request.method in ("GET", "HEAD"):
        return "websocket" in request.headers.get("Upgrade", "").lower()
    media_type = request.headers.get("Content-Type", _SAFELISTED_TYPES[0]).partition(";")[0]
    return request.method == "POST" and media_type.strip().lower() in _SAFELISTED_TYPES
