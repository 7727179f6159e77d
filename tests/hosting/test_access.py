"""Who may use a path and a connection, decided for plain requests (A-1, A-6, A-9)."""

import logging
import math
import re
from dataclasses import replace
from typing import Any

import pytest

from protocol import (
    AuthenticationFailure,
    Authenticator,
    AuthorizationContext,
    Challenge,
    EndpointOptions,
    HttpRequestData,
    Principal,
)
from protocol.hosting.http_answer import POLL_HEADERS, HttpAnswer, plain_answer
from protocol.hosting.http_connections import HttpConnection, HttpConnectionManager
from protocol.hosting.hub_endpoint import Action, Admitted, HubEndpoint

from .plain_requests import request

ANN = Principal("ann")
ADMIN = Principal("root", frozenset({"admin"}))
USERS = {"ann": ANN, "root": ADMIN, "ann2": Principal("ann", expires_at=9.0), "no-id": Principal()}
BAD = AuthenticationFailure("not valid")
METHODS = ("GET", "POST", "DELETE", "PUT", "OPTIONS")


def by_header(asked: HttpRequestData) -> Principal | AuthenticationFailure | None:
    name = asked.headers.get("User")
    if name is None:
        return None
    return USERS.get(name, BAD)


class Paths:
    """Endpoints with one table of connections."""

    def __init__(self) -> None:
        self.now = 0.0
        self.connections = HttpConnectionManager(HttpConnection)

    def add(self, path: str = "/hub", *requirements: Any, **options: Any) -> HubEndpoint[Any]:
        return HubEndpoint(
            self.connections,
            path,
            EndpointOptions(**{"authenticate": by_header, **options}),
            lambda: self.now,
            wall_clock=lambda: self.now,
            requirements=requirements,
        )

    def token(self, path: str = "/hub") -> str:
        return self.connections.create(path, 1, self.now, 15.0).token


async def ask(
    endpoint: HubEndpoint[Any],
    method: str,
    query: str = "",
    user: str | None = None,
    *,
    is_upgrade: bool = False,
    accept: str = "*/*",
) -> Any:
    headers = {} if user is None else {"User": user}
    return await endpoint.dispatch(
        request(method, query, **headers), [accept], is_upgrade=is_upgrade
    )


def endpoint_with(*requirements: Any, **options: Any) -> HubEndpoint[Any]:
    return Paths().add("/hub", *requirements, **options)


# ---- the path


@pytest.mark.parametrize("method", METHODS)
async def test_authorization_comes_first(method: str) -> None:
    """A-1: 401 and 403 precede every other check, at both addresses."""
    endpoint = endpoint_with(authorize={"admin"})
    challenge = HttpAnswer(401, headers={"WWW-Authenticate": "Bearer"})
    for user, refusal in ((None, challenge), ("ann", HttpAnswer(403))):
        assert await ask(endpoint, method, "id=x", user) == refusal
        headers = {} if user is None else {"User": user}
        assert await endpoint.negotiate(request(method, **headers)) == refusal
    assert await ask(endpoint, method, "id=x", "root") not in (challenge, HttpAnswer(403))


async def test_preflights_and_other_hosts_come_before_authorization() -> None:
    """A-1, TC-5, TG-15: browsers send no credentials with a preflight."""
    app = "https://app.example"
    endpoint = endpoint_with(authorize=True, allowed_origins=[app], allowed_hosts=["hub.example"])
    asked = {"Origin": app, "Access_Control_Request_Method": "POST"}
    preflight = request("OPTIONS", Host="hub.example", **asked)
    granted = await endpoint.negotiate(preflight)
    assert granted.status == 204
    assert await endpoint.dispatch(preflight, [], is_upgrade=False) == granted
    assert (await endpoint.negotiate(request("POST", Host="evil.example"))).status == 400


@pytest.mark.parametrize(
    ("failure", "challenge"),
    [
        (AuthenticationFailure(), 'Bearer error="invalid_token"'),
        (
            AuthenticationFailure("The token expired at '11/24/2026 02:25:34'"),
            (
                'Bearer error="invalid_token", '
                "error_description=\"The token expired at '11/24/2026 02:25:34'\""
            ),
        ),
        (
            AuthenticationFailure('a"b\\c\r\nd\u00e9', 'x"y'),
            'Bearer error="x?y", error_description="a?b?c??d?"',
        ),
    ],
)
async def test_credentials_that_are_not_valid(
    failure: AuthenticationFailure, challenge: str
) -> None:
    """A-1: the challenge says why, in the characters that RFC 6750 allows."""
    endpoint = endpoint_with(authenticate=lambda _: failure, authorize=True)
    assert await ask(endpoint, "GET") == HttpAnswer(401, headers={"WWW-Authenticate": challenge})


async def test_a_failure_is_anonymous_where_nothing_is_required() -> None:
    """A-1."""
    decision = await ask(endpoint_with(), "GET", user="stranger", is_upgrade=True)
    assert isinstance(decision, Admitted)
    assert decision.user is None


async def test_challenge_of_an_authenticator() -> None:
    """A-1: for cookies a redirect, with the request and the failure at hand."""

    class Cookies(Authenticator):
        async def authenticate(
            self, request: HttpRequestData
        ) -> Principal | AuthenticationFailure | None:
            return by_header(request)

        def challenge(
            self, request: HttpRequestData, failure: AuthenticationFailure | None
        ) -> Challenge:
            reason = "none" if failure is None else failure.error
            return Challenge(302, {"Location": f"/login?from={request.path}&why={reason}"})

    endpoint = endpoint_with(authenticate=Cookies(), authorize=True)
    for user, reason in ((None, "none"), ("stranger", "invalid_token")):
        location = f"/login?from=/hub&why={reason}"
        assert await ask(endpoint, "GET", user=user) == HttpAnswer(
            302, headers={"Location": location}
        )


async def test_all_requirements_count() -> None:
    """A-1: those of the path and those of the hub class."""

    async def from_here(context: AuthorizationContext) -> bool:
        return context.http_request.remote == "127.0.0.1" and context.user is not None

    def from_elsewhere(context: AuthorizationContext) -> bool:
        return context.http_request.remote != "127.0.0.1"

    negotiate = request("POST", User="root")
    for requirements, status in (
        ((True, {"admin"}, from_here), 200),
        ((False, True), 200),
        (({"boss", "admin"},), 200),
        ((True, {"boss"}), 403),
        ((from_here, from_elsewhere), 403),
    ):
        path, *of_class = requirements
        endpoint = endpoint_with(*of_class, authorize=path)
        assert (await endpoint.negotiate(negotiate)).status == status


@pytest.mark.parametrize("decision", [1, "yes", None, ANN])
async def test_a_policy_whose_result_is_no_bool(
    decision: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A-1: it allows nothing, and the answer is 500."""
    endpoint = endpoint_with(authorize=lambda _: decision)
    assert await ask(endpoint, "GET", user="root") == HttpAnswer(500)
    assert "NotABoolError" in caplog.text


async def test_a_policy_without_an_authenticator() -> None:
    """A-1: there is no challenge without an authenticator."""
    endpoint = endpoint_with(authenticate=None, authorize=lambda context: context.user is None)
    assert (await endpoint.negotiate(request("POST"))).status == 200
    endpoint = endpoint_with(authenticate=None, authorize=lambda context: False)
    assert await endpoint.negotiate(request("POST")) == HttpAnswer(403)


@pytest.mark.parametrize("result", [True, "ann", {"user_id": "ann"}])
async def test_a_result_of_another_type_is_no_user(
    result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A-1: the answer is 500, also where nothing is required."""
    endpoint = endpoint_with(authenticate=lambda _: result)
    assert await ask(endpoint, "GET") == HttpAnswer(500)
    assert f"authenticate returned {type(result).__name__}, not a Principal, an" in caplog.text


# ---- the connection


async def attempts(endpoint: HubEndpoint[Any], query: str, user: str | None) -> list[Any]:
    """What one user gets of each kind of request."""
    return [
        await ask(endpoint, "GET", query, user),
        await ask(endpoint, "GET", query, user, is_upgrade=True),
        await ask(endpoint, "GET", query, user, accept="text/event-stream"),
        await ask(endpoint, "POST", query, user),
        await ask(endpoint, "DELETE", query, user),
    ]


FORBIDDEN = plain_answer(403)
ALL_FORBIDDEN = [
    replace(FORBIDDEN, headers=POLL_HEADERS),
    replace(FORBIDDEN, content_type=None),
    *[FORBIDDEN] * 3,
]
CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="not valid"'}
ALL_CHALLENGED = [
    HttpAnswer(401, headers={**CHALLENGE, **POLL_HEADERS}),
    *[HttpAnswer(401, headers=CHALLENGE)] * 4,
]


@pytest.mark.parametrize("owner", ["ann", "no-id", None])
@pytest.mark.parametrize("transport", ["LongPolling", "WebSockets", "ServerSentEvents"])
async def test_requests_of_another_user(owner: str | None, transport: str) -> None:
    """A-9: poll, takeover, POST and DELETE are refused, and change nothing.

    A client whose token has expired learns it, and repeats the request with a new one (A-5).
    """
    paths = Paths()
    endpoint, query = paths.add(), f"id={paths.token()}"
    accept = "text/event-stream" if transport == "ServerSentEvents" else "*/*"
    is_upgrade = transport == "WebSockets"
    opened = await ask(endpoint, "GET", query, owner, is_upgrade=is_upgrade, accept=accept)
    before = replace(opened.connection)
    for other in {"ann", "root", "stranger", None} - {owner}:
        if owner is None and other == "stranger":  # as anonymous as the owner
            continue
        expected = ALL_CHALLENGED if other == "stranger" else ALL_FORBIDDEN
        assert await attempts(endpoint, query, other) == expected
    assert opened.connection == before
    if transport == "LongPolling":
        assert (await ask(endpoint, "GET", query, owner)).action is Action.POLL


async def test_the_same_user_with_other_credentials() -> None:
    """A-9: the id counts; users without an id count as one."""
    paths = Paths()
    endpoint, query = paths.add(), f"id={paths.token()}"
    opened = await ask(endpoint, "GET", query, "ann")
    polled = await ask(endpoint, "GET", query, "ann2")
    assert polled == Admitted(Action.POLL, opened.connection, USERS["ann2"], "ann")
    assert opened.connection.user is ANN


async def test_the_user_of_the_transport() -> None:
    """A-6: another user may have negotiated."""
    paths = Paths()
    endpoint = paths.add(authorize=True)
    answer = await endpoint.negotiate(request("POST", "negotiateVersion=1", User="ann"))
    token = answer.body.partition(b'"connectionToken":"')[2].partition(b'"')[0].decode()
    opened = await ask(endpoint, "GET", f"id={token}", "root")
    assert opened.user == opened.connection.user == ADMIN


async def test_posts_before_the_transport_opens() -> None:
    """A-9: they make the connection that of their user, so that no other user gets the bytes."""
    paths = Paths()
    endpoint, query = paths.add(), f"id={paths.token()}"
    assert (await ask(endpoint, "POST", query, "ann")).action is Action.RECEIVE
    assert await attempts(endpoint, query, "root") == ALL_FORBIDDEN
    assert (await ask(endpoint, "GET", query, "ann")).action is Action.START_LONG_POLLING


async def test_a_refused_transport_takes_no_connection() -> None:
    """A-6: the connection has no user until a transport opens."""
    paths = Paths()
    endpoint = paths.add(maximum_connections=1)
    query = f"id={paths.token()}"
    first = await ask(endpoint, "GET", is_upgrade=True)
    assert (await ask(endpoint, "GET", query, "root")).status == 503
    paths.connections.remove(first.connection)
    assert (await ask(endpoint, "GET", query, "ann")).user is ANN


async def test_a_connection_of_another_path() -> None:
    """A-9: an equal id may be another user there, and the other path may require less."""
    paths = Paths()
    one, two = paths.add("/one", authorize=True), paths.add("/two")
    query = f"id={paths.token('/one')}"
    assert (await ask(one, "GET", query, "ann")).action is Action.START_LONG_POLLING
    for user in ("ann", "root", "stranger", None):
        assert await attempts(two, query, user) == ALL_FORBIDDEN


async def test_a_function_distinguishes_users() -> None:
    """A-7, A-9."""
    paths = Paths()
    endpoint = HubEndpoint(
        paths.connections,
        "/hub",
        EndpointOptions(authenticate=by_header),
        lambda: 0.0,
        wall_clock=lambda: 0.0,
        user_id=lambda user: ",".join(user.roles),
    )
    query = f"id={paths.token()}"
    await ask(endpoint, "GET", query, "ann")
    assert isinstance(await ask(endpoint, "POST", query, "no-id"), Admitted)
    assert await ask(endpoint, "POST", query, "root") == FORBIDDEN


async def test_a_function_of_ids_that_fails() -> None:
    """A-7: the answer is 500, and the connection has no user and no transport."""

    def user_id(user: Principal) -> str:
        return str(user.claims["sub"])

    paths = Paths()
    endpoint = HubEndpoint(
        paths.connections,
        "/hub",
        EndpointOptions(authenticate=by_header),
        lambda: 0.0,
        wall_clock=lambda: 0.0,
        user_id=user_id,
    )
    query = f"id={paths.token()}"
    assert await attempts(endpoint, query, "ann") == [HttpAnswer(500)] * 5
    assert (await ask(endpoint, "GET", query)).action is Action.START_LONG_POLLING


async def test_the_id_of_a_user_is_determined_once() -> None:
    """A-7: a function that fails later does not affect the connection."""
    ids = iter(["ann", "ann"])
    paths = Paths()
    endpoint = HubEndpoint(
        paths.connections,
        "/hub",
        EndpointOptions(authenticate=by_header),
        lambda: 0.0,
        wall_clock=lambda: 0.0,
        user_id=lambda _: next(ids),
    )
    query = f"id={paths.token()}"
    opened = await ask(endpoint, "GET", query, "ann")
    assert (opened.action, opened.user_id) == (Action.START_LONG_POLLING, "ann")
    assert (await ask(endpoint, "POST", query, "ann")).action is Action.RECEIVE
    assert await ask(endpoint, "POST", query, "ann") == HttpAnswer(500)


UNFIT: Any = [
    ({"user_id": 5}, "a user id has the type int, not str"),
    ({"user_id": ["ann"]}, "a user id has the type list, not str"),
    ({"roles": ["admin"]}, "authenticate returned a Principal whose roles have the type list"),
    ({"roles": "admin"}, "authenticate returned a Principal whose roles have the type str"),
    ({"claims": None}, "authenticate returned a Principal whose claims have the type NoneType"),
    ({"expires_at": "9"}, "authenticate returned a Principal whose expires_at has the type str"),
    ({"expires_at": True}, "authenticate returned a Principal whose expires_at has the type bool"),
    ({"expires_at": math.nan}, "authenticate returned a Principal whose expires_at is not a time"),
    ({"expires_at": 10**400}, "authenticate returned a Principal whose expires_at is not a time"),
]


@pytest.mark.parametrize(("fields", "line"), UNFIT)
async def test_a_principal_with_fields_of_another_type(
    fields: dict[str, Any], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A-1: it would fail later, in an open connection. The log says what is wrong."""
    endpoint = endpoint_with(
        authenticate=lambda _: Principal(**fields), enable_authentication_refresh=True
    )
    assert await ask(endpoint, "GET", is_upgrade=True) == HttpAnswer(500)
    assert await endpoint.negotiate(request("POST")) == HttpAnswer(500)
    assert f"/hub: a request was not admitted: {line}" in caplog.text


async def test_a_challenge_of_another_type(caplog: pytest.LogCaptureFixture) -> None:
    """A-1: also in answer to a request for the connection of a user."""

    class Silent(Authenticator):
        async def authenticate(
            self, request: HttpRequestData
        ) -> Principal | AuthenticationFailure | None:
            return by_header(request)

        def challenge(self, request: HttpRequestData, failure: Any) -> Any:
            return Challenge(5) if failure is None else None

    paths = Paths()
    endpoint = paths.add(authenticate=Silent())
    query = f"id={paths.token()}"
    await ask(endpoint, "GET", query, "ann")
    assert await ask(endpoint, "POST", query, "stranger") == HttpAnswer(500)
    assert "challenge returned NoneType, not a Challenge" in caplog.text
    strict = paths.add("/strict", authenticate=Silent(), authorize=True)
    assert await ask(strict, "POST") == HttpAnswer(500)


UNSENDABLE: Any = [
    ("401", {}, TypeError, "Challenge.status is a whole number, not str."),
    (True, {}, TypeError, "Challenge.status is a whole number, not bool."),
    (200, {}, ValueError, "Challenge.status is 200, not from 300 to 599."),
    (600, {}, ValueError, "Challenge.status is 600, not from 300 to 599."),
    (401, None, TypeError, "Challenge.headers are a dict, not NoneType."),
    (
        401,
        {"Location": 5},
        TypeError,
        "Challenge.headers contain an item of the type int, not str.",
    ),
    (401, {"Location": "/\r\nA: b"}, ValueError, "contain a character that HTTP forbids."),
]


@pytest.mark.parametrize(("status", "headers", "error", "text"), UNSENDABLE)
def test_challenges_that_cannot_be_sent(
    status: Any, headers: Any, error: type[Exception], text: str
) -> None:
    """A-1: a success would let the refused client go on."""
    with pytest.raises(error, match=re.escape(text)):
        Challenge(status, headers)


# ---- the log


async def test_refusals_are_logged_without_values(caplog: pytest.LogCaptureFixture) -> None:
    """A-1, A-9: once a minute for each kind."""
    caplog.set_level(logging.DEBUG)
    paths = Paths()
    endpoint = paths.add(authorize=lambda context: context.user in (ANN, USERS["no-id"]))
    query = f"id={paths.token()}"
    await ask(endpoint, "GET", query, "ann")
    users = (None, "stranger", "root", "no-id")
    for user in users * 2:
        await ask(endpoint, "GET", query, user)
    lines = [
        ("INFO", "/hub: a request was refused: it has no credentials."),
        ("INFO", "/hub: a request was refused: its credentials are not valid."),
        ("INFO", "/hub: a request was refused: its user is not authorized."),
        ("WARNING", "/hub: a request was refused: the connection is that of another user."),
    ]
    assert [(record.levelname, record.message) for record in caplog.records] == lines
    paths.now = 60.0
    await ask(endpoint, "GET", query, "root")
    assert len(caplog.records) == len(lines) + 1


def test_nothing_secret_is_shown() -> None:
    """A-1: claims and headers of challenges may contain credentials."""
    assert "5f2c" not in repr(Principal("ann", claims={"token": "5f2c"}))
    assert "5f2c" not in repr(Challenge(401, {"Location": "/login?state=5f2c"}))
