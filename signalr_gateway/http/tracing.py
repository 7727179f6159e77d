"""The headers of an invocation that name the trace and the request of its caller (GW-38).

ASP.NET Core 9 and later continue the trace.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from aiohttp import web

REQUEST_ID = "X-Request-Id"

_random = random.Random()  # ids of requests and traces need not be secret
_ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")
_TRACEPARENT = re.compile(
    r"(?!ff|00.{54})[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    r"-(?P<flags>[0-9a-f]{2})(?:-.{0,200})?"
)
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


def request_id_of(request: web.Request) -> str:
    """The caller's request id if it is safe to log and to send back, else a new one."""
    given = request.headers.get(REQUEST_ID)
    if given is not None and _ACCEPTED_REQUEST_ID.fullmatch(given):
        return given
    return f"{_random.getrandbits(128):032x}"


def invocation_headers(request: web.Request, request_id: str) -> Mapping[str, str]:
    """The headers of the invocation for `request`.

    The trace is the caller's trace, or a new one. The gateway adds a span to the trace, and this
    span is the parent of the hub's span.
    """
    span = f"{_random.getrandbits(64) or 1:016x}"
    parents = request.headers.getall("traceparent", [])
    given = _TRACEPARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if given is None:
        trace = f"{_random.getrandbits(128) or 1:032x}"
        return {"traceparent": f"00-{trace}-{span}-00", REQUEST_ID: request_id}
    headers = {"traceparent": f"00-{given['trace']}-{span}-{given['flags']}"}
    state = ",".join(request.headers.getall("tracestate", []))  # one list, in several fields
    if _TRACESTATE.fullmatch(state):
        headers["tracestate"] = state
    headers[REQUEST_ID] = request_id
    return headers
