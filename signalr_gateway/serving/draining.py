"""Decides which requests are served while the gateway stops or is short of memory (GW-9).

Once a stop has begun, a new request gets a problem answer, and its connection is closed.
Requests under way continue until they are cut off. The listener stays open meanwhile, so that
clients receive an answer rather than a connection error. `serving.stopping` decides how long to
wait. `serving.memory` decides when memory is short.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ..downstream.call_errors import DRAINING, OVERLOADED
from ..http.addresses import HEALTH
from ..http.api import problem_response
from ..http.mount import Mount
from ..http.problem import Problem
from ..http.tracing import request_id_of
from ..routing.problem_code import ProblemCode
from .memory import MemoryMark


class Gate:
    """Passes requests to handlers until the gate is closed. Tracks the requests under way."""

    def __init__(self, mount: Mount, hub_path: str | None, memory: MemoryMark) -> None:
        """`hub_path` is the path of the gateway hub, None if it is off.

        New requests are also refused while `memory` is exceeded.
        """
        self._mount = mount
        self._hub_path = None if hub_path is None else hub_path.lower()
        self._under_way: dict[asyncio.Task[Any] | None, web.Request] = {}
        self._memory = memory
        self._closed = False
        self._is_cut_off = False
        self._empty = asyncio.Event()

    def close(self) -> None:
        """Refuse new requests, except for `/healthz` and open connections to the gateway hub."""
        self._closed = True

    async def wait_until_empty(self) -> None:
        """Return when no request is under way."""
        while self._under_way:
            self._empty.clear()
            await self._empty.wait()

    def cut_off(self) -> None:
        """End the requests under way with a problem answer, except those to the gateway hub.

        The hub server ends its own connections.
        """
        self._is_cut_off = True
        for task, request in self._under_way.items():
            if task is not None and not self._is_of_hub(request):
                task.cancel()

    def guard(self, app: web.Application) -> None:
        """Apply the gate to every request of `app`."""
        app.middlewares.append(self._middleware())

    def _middleware(self) -> Middleware:
        @web.middleware
        async def pass_gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self._closed and not self._may_pass(request):
                response: web.StreamResponse = _refusal(request)
            elif self._memory.is_exceeded and not self._may_pass(request):
                response = _refusal(request, ProblemCode.GATEWAY_OVERLOADED, OVERLOADED)
            else:
                task = asyncio.current_task()
                self._under_way[task] = request
                try:
                    response = await handler(request)
                except asyncio.CancelledError:
                    if task is None or not self._is_cut_off or self._is_of_hub(request):
                        raise
                    task.uncancel()
                    response = _refusal(request)
                finally:
                    del self._under_way[task]
                    if not self._under_way:
                        self._empty.set()
            if self._closed:
                response.force_close()
            return response

        return pass_gate

    def _may_pass(self, request: web.Request) -> bool:
        # Clients on long polling receive the last messages and the Close message by further polls.
        is_health = self._mount.path(request) == HEALTH
        return is_health or (self._is_of_hub(request) and "id" in request.query)

    def _is_of_hub(self, request: web.Request) -> bool:
        return self._mount.path(request) == self._hub_path


def _refusal(
    request: web.Request,
    code: ProblemCode = ProblemCode.GATEWAY_DRAINING,
    text: str = DRAINING,
) -> web.Response:
    problem = Problem(code, text)
    return problem_response(problem, request_id_of(request))
