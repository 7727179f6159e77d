"""Decides which requests are still served while the gateway stops, and counts them (GW-9).

Once a stop has begun, a new request gets a problem answer, and its connection is closed.
Requests under way continue. The listener stays open meanwhile, so that clients receive an answer
rather than a connection error. `serving.runner` decides how long to wait.
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
    """Passes requests on until it is closed, and counts those under way."""

    def __init__(self, hub_path: str | None) -> None:
        """`hub_path` is the path of the gateway hub, None if it is off."""
        self._hub_path = None if hub_path is None else hub_path.lower()
        self._under_way = 0
        self._closed = False
        self._empty = asyncio.Event()

    def close(self) -> None:
        """Refuse new requests, except for `/healthz` and open connections to the gateway hub."""
        self._closed = True

    async def wait_until_empty(self) -> None:
        """Return when no request is under way."""
        while self._under_way:
            self._empty.clear()
            await self._empty.wait()

    def guard(self, app: web.Application) -> None:
        """Apply the gate to every request of `app`."""
        app.middlewares.append(self._middleware())

    def _middleware(self) -> Middleware:
        @web.middleware
        async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._closed and not self._may_pass(request):
                response: web.StreamResponse = _refusal(request)
            else:
                self._under_way += 1
                try:
                    response = await handler(request)
                finally:
                    self._under_way -= 1
                    if not self._under_way:
                        self._empty.set()
            if self._closed:
                response.force_close()
            return response

        return pass_gate

    def _may_pass(self, request: web.Request) -> bool:
        path = request.path.lower().rstrip("/")
        # Clients on long polling receive the last messages and the Close message by further polls.
        return path == HEALTH or (path == self._hub_path and "id" in request.query)


def _refusal(request: web.Request) -> web.Response:
    problem = Problem(ProblemCode.GATEWAY_DRAINING, DRAINING)
    return problem_response(problem, request_id_of(request))
