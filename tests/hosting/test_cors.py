"""The CORS policy on plain headers (TC); over HTTP it is tested with aiohttp."""

import pytest

from protocol.hosting.cors import CorsPolicy
from protocol.hosting.http_answer import HttpAnswer

from .plain_requests import Headers

APP = "https://app.example"
OTHER = "https://other.example"
ONE = CorsPolicy([APP])
TWO = CorsPolicy([APP, "http://localhost:3000"])
NONE = CorsPolicy(None)


def headers(origin: str | None = APP, **more: str) -> Headers:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return Headers(named if origin is None else {"origin": origin, **named})


def asked(origin: str = APP) -> Headers:
    return headers(
        origin, Access_Control_Request_Method="POST", Access_Control_Request_Headers="a,b"
    )


@pytest.mark.parametrize(
    ("policy", "origin", "allowed"),
    [
        (ONE, APP, True),
        (ONE, OTHER, False),
        (ONE, None, False),
        (TWO, "http://localhost:3000", True),
        (CorsPolicy([]), APP, False),
        (NONE, APP, False),
    ],
)
def test_allows(policy: CorsPolicy, origin: str | None, allowed: bool) -> None:
    """TC-1: only pages of listed origins get permissions, with credentials."""
    assert policy.allows(headers(origin)) is allowed
    expected = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
    }
    assert policy.permissions(headers(origin)) == (expected if allowed else {})


@pytest.mark.parametrize(("policy", "varies"), [(ONE, False), (TWO, True), (NONE, False)])
def test_varies(policy: CorsPolicy, varies: bool) -> None:
    """TC-1: with several origins the answer depends on the origin of the request."""
    assert policy.varies() is varies


def test_preflight() -> None:
    """TC-5: the requested method and headers are allowed; another origin gets no permission."""
    granted = {"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "a,b"}
    assert ONE.preflight("OPTIONS", asked()) == HttpAnswer(204, headers=granted)
    assert ONE.preflight("OPTIONS", asked(OTHER)) == HttpAnswer(204)


@pytest.mark.parametrize(
    ("policy", "method", "asks"),
    [
        (NONE, "OPTIONS", asked()),
        (ONE, "POST", asked()),
        (ONE, "OPTIONS", headers()),
        (ONE, "OPTIONS", headers(None, Access_Control_Request_Method="POST")),
    ],
)
def test_requests_that_are_not_preflights(policy: CorsPolicy, method: str, asks: Headers) -> None:
    """TC-5."""
    assert policy.preflight(method, asks) is None


def test_options_of_a_policy() -> None:
    """Exposed headers go with answers, the lifetime with preflights."""
    policy = CorsPolicy([APP], exposed_headers="X-Request-Id", preflight_seconds=600)
    assert policy.permissions(headers())["Access-Control-Expose-Headers"] == "X-Request-Id"
    preflight = policy.preflight("OPTIONS", asked())
    assert preflight is not None
    assert preflight.headers["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize(
    ("policy", "origin", "admitted"),
    [
        (ONE, None, True),
        (ONE, APP, True),
        (ONE, OTHER, False),
        (ONE, "https://hub.example", True),
        (CorsPolicy([]), OTHER, False),
        (NONE, OTHER, True),
    ],
)
def test_web_sockets(policy: CorsPolicy, origin: str | None, admitted: bool) -> None:
    """TC-3: pages of listed origins and of the hub's own, and programs other than browsers."""
    assert policy.admits_web_socket(headers(origin, Host="hub.example")) is admitted
