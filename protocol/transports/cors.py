"""Which pages of other origins may use a hub (section TC).

One list of origins decides both what browsers are told and which WebSockets are opened: browsers
let a page of any origin open one.
"""

from collections.abc import Collection
from typing import Final

from aiohttp import web

from ..origins import is_own_origin, normal_origin


class CorsPolicy:
    """``allowed_origins`` like ``https://app.example``; None means no opinion."""

    def __init__(self, allowed_origins: Collection[str] | None) -> None:
        self._allowed = (
            None if allowed_origins is None else frozenset(map(normal_origin, allowed_origins))
        )

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a preflight; None to what is none, or where there is no policy (TC-5)."""
        if (
            self._allowed is None
            or request.method != "OPTIONS"
            or "Origin" not in request.headers
            or "Access-Control-Request-Method" not in request.headers
        ):
            return None
        response = web.Response(status=204)
        if self._allows(request):
            asked = request.headers
            response.headers["Access-Control-Allow-Methods"] = asked[
                "Access-Control-Request-Method"
            ]
            if headers := asked.get("Access-Control-Request-Headers"):
                response.headers["Access-Control-Allow-Headers"] = headers
        return response

    def admits_web_socket(self, request: web.Request) -> bool:
        """Whether a page of that origin may open one; who names none is no browser (TC-3)."""
        origin = request.headers.get("Origin")
        if self._allowed is None or origin is None or origin in self._allowed:
            return True
        return is_own_origin(origin, request.headers)

    def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tells the browser that the page may read the answer, an error, too (TC-1, TC-5)."""
        if self._allowed is None:
            return
        if len(self._allowed) > 1:
            response.headers.add("Vary", "Origin")
        if self._allows(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Credentials"] = "true"

    def _allows(self, request: web.Request) -> bool:
        assert self._allowed is not None
        return request.headers.get("Origin") in self._allowed


CORS: Final = web.RequestKey("signalr_cors", CorsPolicy)


async def mark_response(request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: so that no answer is forgotten, aiohttp's own 500 included."""
    policy = request.get(CORS)
    if policy is not None:
        policy.mark(request, response)
