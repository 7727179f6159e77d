"""GW-9: problem details of RFC 9457, with the member that callers of the original read."""

from __future__ import annotations

import json

import pytest

from signalr_gateway.http.problem import Problem
from signalr_gateway.routing.problem_code import ProblemCode


def test_the_members() -> None:
    body = Problem(ProblemCode.HUB_ERROR, 'the hub said "no" – ünchanged').body("r-1")
    assert json.loads(body) == {
        "type": "urn:signalr-gateway:problem:hub-error",
        "title": "The hub answered with an error",
        "status": 502,
        "detail": 'the hub said "no" – ünchanged',
        "code": "hub-error",
        "requestId": "r-1",
        "error": 'the hub said "no" – ünchanged',
    }


def test_a_text_that_is_not_unicode() -> None:
    """An Origin that is not UTF-8, or a hub's error with half of a surrogate pair."""
    body = json.loads(Problem(ProblemCode.ORIGIN_NOT_ALLOWED, "of \udcff").body("r-1"))
    assert body["detail"] == body["error"] == "of ?"


def test_codes_are_distinct_and_stable() -> None:
    """Callers rely on them: a change here is a breaking change."""
    assert {code.code: int(code.status) for code in ProblemCode} == {
        "empty-body": 400,
        "invalid-json": 400,
        "not-utf8": 400,
        "not-an-array": 400,
        "too-many-arguments": 400,
        "too-deep": 400,
        "not-authenticated": 401,
        "not-authorized": 403,
        "invalid-message": 400,
        "send-not-allowed": 403,
        "client-not-found": 404,
        "origin-not-allowed": 403,
        "host-not-allowed": 421,
        "not-found": 404,
        "route-not-found": 404,
        "route-only-receives": 404,
        "method-not-allowed": 405,
        "body-timeout": 408,
        "body-too-large": 413,
        "invocation-too-large": 413,
        "unsupported-media-type": 415,
        "unsupported-content-encoding": 415,
        "too-many-requests": 429,
        "internal-error": 500,
        "invalid-idempotency-key": 400,
        "call-under-way": 409,
        "idempotency-key-reused": 422,
        "hub-error": 502,
        "hub-connection-lost": 502,
        "result-not-json": 502,
        "hub-unavailable": 503,
        "hub-busy": 503,
        "hub-circuit-open": 503,
        "stream-overflow": 503,
        "gateway-busy": 503,
        "gateway-draining": 503,
        "gateway-overloaded": 503,
        "hub-timeout": 504,
    }


@pytest.mark.parametrize("code", list(ProblemCode))
def test_every_code_has_a_title(code: ProblemCode) -> None:
    assert code.title
