"""The HTTP API: calls to hubs, the list of hubs and routes, health (GW-7 … GW-11, GW-28).

It checks requests, reads their bodies and writes the answers. `routing.tables` finds the route of a
call, `routing.arguments` splits the body, and `downstream.hub` makes the call. A failed call
gets its code and text from `downstream.failures`, and its body from `http.problem`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus

import msgspec
from aiohttp import web

from protocol import Payload
from protocol.relaying import LogThinning, failure_subject, request_data

from ..access.identity import Identity, identity_of
from ..access.visible_hubs import visible_hubs
from ..clients.client_limits import ClientLimits, LimitExceeded
from ..clients.other_gateway import RelayTarget
from ..downstream.failures import call_failure
from ..downstream.forms import require_form
from ..downstream.hub import Downstreams
from ..orchestration.limits import Limits
from ..orchestration.listing import list_orchestration
from ..orchestration.orchestrator import DownstreamHub
from ..orchestration.route import HubRoute
from ..routing.arguments import split_arguments
from ..routing.problem_code import LIMITS, ProblemCode
from ..routing.tables import RoutingTables, require_invoke_method
from . import addresses
from .access import Access
from .health import health
from .idempotency import CallKey, IdempotentCalls, KeptAnswer, idempotency_key
from .mount import Mount
from .problem import CONTENT_TYPE, Problem
from .request_checks import (
    Refusal,
    awaits_continue,
    body_too_large,
    expect_later,
    read_body,
    require_json,
    require_method,
    too_large_for_hub,
    too_many_requests,
)
from .route_access import callable_route
from .send_api import SendApi
from .stream_answer import StreamAnswer, stream_form
from .tracing import REQUEST_ID, invocation_headers, request_id_of

log = logging.getLogger(__name__)

_JSON = "application/json; charset=utf-8"


class HttpApi:
    """The request handlers of one gateway."""

    def __init__(
        self,
        mount: Mount,
        tables: RoutingTables,
        downstreams: Downstreams,
        limits: Limits,
        client_limits: ClientLimits,
        idempotent: IdempotentCalls,
        access: Access | None = None,
        send_api: SendApi | None = None,
        relay_target: RelayTarget | None = None,
    ) -> None:
        """Handle requests to the paths of the API and of health, and to all paths below.

        `client_limits` limits the calls of users and keys. `idempotent` makes calls with a key.
        `access` decides about callers; None admits all. `send_api` handles requests to the paths of
        sends; None if these do not exist. `relay_target` is the gateway that gets the events.
        """
        self._mount = mount
        self._access = access
        self._tables = tables
        self._downstreams = downstreams
        self._limits = limits
        self._client_limits = client_limits
        self._idempotent = idempotent
        self._send_api = send_api
        self._relay_target = relay_target
        self._thinning = LogThinning()
        hubs = tables.hubs.values()
        calls = [addresses.call_path(hub.api, key) for hub in hubs for key in hub.routes]
        mount.add_handler(self._handle, expect_later, *calls)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        request_id = request_id_of(request)
        try:
            response = await self._dispatch(request, request_id)
        except Refusal as refusal:
            response = problem_response(refusal.problem, request_id)
            self._log_refusal(request, refusal.problem, request_id)
        except Exception as exc:
            level = self._thinning.level(failure_subject(exc), level=logging.ERROR)
            log.log(level, "request %s failed", request_id, exc_info=True)
            detail = "The gateway failed to handle the request."
            problem = Problem(ProblemCode.INTERNAL_ERROR, detail)
            response = problem_response(problem, request_id)
        response.headers[REQUEST_ID] = request_id
        if awaits_continue(request):
            response.force_close()  # the gateway cannot know whether a body or a request follows
        if isinstance(response, StreamAnswer):
            await response.send(request)
        return response

    def _log_refusal(self, request: web.Request, problem: Problem, request_id: str) -> None:
        path = addresses.path_for_log(self._mount.raw_path(request))
        level = _LOG_LEVELS.get(problem.code, logging.DEBUG)
        if level > logging.DEBUG:
            level = self._thinning.level((problem.code, path), level=level)
        text = "%s %s: %s (request %s)"
        log.log(level, text, request.method, path, problem.code.code, request_id)

    async def _dispatch(self, request: web.Request, request_id: str) -> web.StreamResponse:
        endpoint = addresses.find_endpoint(self._mount.raw_path(request))
        if self._access is not None:
            to_lists = isinstance(endpoint, addresses.Endpoint)  # both name hubs
            problem = await self._access.admit(request, to_lists=to_lists)
            if problem is not None:
                if endpoint is addresses.Endpoint.HEALTH:
                    return self._health(request, shown=None)
                return problem_response(problem, request_id)
            self._count_call_of_user(request)
        match endpoint:
            case addresses.Call(api, key):
                return await self._call(request, api, key, request_id)
            case addresses.Endpoint.ORCHESTRATION:
                require_method(request, "GET")
                return self._list_orchestration(request)
            case addresses.Endpoint.HEALTH:
                return self._health(request, self._visible_hubs(request))
            case addresses.Receivers() as receivers if self._send_api is not None:
                return await self._send_api.handle(request, receivers)
            case _:
                raise Refusal(ProblemCode.NOT_FOUND, "There is nothing at this address.")

    def _count_call_of_user(self, request: web.Request) -> None:
        """Raise `Refusal` if the request is a call, and its user or key calls too often (GW-49)."""
        if addresses.is_call(request.method, self._mount.raw_path(request)):
            try:
                self._client_limits.count_call_of_user(
                    Access.user(request), Access.user_id(request)
                )
            except LimitExceeded as exc:
                raise too_many_requests(exc) from exc

    # --- calls -----------------------------------------------------------------------------

    async def _call(
        self, request: web.Request, api: str, key: str, request_id: str
    ) -> web.StreamResponse:
        route = callable_route(self._tables, self._access, request, api, key)
        if self._access is not None:
            problem = await self._access.refusal_of_call(request, route)
            if problem is not None:
                return problem_response(problem, request_id)
        try:
            return await self._call_route(request, route, request_id)
        except Refusal:
            raise
        except Exception as exc:
            raise _refusal(exc, route) from exc

    async def _call_route(
        self, request: web.Request, route: HubRoute, request_id: str
    ) -> web.StreamResponse:
        downstream = self._downstreams[route.api]
        identity = self._identity(request, downstream.hub)
        downstream.require_caller(identity)
        require_invoke_method(route)
        require_method(request, "POST")
        require_json(request)
        key = idempotency_key(request)
        limit = route.maximum_body_size or self._limits.maximum_body_size
        too_large = partial(body_too_large, limit)
        hub_limit = downstream.maximum_body_size
        if hub_limit is not None and hub_limit < limit:
            limit, too_large = hub_limit, partial(too_large_for_hub, hub_limit, route.api)
        body = await read_body(request, limit, too_large, self._limits.body_timeout)
        arguments = split_arguments(body, self._limits.maximum_depth)
        headers = invocation_headers(request, request_id)
        if route.streams:
            if key is not None:
                detail = f"The route '{route.api}/{route.key}' streams and takes no key."
                raise Refusal(ProblemCode.INVALID_IDEMPOTENCY_KEY, detail)
            items = await downstream.stream(route, arguments, headers, identity)
            form = stream_form(request.headers.getall("Accept", []))
            return StreamAnswer(items, route, form, request_id, self._thinning)
        if key is None:
            result = await downstream.invoke(route, arguments, headers, identity)
            return await _result_response(result)
        caller = Access.caller(request)
        if identity is not None:  # the hub's answer may depend on the identity
            caller = msgspec.json.encode([caller, identity.headers]).decode()
        call_key = CallKey(caller, ("route", route.api, route.key), key)

        async def call() -> KeptAnswer:
            try:
                result = await downstream.invoke(route, arguments, headers, identity)
                return _kept(await _result_response(result), is_final=True)
            except Exception as exc:
                refusal = _refusal(exc, route)
                self._log_refusal(request, refusal.problem, request_id)
                is_final = refusal.problem.code.status in _STATUS_AFTER_SENDING
                return _kept(problem_response(refusal.problem, request_id), is_final=is_final)

        return (await self._idempotent.answer(call_key, body, call)).response()

    @staticmethod
    def _identity(request: web.Request, hub: DownstreamHub) -> Identity | None:
        if not hub.needs_identity:
            return None
        user, user_id = Access.user(request), Access.user_id(request)
        return identity_of(hub, request_data(request), user, user_id)

    # --- the GETs --------------------------------------------------------------------------

    def _list_orchestration(self, request: web.Request) -> web.Response:
        query = [(name.lower(), value) for name, value in request.rel_url.query.items()]
        body = list_orchestration(
            self._visible_hubs(request),
            _first_of(query, "apikey", "api"),
            _first_of(query, "routekey", "key"),
        )
        return web.Response(body=body, headers={"Content-Type": _JSON})

    def _visible_hubs(self, request: web.Request) -> list[DownstreamHub]:
        """The hubs with the routes that the caller of an admitted request may use (GW-48)."""
        user = None if self._access is None else self._access.user(request)
        return visible_hubs(self._tables.hubs.values(), self._tables.policies, user)

    def _health(self, request: web.Request, shown: Iterable[DownstreamHub] | None) -> web.Response:
        require_method(request, "GET", "HEAD")
        return web.Response(
            body=health(self._downstreams, self._relay_target, shown),
            headers={"Content-Type": _JSON, "Cache-Control": "no-store"},
        )


async def _result_response(result: Payload | None) -> web.Response:
    """The answer of a call; without a body if the hub returned nothing or null (GW-8)."""
    text = b"" if result is None else bytes(await require_form(result, "json"))
    if text in (b"", b"null"):
        return web.Response()
    return web.Response(body=text, content_type="application/json")


def _refusal(error: Exception, route: HubRoute) -> Refusal:
    """The refusal of a call that failed with `error`. Raises `error` itself if none fits."""
    failure = call_failure(error, route.api)
    if failure is None:
        raise error
    headers = []
    if failure.retry_after is not None:
        headers.append(("Retry-After", str(failure.retry_after)))
    return Refusal(failure.code, failure.text, *headers, hint=failure.hint)


def _kept(response: web.Response, *, is_final: bool) -> KeptAnswer:
    body = response.body
    assert isinstance(body, bytes | None)
    return KeptAnswer(response.status, body or b"", dict(response.headers), is_final)


def _first_of(query: Iterable[tuple[str, str]], *names: str) -> str:
    return next((value for name in names for given, value in query if given == name), "")


# --- answers -------------------------------------------------------------------------------


_NOTHING_WAS_SENT = frozenset(
    {
        ProblemCode.HUB_UNAVAILABLE,
        ProblemCode.HUB_BUSY,
        ProblemCode.HUB_CIRCUIT_OPEN,
        ProblemCode.GATEWAY_DRAINING,
        ProblemCode.GATEWAY_OVERLOADED,
    }
)
"""Problems of calls that the hub has not received, so that the caller can repeat the call."""


def problem_response(problem: Problem, request_id: str) -> web.Response:
    """The response with this problem, its headers and, if the call can be repeated, Retry-After."""
    headers = {"Content-Type": CONTENT_TYPE, REQUEST_ID: request_id, **dict(problem.headers)}
    if problem.code in _NOTHING_WAS_SENT:
        headers.setdefault("Retry-After", "1")
    if problem.code is ProblemCode.NOT_AUTHENTICATED:
        headers.setdefault("WWW-Authenticate", "Bearer")
    response = web.Response(
        status=problem.code.status,
        body=problem.body(request_id),
        headers=headers,
    )
    if problem.code is ProblemCode.BODY_TIMEOUT:
        response.force_close()  # the end of the body, and so the next request, cannot be found
    return response


_STATUS_AFTER_SENDING = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
"""Statuses of failed calls that the hub may have run. Such a call is not made again."""

_LOG_LEVELS: Mapping[ProblemCode, int] = {
    # HUB_UNAVAILABLE is not here: `downstream.connection` logs once why the hub is down.
    ProblemCode.HUB_ERROR: logging.INFO,
    ProblemCode.HUB_CONNECTION_LOST: logging.WARNING,
    **dict.fromkeys(LIMITS, logging.WARNING),
}
