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

    def __init__(
        self,
        allowed_origins: Collection[str] | None,
        *,
        exposed_headers: str | None = None,
        preflight_seconds: int | None = None,
    ) -> None:
        """Pages may read the headers named; browsers keep a preflight's answer for so long."""
        self._allowed = (
            None if allowed_origins is None else frozenset(map(normal_origin, allowed_origins))
        )
        self._exposed_headers = exposed_headers
        self._preflight_seconds = preflight_seconds

    def allows(self, request: web.Request) -> bool:
        """Whether a page of a listed origin makes it."""
        return self._allowed is not None and request.headers.get("Origin") in self._allowed

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
        if self.allows(request):
            asked, granted = request.headers, response.headers
            granted["Access-Control-Allow-Methods"] = asked["Access-Control-Request-Method"]
            if headers := asked.get("Access-Control-Request-Headers"):
                granted["Access-Control-Allow-Headers"] = headers
            if self._preflight_seconds is not None:
                granted["Access-Control-Max-Age"] = str(self._preflight_seconds)
        return response

    def admits_web_socket(self, request: web.Request) -> bool:
        """Whether a page of that origin may open one; who names none is no browser (TC-3)."""
        origin = request.headers.get("Origin")
        if self._allowed is None or origin is None or self.allows(request):
            return True
        return is_own_origin(origin, request.headers)

    def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tells the browser that the page may read the answer, an error, too (TC-1, TC-5)."""
        if self._allowed is None:
            return
        if len(self._allowed) > 1:
            response.headers.add("Vary", "Origin")
        if self.allows(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Credentials"] = "true"
            if self._exposed_headers is not None:
                response.headers["Access-Control-Expose-Headers"] = self._exposed_headers


CORS: Final = web.RequestKey("signalr_cors", CorsPolicy)


async def mark_response(request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: so that no answer is forgotten, aiohttp's own 500 included."""
    policy = request.get(CORS)
    if policy is not None:
        policy.mark(request, response)
