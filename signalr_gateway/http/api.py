"""The HTTP API: calls to hubs, the list of hubs and routes, health (GW-7 … GW-11, GW-28).

It checks requests, reads their bodies and writes the answers. `routing.relay` finds the route of a
call, `routing.arguments` splits the body, and `downstream.hub` makes the call. A failed call
gets its code and text from `downstream.failures`, and its body from `http.problem`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Iterable, Mapping

from aiohttp import HttpVersion11, web

from protocol import Payload
from protocol.relaying import LogThinning, failure_subject

from ..downstream.failures import call_failure, require_form
from ..downstream.hub import Downstreams
from ..logs.redaction import no_such_route, shortened
from ..orchestration.limits import Limits
from ..orchestration.listing import list_orchestration
from ..orchestration.route import HubRoute
from ..routing.arguments import split_arguments
from ..routing.problem_code import ProblemCode
from ..routing.relay import Relay, require_invoke_method
from . import addresses
from .health import health
from .media_type import is_json
from .mount import Mount
from .problem import CONTENT_TYPE, Problem
from .stream_answer import StreamAnswer, stream_form

log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-Id"

_random = random.Random()  # request ids need not be secret
_JSON = "application/json; charset=utf-8"
_ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")


class Refusal(Exception):
    """Ends the handling of a request with a problem answer."""

    def __init__(
        self, code: ProblemCode, detail: str, *headers: tuple[str, str], hint: str | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(code, detail, headers, hint)


class HttpApi:
    """The request handlers of one gateway."""

    def __init__(
        self,
        mount: Mount,
        relay: Relay,
        downstreams: Downstreams,
        limits: Limits,
    ) -> None:
        """Handle requests to the paths of the API and of health, and to all paths below."""
        self._mount = mount
        self._relay = relay
        self._downstreams = downstreams
        self._limits = limits
        self._thinning = LogThinning()
        mount.api.add_route("*", self._handle, expect_handler=_expect_later)

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
        if _awaits_continue(request):
            response.force_close()  # the gateway cannot know whether a body or a request follows
        if isinstance(response, StreamAnswer):
            await response.send(request)
        return response

    def _log_refusal(self, request: web.Request, problem: Problem, request_id: str) -> None:
        path = request.rel_url.raw_path  # still escaped, so that it contains no line ends
        level = _LOG_LEVELS.get(problem.code, logging.DEBUG)
        if level > logging.DEBUG:
            level = self._thinning.level((problem.code, path.lower()), level=level)
        text = "%s %s: %s (request %s)"
        log.log(level, text, request.method, path, problem.code.code, request_id)

    async def _dispatch(self, request: web.Request, request_id: str) -> web.StreamResponse:
        match addresses.find_endpoint(self._mount.raw_path(request)):
            case addresses.Call(api, key):
                return await self._call(request, api, key, request_id)
            case addresses.Endpoint.ORCHESTRATION:
                _require_method(request, "GET")
                return self._list_orchestration(request)
            case addresses.Endpoint.HEALTH:
                _require_method(request, "GET", "HEAD")
                return self._health()
            case None:
                raise Refusal(ProblemCode.NOT_FOUND, "There is nothing at this address.")

    # --- calls -----------------------------------------------------------------------------

    async def _call(
        self, request: web.Request, api: str, key: str, request_id: str
    ) -> web.StreamResponse:
        route = self._relay.find_route(api, key)
        if route is None:
            raise Refusal(ProblemCode.ROUTE_NOT_FOUND, no_such_route(api, key))
        try:
            return await self._call_route(request, route, request_id)
        except Refusal:
            raise
        except Exception as exc:
            failure = call_failure(exc, route.api)
            if failure is None:
                raise
            headers = []
            if failure.retry_after is not None:
                headers.append(("Retry-After", str(failure.retry_after)))
            raise Refusal(failure.code, failure.text, *headers, hint=failure.hint) from exc

    async def _call_route(
        self, request: web.Request, route: HubRoute, request_id: str
    ) -> web.StreamResponse:
        require_invoke_method(route)
        _require_method(request, "POST")
        _require_json(request)
        downstream = self._downstreams[route.api]
        limit = route.maximum_body_size or self._limits.maximum_body_size
        too_large = _too_large(limit)
        hub_limit = downstream.maximum_body_size
        if hub_limit is not None and hub_limit < limit:
            limit, too_large = hub_limit, _too_large_for_hub(hub_limit, route.api)
        body = await _read_body(request, limit, too_large, self._limits.body_timeout)
        arguments = split_arguments(body, self._limits.maximum_depth)
        if route.streams:
            items = await downstream.stream(route, arguments)
            form = stream_form(request.headers.getall("Accept", []))
            return StreamAnswer(items, route, form, request_id, self._thinning)
        return await _result_response(await downstream.invoke(route, arguments))

    # --- the GETs --------------------------------------------------------------------------

    def _list_orchestration(self, request: web.Request) -> web.Response:
        query = [(name.lower(), value) for name, value in request.rel_url.query.items()]
        body = list_orchestration(
            (downstream.hub for downstream in self._downstreams.values()),
            _first_of(query, "apikey", "api"),
            _first_of(query, "routekey", "key"),
        )
        return web.Response(body=body, headers={"Content-Type": _JSON})

    def _health(self) -> web.Response:
        return web.Response(
            body=health(self._downstreams),
            headers={"Content-Type": _JSON, "Cache-Control": "no-store"},
        )


async def _result_response(result: Payload | None) -> web.Response:
    """The answer of a call; without a body if the hub returned nothing or null (GW-8)."""
    text = b"" if result is None else bytes(await require_form(result, "json"))
    if text in (b"", b"null"):
        return web.Response()
    return web.Response(body=text, content_type="application/json")


# --- requests ------------------------------------------------------------------------------


def request_id_of(request: web.Request) -> str:
    """The caller's request id if it is safe to log and to send back, else a new one."""
    given = request.headers.get(REQUEST_ID, "")
    return given if _ACCEPTED_REQUEST_ID.fullmatch(given) else f"{_random.getrandbits(128):032x}"


def _require_method(request: web.Request, *allowed: str) -> None:
    if request.method not in allowed:
        raise Refusal(
            ProblemCode.METHOD_NOT_ALLOWED,
            f"{shortened(request.method)} is not allowed here; allowed is {' or '.join(allowed)}.",
            ("Allow", ", ".join(allowed)),
        )


def _require_json(request: web.Request) -> None:
    content_types = request.headers.getall("Content-Type", [])
    if len(content_types) > 1 or (content_types and not is_json(content_types[0])):
        raise Refusal(
            ProblemCode.UNSUPPORTED_MEDIA_TYPE,
            "The body must be JSON in UTF-8; send it as application/json.",
        )
    encodings = request.headers.getall("Content-Encoding", [])
    if encodings and not _are_identity(encodings):
        raise Refusal(
            ProblemCode.UNSUPPORTED_CONTENT_ENCODING,
            "The body must be sent without a content encoding.",
            ("Accept-Encoding", "identity"),
        )


def _are_identity(encodings: Iterable[str]) -> bool:
    names = ",".join(encodings).lower().split(",")
    return all(name.strip() in ("", "identity") for name in names)


async def _expect_later(_request: web.Request) -> None:
    """Send no 100 Continue yet; `_read_body` sends it when all other checks have succeeded."""


def _awaits_continue(request: web.Request) -> bool:
    expect = request.headers.get("Expect", "")
    return expect.lower() == "100-continue" and not request.content.is_eof()


async def _read_body(request: web.Request, limit: int, too_large: Refusal, seconds: float) -> bytes:
    """Read the whole body, which must arrive within `seconds`.

    Raises `too_large` if the body has more than `limit` bytes, and another `Refusal` if the time is
    over. There is one time limit for the whole body, because a caller may send one byte at a time.
    It also ends a request with a malformed chunk, whose end aiohttp's parser does not report.
    """
    content, size = request.content, request.content_length
    if size is not None and size > limit:
        raise too_large
    if content.is_eof():  # the body has arrived with the head
        whole = content.read_nowait()
        if len(whole) > limit:
            raise too_large
        return whole
    if _awaits_continue(request) and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # so that aiohttp does not count this as the answer
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while chunk := await content.readany():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError as exc:
        detail = f"The body did not arrive within {seconds:g} seconds."
        raise Refusal(ProblemCode.BODY_TIMEOUT, detail) from exc
    return bytes(body)


def _too_large(limit: int) -> Refusal:
    return Refusal(ProblemCode.BODY_TOO_LARGE, f"The body has more than the {limit} bytes allowed.")


def _too_large_for_hub(limit: int, api: str) -> Refusal:
    return Refusal(
        ProblemCode.INVOCATION_TOO_LARGE,
        f"The body has more than {limit} bytes, which is too large for hub '{api}'; the option"
        " maximum_message_size of the hub sets this.",
    )


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
    response = web.Response(
        status=problem.code.status,
        body=problem.body(request_id),
        headers=headers,
    )
    if problem.code is ProblemCode.BODY_TIMEOUT:
        response.force_close()  # the end of the body, and so the next request, cannot be found
    return response


_LOG_LEVELS: Mapping[ProblemCode, int] = {
    # HUB_UNAVAILABLE is not here: `downstream.connection` logs once why the hub is down.
    ProblemCode.HUB_ERROR: logging.INFO,
    ProblemCode.HUB_CONNECTION_LOST: logging.WARNING,
    ProblemCode.HUB_TIMEOUT: logging.WARNING,
    ProblemCode.HUB_BUSY: logging.WARNING,
    ProblemCode.HUB_CIRCUIT_OPEN: logging.WARNING,
}
