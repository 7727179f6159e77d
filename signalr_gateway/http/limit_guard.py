"""Refuses requests of addresses that exceed a limit of `clients.client_limits` (GW-52).

It decides before the caller is authenticated. `http.api` applies the limits of users and keys.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from protocol.relaying import request_data

from ..clients.client_limits import ClientLimits, LimitExceeded
from ..routing.problem_code import ProblemCode
from . import addresses
from .api import problem_response
from .mount import Mount
from .problem import Problem
from .request_checks import too_many_requests
from .tracing import request_id_of


class LimitGuard:
    """Checks calls, and requests that begin a connection to the gateway hub."""

    def __init__(self, mount: Mount, hub_path: str | None, limits: ClientLimits) -> None:
        """`hub_path` is the path of the gateway hub, None if it is off."""
        self._mount = mount
        self._hub_path = None if hub_path is None else hub_path.lower()
        self._limits = limits

    def guard(self, app: web.Application) -> None:
        """Check every request of `app`, unless no limit is set."""
        if self._limits.apply_to_requests:
            app.middlewares.append(self._middleware())

    def _middleware(self) -> Middleware:
        @web.middleware
        async def check_limits(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                if addresses.is_call(request.method, self._mount.raw_path(request)):
                    self._limits.count_call(request.remote, _forwarding(request))
                    return await self._call(request, handler)
                if self._begins_connection(request, self._mount.path(request)):
                    self._limits.count_connect(request.remote, _forwarding(request))
            except LimitExceeded as exc:
                return problem_response(too_many_requests(exc).problem, request_id_of(request))
            return await handler(request)

        return check_limits

    async def _call(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._limits.enter_post():
            detail = "The gateway has too many POSTs under way; the option maximum_posts sets this."
            problem = Problem(ProblemCode.GATEWAY_BUSY, detail, (("Retry-After", "1"),))
            return problem_response(problem, request_id_of(request))
        try:
            return await handler(request)
        finally:
            self._limits.leave_post()

    def _begins_connection(self, request: web.Request, path: str) -> bool:
        if self._hub_path is None or request.method == "OPTIONS":
            return False
        if path != self._hub_path:
            return path == f"{self._hub_path}/negotiate"
        # An empty id names no connection, as in `protocol.hosting.admission`.
        return not any(request_data(request).query_values("id"))


def _forwarding(request: web.Request) -> dict[str, str]:
    """The headers of proxies. A repeated header is joined, because a proxy may add a line."""
    names = ("X-Forwarded-For", "Forwarded")
    return {
        name: ",".join(request.headers.getall(name)) for name in names if name in request.headers
    }
