"""GW-43: what callers of the API and clients of the gateway hub may call, and what they see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol import (
    AuthenticationFailure,
    HttpRequestData,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    Principal,
)
from signalr_gateway import BroadcastType, HubRouteInfo, Orchestrator, Policy, create_app
from tests.gateway.running_gateway import Answer, RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to

ECHO: dict[str, Any] = {"invoke_method": "Echo"}


def orchestrate(orchestrator: Orchestrator, url: str) -> None:
    """Routes for everyone, and routes that only the role ``staff`` may call."""
    orchestrator.add_policy("staff", Policy(roles=["staff"]))
    hub = orchestrator.add_hub("sample", connecting_to(url))
    hub.add_route("open", HubRouteInfo(**ECHO))
    hub.add_route("hidden", HubRouteInfo(**ECHO, call_policies=["staff"]))
    hub.add_route("items", HubRouteInfo(**ECHO, streams=True, call_policies=["staff"]))
    hub.add_route("heard", HubRouteInfo(**ECHO, receive_method="Event", call_policies=["staff"]))
    hub.add_route("quiet", HubRouteInfo(**ECHO, receive_method="E", receive_policies=["staff"]))
    orchestrator.add_hub("keyed", connecting_to(url), "a key", call_policies=["staff"]).add_route(
        "hidden", HubRouteInfo(**ECHO)
    )


def authenticate(request: HttpRequestData) -> Principal | AuthenticationFailure | None:
    """The user whose role and scope is the key; the key ``wrong`` is not valid."""
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    role = request.headers.get("X-Key") or bearer
    if role == "wrong":
        return AuthenticationFailure("The key is not valid")
    return Principal("ann", frozenset({role}), {"scope": role}) if role else None


@pytest.fixture
async def gateway(hub: RunningHub) -> AsyncIterator[RunningGateway]:
    """A gateway that also admits anonymous callers."""
    async with running_gateway(
        lambda orchestrator: orchestrate(orchestrator, hub.url),
        authenticate=authenticate,
        authorize=False,
        send=True,
    ) as running:
        yield running


def client(gateway: RunningGateway, role: str) -> HubConnection:
    url = f"{gateway.url}/gatewayhub"
    return HubConnectionBuilder().with_url(url, access_token_factory=lambda: role).build()


async def post(gateway: RunningGateway, route: str, role: str | None) -> Answer:
    headers = {} if role is None else {"X_Key": role}
    return await gateway.post(route, b"[1]", **headers)


def seen(answer: Answer, route: str) -> dict[str, Any]:
    """The problem without its id and without the name that the caller gave."""
    named: dict[str, Any] = {**answer.problem, "requestId": ""}
    return {name: str(value).replace(route, "ROUTE") for name, value in named.items()}


@pytest.mark.parametrize(
    ("role", "route", "outcome"),
    [
        (None, "sample/open", 200),
        (None, "sample/quiet", 200),
        (None, "sample/hidden", (401, "not-authenticated")),
        (None, "sample/heard", (401, "not-authenticated")),
        (None, "sample/nothing", (401, "not-authenticated")),
        ("guest", "sample/open", 200),
        ("guest", "sample/hidden", (404, "route-not-found")),
        ("guest", "sample/items", (404, "route-not-found")),
        ("guest", "keyed/hidden", (404, "route-not-found")),
        ("guest", "sample/heard", (403, "not-authorized")),
        ("staff", "sample/hidden", 200),
        ("staff", "keyed/hidden", 200),
        ("staff", "SAMPLE/Heard", 200),
        ("staff", "sample/nothing", (404, "route-not-found")),
    ],
)
async def test_a_post(
    gateway: RunningGateway, hub: RunningHub, role: str | None, route: str, outcome: object
) -> None:
    answer = await post(gateway, route, role)
    if outcome == 200:
        assert (answer.status, answer.body) == (200, b"1")
    else:
        assert (answer.status, answer.problem["code"]) == outcome
        assert hub.calls == []


@pytest.mark.parametrize("role", [None, "guest"])
async def test_hidden_routes_are_answered_like_missing_ones(
    gateway: RunningGateway, role: str | None
) -> None:
    """GW-43: no part of the answer shows whether there is such a hub or route."""
    answers = []
    for route in ("sample/hidden", "sample/nothing", "keyed/hidden", "nothing/hidden"):
        for method in ("POST", "GET"):
            headers = {} if role is None else {"X-Key": role}
            path = f"/api/Gateway/hub/{route}"
            answer = await gateway.request(method, path, b"[", headers)
            ignored = {"x-request-id", "date", "content-length"}  # the name is in the body
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in ignored}
            answers.append((seen(answer, route), kept))
    for each in answers:
        assert each == answers[0]


async def test_the_challenge_says_what_is_wrong_with_credentials(gateway: RunningGateway) -> None:
    """The gateway admits the request as anonymous; the route needs a user."""
    assert (await post(gateway, "sample/open", "wrong")).status == 200
    missing = await post(gateway, "sample/hidden", None)
    wrong = await post(gateway, "sample/hidden", "wrong")
    assert missing.headers["WWW-Authenticate"] == "Bearer"
    assert wrong.headers["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="The key is not valid"'
    )


async def test_policies_of_the_gateway_come_before_names(hub: RunningHub) -> None:
    """GW-42, GW-43: a caller who may call nothing gets one answer for all names."""

    def restricted(orchestrator: Orchestrator) -> None:
        orchestrate(orchestrator, hub.url)
        orchestrator.call_policies = ["staff"]

    async with running_gateway(restricted, authenticate=authenticate, authorize=False) as gateway:
        for role, code in ((None, "not-authenticated"), ("guest", "not-authorized")):
            routes = ("sample/open", "sample/hidden", "sample/nothing", "nothing/nothing")
            answers = [seen(await post(gateway, route, role), route) for route in routes]
            assert answers[0]["code"] == code
            assert all(each == answers[0] for each in answers)
        assert (await post(gateway, "sample/open", "staff")).status == 200
        async with client(gateway, "guest") as connection:
            for key in ("open", "nothing"):
                with pytest.raises(HubException, match="may not call this route"):
                    await connection.invoke("InvokeDownstreamHub", {"Api": "sample", "Key": key})


async def test_a_call_over_the_gateway_hub(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-43: the same answers as for a POST, and before the receive key is checked."""
    async with client(gateway, "staff") as connection:
        call = {"Api": "keyed", "Key": "hidden", "ReceiveKey": "a key", "Data": 7}
        assert await connection.invoke("InvokeDownstreamHub", call) == 7
    async with client(gateway, "guest") as connection:
        for api, key, refusal in (
            ("sample", "hidden", "There is no route 'sample/hidden'."),
            ("sample", "nothing", "There is no route 'sample/nothing'."),
            ("keyed", "hidden", "There is no route 'keyed/hidden'."),
            ("sample", "heard", "This client may not call this route."),
        ):
            with pytest.raises(HubException) as caught:
                await connection.invoke("InvokeDownstreamHub", {"Api": api, "Key": key, "Data": 1})
            assert str(caught.value).endswith(f"HubException: {refusal}")
        for key in ("items", "nothing"):
            with pytest.raises(HubException, match=f"There is no route 'sample/{key}'"):
                async for _ in connection.stream(
                    "StreamDownstreamHub", {"Api": "sample", "Key": key, "Data": 1}
                ):
                    pass
    assert len(hub.calls) == 1


async def test_sends_to_a_hidden_route(gateway: RunningGateway) -> None:
    """GW-43: the scope ``send`` does not show which routes exist."""

    async def send(role: str, route: str) -> Answer:
        path = f"/api/Gateway/send/route/{route}/john"
        body = b'{"target":"T","arguments":[]}'
        return await gateway.request("POST", path, body, {"X-Key": role})

    assert (await send("guest", "sample/hidden")).problem["code"] == "send-not-allowed"
    assert (await send("send", "sample/heard")).status == 202
    hidden, missing = await send("send", "sample/hidden"), await send("send", "no/route")
    assert hidden.problem["code"] == "route-not-found"
    assert seen(hidden, "sample/hidden") == seen(missing, "no/route")


@pytest.mark.parametrize(
    "options",
    [
        {"call_policies": ["staff"]},
        {"receive_policies": ["staff"]},
        {"broadcast_type": BroadcastType.AUTHENTICATED},
    ],
)
def test_policies_need_an_authenticator(options: dict[str, Any]) -> None:
    """Without one no caller could meet them."""
    orchestrator = Orchestrator()
    orchestrator.add_policy("staff", Policy(roles=["staff"]))
    create_app(orchestrator)
    orchestrator.add_hub("h", connecting_to("http://127.0.0.1:9/h")).add_route(
        "r", HubRouteInfo(**ECHO, receive_method="E", **options)
    )
    with pytest.raises(ValueError, match="policies and authenticated routes need a user: set auth"):
        create_app(orchestrator)
