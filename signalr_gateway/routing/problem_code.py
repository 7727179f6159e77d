"""Defines the problem codes, one for each reason why a request is refused or fails (GW-9).

The codes are stable: callers may test for them. The texts beside them are for people and may
change.
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus


class ProblemCode(Enum):
    """All problems that an answer can have: (code, HTTP status, title)."""

    EMPTY_BODY = ("empty-body", 400, "The body is empty")
    INVALID_JSON = ("invalid-json", 400, "The body is not valid JSON")
    NOT_UTF8 = ("not-utf8", 400, "The body is not UTF-8")
    NOT_AN_ARRAY = ("not-an-array", 400, "The body is not a JSON array")
    TOO_MANY_ARGUMENTS = ("too-many-arguments", 400, "Too many arguments")
    TOO_DEEP = ("too-deep", 400, "The body is nested too deeply")
    INVALID_MESSAGE = ("invalid-message", 400, "The body is not a message to clients")
    INVALID_IDEMPOTENCY_KEY = ("invalid-idempotency-key", 400, "The Idempotency-Key is not valid")
    NOT_AUTHENTICATED = ("not-authenticated", 401, "Credentials are missing or not valid")
    NOT_AUTHORIZED = ("not-authorized", 403, "The caller may not do this")
    SEND_NOT_ALLOWED = ("send-not-allowed", 403, "The caller may not send to clients")
    ORIGIN_NOT_ALLOWED = ("origin-not-allowed", 403, "The origin is not allowed")
    NOT_FOUND = ("not-found", 404, "There is nothing at this address")
    ROUTE_NOT_FOUND = ("route-not-found", 404, "No such hub or route")
    CLIENT_NOT_FOUND = ("client-not-found", 404, "No such client, group or user")
    ROUTE_ONLY_RECEIVES = ("route-only-receives", 404, "The route takes no calls")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "Method not allowed")
    BODY_TIMEOUT = ("body-timeout", 408, "The body did not arrive in time")
    CALL_UNDER_WAY = ("call-under-way", 409, "The call is under way")
    BODY_TOO_LARGE = ("body-too-large", 413, "The body is too large")
    INVOCATION_TOO_LARGE = ("invocation-too-large", 413, "The invocation is too large for the hub")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "Unsupported media type")
    UNSUPPORTED_CONTENT_ENCODING = (
        "unsupported-content-encoding",
        415,
        "Unsupported content encoding",
    )
    IDEMPOTENCY_KEY_REUSED = (
        "idempotency-key-reused",
        422,
        "The Idempotency-Key was used with another body",
    )
    HOST_NOT_ALLOWED = ("host-not-allowed", 421, "The host name is not allowed")
    TOO_MANY_REQUESTS = ("too-many-requests", 429, "The caller sends too many requests")
    INTERNAL_ERROR = ("internal-error", 500, "The gateway failed")
    HUB_ERROR = ("hub-error", 502, "The hub answered with an error")
    HUB_CONNECTION_LOST = ("hub-connection-lost", 502, "The connection to the hub was lost")
    RESULT_NOT_JSON = ("result-not-json", 502, "The hub's result has no JSON form")
    HUB_UNAVAILABLE = ("hub-unavailable", 503, "The hub is not connected")
    HUB_BUSY = ("hub-busy", 503, "The hub has too many calls under way")
    HUB_CIRCUIT_OPEN = ("hub-circuit-open", 503, "The route is not called after timeouts")
    STREAM_OVERFLOW = ("stream-overflow", 503, "The items of a stream were not taken in time")
    GATEWAY_BUSY = ("gateway-busy", 503, "The gateway has too many POSTs under way")
    GATEWAY_DRAINING = ("gateway-draining", 503, "The gateway is shutting down")
    GATEWAY_OVERLOADED = ("gateway-overloaded", 503, "The gateway is short of memory")
    HUB_TIMEOUT = ("hub-timeout", 504, "The hub did not answer in time")

    def __init__(self, code: str, status: int, title: str) -> None:
        self.code = code
        self.status = HTTPStatus(status)
        self.title = title


LIMITS = frozenset(
    {
        ProblemCode.TOO_MANY_ARGUMENTS,
        ProblemCode.TOO_DEEP,
        ProblemCode.BODY_TIMEOUT,
        ProblemCode.BODY_TOO_LARGE,
        ProblemCode.INVOCATION_TOO_LARGE,
        ProblemCode.HUB_TIMEOUT,
        ProblemCode.HUB_BUSY,
        ProblemCode.HUB_CIRCUIT_OPEN,
        ProblemCode.STREAM_OVERFLOW,
    }
)
"""Problems of calls that exceed a limit. Each is logged as a warning, once a minute for a route."""


class RefusedCall(ValueError):
    """A call that the gateway refuses to make; `str()` is the text for its caller."""

    def __init__(self, code: ProblemCode, text: str) -> None:
        super().__init__(text)
        self.code = code
