"""Who is still served while the gateway stops, and how many are under way (GW-9).

From the first moment of the end whoever comes anew is refused with a problem, and the connection it
came on closes with the answer, while requests under way go on; the address stays open meanwhile, so
that nobody finds it shut who could have been told why. When it ends, and for how long that may
take, is decided by `serving`.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ..downstream.connection import DRAINING
from ..http.addresses import HEALTH
from ..http.api import problem_response, request_id_of
from ..http.problem import Problem
from ..routing.problem_code import ProblemCode


class Gate:
    """Lets requests in until it is closed, and counts those inside."""

    def __init__(self, hub_path: str | None) -> None:
        """`hub_path` is where clients have connections that end in an order of their own."""
        self._hub_path = None if hub_path is None else hub_path.lower()
        self._inside = 0
        self._closed = False
        self._empty = asyncio.Event()

    def close(self) -> None:
        """From now on only those pass who belong to something under way."""
        self._closed = True

    async def wait_until_empty(self) -> None:
        """Until no request is under way, of those that came before it was closed or after."""
        while self._inside:
            self._empty.clear()
            await self._empty.wait()

    def guard(self, app: web.Application) -> None:
        """Make every request of `app` pass here first."""
        app.middlewares.append(self._middleware())

    def _middleware(self) -> Middleware:
        @web.middleware
        async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._closed and not self._may_pass(request):
                response: web.StreamResponse = _refusal(request)
            else:
                self._inside += 1
                try:
                    response = await handler(request)
                finally:
                    self._inside -= 1
                    if not self._inside:
                        self._empty.set()
            if self._closed:
                response.force_close()
            return response

        return pass_gate

    def _may_pass(self, request: web.Request) -> bool:
        path = request.path.lower().rstrip("/")
        # Clients that poll or post for a connection they have must hear how it ends.
        return path == HEALTH or (path == self._hub_path and "id" in request.query)


def _refusal(request: web.Request) -> web.Response:
    problem = Problem(ProblemCode.GATEWAY_DRAINING, DRAINING)
    return problem_response(problem, request_id_of(request))
