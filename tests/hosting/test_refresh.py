"""Which requests renew the authentication of a connection, and their answers (AR-1 … AR-6, A-8)."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from protocol import AuthenticationFailure, EndpointOptions, HttpRequestData, Principal
from protocol.hosting.http_answer import POLL_HEADERS, HttpAnswer, plain_answer
from protocol.hosting.http_connections import HttpConnection, HttpConnectionManager
from protocol.hosting.hub_endpoint import Action, Admitted, HubEndpoint

from .plain_requests import request

EPOCH: Final = 1_800_000_000.0
CHALLENGE: Final = HttpAnswer(401, headers={"WWW-Authenticate": "Bearer"})
ANN: Final = Principal("ann", expires_at=EPOCH + 100.5)
LATER_ANN: Final = Principal("ann", expires_at=EPOCH + 200)
BOB: Final = Principal("bob")
USERS: Final = {"ann": ANN, "later": LATER_ANN, "bob": BOB}


class FakeUser:
    """The user of an open connection, which is refreshed as ``is_accepted`` says."""

    def __init__(self, user: Principal | None) -> None:
        self.user = user
        self.is_accepted: bool | Exception = True
        self.log: list[Any] = []

    @property
    def user_id(self) -> str | None:
        return None if self.user is None else self.user.user_id

    def set_expiry(self, user: Principal | None) -> None:
        self.log.append(("expiry", user))

    async def refresh(self, user: Principal, _: HttpRequestData) -> bool:
        self.log.append(("refresh", user))
        if isinstance(self.is_accepted, Exception):
            raise self.is_accepted
        if self.is_accepted:
            self.user = user
        return self.is_accepted

    def abort(self) -> None:
        self.log.append("abort")


def authenticate(asked: HttpRequestData) -> Principal | AuthenticationFailure | None:
    name = asked.headers.get("Authorization")
    return AuthenticationFailure("bad") if name == "bad" else USERS.get(name or "")


class Endpoint:
    """An endpoint at ``/hub`` that is refreshed, unless told otherwise."""

    def __init__(self, manager: Any = None, path: str = "/hub", **options: Any) -> None:
        self.connections = manager or HttpConnectionManager(HttpConnection)
        options = {"enable_authentication_refresh": True, "authenticate": authenticate, **options}
        self.endpoint = HubEndpoint(
            self.connections,
            path,
            EndpointOptions(**options),
            lambda: 0.0,
            wall_clock=lambda: EPOCH,
        )

    async def negotiate(self, user: str, version: int = 1) -> dict[str, Any]:
        query = f"negotiateVersion={version}"
        answer = await self.endpoint.negotiate(request("POST", query, Authorization=user))
        body: dict[str, Any] = json.loads(answer.body)
        return body

    async def poll(self, token: str, user: str) -> Admitted[HttpConnection] | HttpAnswer:
        asked = request("GET", f"id={token}", Authorization=user)
        return await self.endpoint.dispatch(asked, ["*/*"], is_upgrade=False)

    async def open(self, user: str, version: int = 1) -> HttpConnection:
        """A connection over long polling, as the host has it after its first poll."""
        offer = await self.negotiate(user, version)
        decision = await self.poll(offer.get("connectionToken", offer["connectionId"]), user)
        assert isinstance(decision, Admitted)
        connection = decision.connection
        connection.open_user = FakeUser(connection.user)
        return connection

    async def refresh(self, token: str, user: str, method: str = "POST") -> HttpAnswer:
        headers = {"X_SignalR_Connection_Token": token} if token else {}
        return await self.endpoint.refresh(request(method, "q=1", Authorization=user, **headers))


def fake(connection: HttpConnection) -> FakeUser:
    assert isinstance(connection.open_user, FakeUser)
    return connection.open_user


def refused(status: int, code: str) -> HttpAnswer:
    return HttpAnswer(status, f'{{"error":"{code}"}}'.encode(), "application/json")


# ---- negotiate


async def test_the_lifetime_in_an_offer() -> None:
    """AR-1: whole seconds, for users whose authentication expires, if the feature is enabled."""
    assert (await Endpoint().negotiate("ann"))["tokenLifetimeSeconds"] == 100
    assert "tokenLifetimeSeconds" not in await Endpoint().negotiate("bob")
    assert "tokenLifetimeSeconds" not in await Endpoint().negotiate("")
    off = Endpoint(enable_authentication_refresh=False)
    assert "tokenLifetimeSeconds" not in await off.negotiate("ann")


# ---- refresh


async def test_a_refresh() -> None:
    """AR-2: the connection is that of the new user from now on, for polls and POSTs, too."""
    endpoint = Endpoint()
    connection = await endpoint.open("ann")
    answer = await endpoint.refresh(connection.token, "later")
    assert answer == HttpAnswer(200, b'{"tokenLifetimeSeconds":200}', "application/json")
    assert fake(connection).log == [("refresh", LATER_ANN)]
    assert connection.user == LATER_ANN


async def test_a_refresh_without_an_expiry() -> None:
    """AR-2."""
    endpoint = Endpoint()
    connection = await endpoint.open("bob")
    assert (await endpoint.refresh(connection.token, "bob")).body == b"{}"


async def test_the_token_in_the_query() -> None:
    """AR-3: early clients send it there."""
    endpoint = Endpoint()
    connection = await endpoint.open("ann")
    asked = request("POST", f"id={connection.token}", Authorization="later")
    assert (await endpoint.endpoint.refresh(asked)).status == 200


async def test_a_refresh_that_is_not_accepted() -> None:
    """AR-3: the connection keeps its user, and is not ended here."""
    endpoint = Endpoint()
    connection = await endpoint.open("ann")
    fake(connection).is_accepted = False
    answer = await endpoint.refresh(connection.token, "later")
    assert answer == refused(403, "permission_change_rejected")
    assert connection.user == ANN
    assert fake(connection).log == [("refresh", LATER_ANN)]


async def test_a_refresh_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """AR-3: the answer is 500, and the log has no text that may quote credentials."""
    endpoint = Endpoint()
    connection = await endpoint.open("ann")
    fake(connection).is_accepted = LookupError("5f2c")
    assert await endpoint.refresh(connection.token, "later") == HttpAnswer(500)
    assert fake(connection).log == [("refresh", LATER_ANN)]
    polled = await endpoint.poll(connection.token, "later")
    assert polled == HttpAnswer(500, headers=POLL_HEADERS)
    assert fake(connection).log[1:] == [("refresh", LATER_ANN), "abort"]
    assert connection.user == ANN
    assert "LookupError in test_refresh.py" in caplog.text
    assert "5f2c" not in caplog.text


async def test_refusals() -> None:
    """AR-3."""
    endpoint = Endpoint()
    token = (await endpoint.open("ann")).token
    assert await endpoint.refresh(token, "ann", "GET") == plain_answer(405)
    assert await endpoint.refresh("", "ann") == refused(400, "missing_connection_token")
    assert await endpoint.refresh("other", "ann") == refused(404, "connection_not_found")
    assert await endpoint.refresh(token, "") == refused(401, "invalid_token")
    assert await endpoint.refresh(token, "bad") == refused(401, "invalid_token")
    off = Endpoint(enable_authentication_refresh=False)
    assert await off.refresh(token, "ann") == refused(404, "refresh_disabled")


async def test_version_0() -> None:
    """AR-3: there is no secret that names the connection."""
    endpoint = Endpoint()
    connection = await endpoint.open("ann", version=0)
    answer = await endpoint.refresh(connection.token, "ann")
    assert answer == refused(400, "unsupported_negotiate_version")


async def test_connections_that_are_not_open() -> None:
    """AR-3: those without a transport, and those that end."""
    endpoint = Endpoint()
    waiting = (await endpoint.negotiate("ann"))["connectionToken"]
    assert await endpoint.refresh(waiting, "ann") == refused(404, "connection_not_found")
    connection = await endpoint.open("ann")
    connection.is_disposed = True
    assert await endpoint.refresh(connection.token, "ann") == refused(404, "connection_not_found")
    assert fake(connection).log == []


async def test_a_connection_of_another_path() -> None:
    """AR-3: it belongs to users of the other path, which may have other requirements."""
    endpoint = Endpoint()
    other = Endpoint(endpoint.connections, "/other")
    token = (await endpoint.open("ann")).token
    assert await other.refresh(token, "ann") == refused(404, "connection_not_found")
    assert await other.poll(token, "ann") == replace(plain_answer(403), headers=POLL_HEADERS)


@pytest.mark.parametrize(("user", "answer"), [("", CHALLENGE), ("bob", HttpAnswer(403))])
async def test_the_authorization_of_the_path(user: str, answer: HttpAnswer) -> None:
    """AR-1, A-1: before all other checks."""
    endpoint = Endpoint(authorize=lambda it: it.user is not None and it.user.user_id == "ann")
    assert replace(await endpoint.refresh("", user, "GET"), headers=answer.headers) == answer


async def test_hosts_and_preflights() -> None:
    """AR-3: they are checked as for every other request of the path."""
    endpoint = Endpoint(allowed_hosts=["app.example"], allowed_origins=["https://app.example"])
    other = request("POST", Host="evil.example")
    assert (await endpoint.endpoint.refresh(other)).status == 400
    preflight = request(
        "OPTIONS",
        Host="app.example",
        Origin="https://app.example",
        Access_Control_Request_Method="POST",
    )
    assert (await endpoint.endpoint.refresh(preflight)).status == 204


# ---- polls


async def test_a_poll_with_a_new_token() -> None:
    """AR-5: it refreshes; the poll goes on."""
    endpoint = Endpoint()
    connection = await endpoint.open("ann")
    decision = await endpoint.poll(connection.token, "later")
    assert decision == Admitted(Action.POLL, connection, LATER_ANN, "ann")
    assert fake(connection).log == [("refresh", LATER_ANN)]
    assert connection.user == LATER_ANN


async def test_a_poll_that_is_not_accepted() -> None:
    """AR-5, AR-6: it ends the connection."""
    endpoint = Endpoint()
    connection = await endpoint.open("ann")
    fake(connection).is_accepted = False
    decision = await endpoint.poll(connection.token, "bob")
    assert decision == replace(refused(403, "permission_change_rejected"), headers=POLL_HEADERS)
    assert fake(connection).log == [("refresh", BOB), "abort"]


async def test_an_anonymous_poll() -> None:
    """A-9: it is no refresh; the connection is unharmed."""
    endpoint = Endpoint()
    connection = await endpoint.open("ann")
    refusal = replace(plain_answer(403), headers=POLL_HEADERS)
    assert await endpoint.poll(connection.token, "") == refusal
    assert fake(connection).log == []


async def test_polls_without_refreshes() -> None:
    """A-8, A-9: the expiry follows the newest poll of the same user; others are refused."""
    endpoint = Endpoint(enable_authentication_refresh=False)
    connection = await endpoint.open("ann")
    assert isinstance(await endpoint.poll(connection.token, "later"), Admitted)
    assert fake(connection).log == [("expiry", LATER_ANN)]
    refusal = replace(plain_answer(403), headers=POLL_HEADERS)
    assert await endpoint.poll(connection.token, "bob") == refusal
    assert fake(connection).log == [("expiry", LATER_ANN)]


async def test_a_request_that_takes_another_transport() -> None:
    """AR-5: only polls of long polling refresh."""
    endpoint = Endpoint()
    offer = await endpoint.negotiate("ann")
    query = f"id={offer['connectionToken']}"
    opening = request("GET", query, Authorization="ann")
    decision = await endpoint.endpoint.dispatch(opening, ["text/event-stream"], is_upgrade=False)
    assert isinstance(decision, Admitted)
    decision.connection.open_user = FakeUser(ANN)
    refusal = await endpoint.poll(decision.connection.token, "bob")
    assert refusal == replace(plain_answer(403), headers=POLL_HEADERS)
    assert fake(decision.connection).log == []
