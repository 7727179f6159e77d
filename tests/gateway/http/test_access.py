"""GW-39, GW-40, GW-46: which callers may use the API, the pages and the gateway hub."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol import (
    AuthenticationFailure,
    Authenticator,
    EndpointOptions,
    HttpRequestData,
    HubConnectionBuilder,
    HubOptions,
    Principal,
)
from signalr_gateway import Orchestrator, create_app
from signalr_gateway.access.api_keys import ApiKey, ApiKeys, key_hash, new_key
from tests.gateway.running_gateway import Answer, RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, sample_routes

KEY = new_key()
GUARDED = (
    ("POST", "/api/Gateway/hub/sample/echo"),
    ("POST", "/api/Gateway/hub/no/route"),
    ("GET", "/api/Gateway/orchestration"),
    ("GET", "/API/gateway/Orchestration/"),
    ("GET", "/api/Gateway/nothing"),
    ("GET", "/console/status.json"),
    ("GET", "/swagger/v1/swagger.json"),
    ("GET", "/SWAGGER/V1/swagger.json"),
)
LISTS = ("/api/Gateway/orchestration", "/console/status.json", "/swagger/v1/swagger.json")
"""The addresses whose answers list hubs and routes."""


@pytest.fixture
async def guarded(hub: RunningHub) -> AsyncIterator[RunningGateway]:
    keys = ApiKeys([ApiKey(name="k", user_id="orders", hash=key_hash(KEY))])
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url), authenticate=keys
    ) as gateway:
        yield gateway


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.problem["code"]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_without_credentials(guarded: RunningGateway, method: str, path: str) -> None:
    """GW-40: the answer is the same whether or not there is something at the address."""
    answer = await guarded.request(method, path)
    assert code(answer) == (401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_with_a_wrong_key(guarded: RunningGateway) -> None:
    answer = await guarded.post("sample/echo", b"[1]", X_Api_Key="wrong")
    assert code(answer) == (401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="The API key is not valid"'
    )


async def test_with_a_key(guarded: RunningGateway) -> None:
    answer = await guarded.post("sample/echo", b"[1]", X_Api_Key=KEY)
    assert (answer.status, answer.body) == (200, b"1")
    for path in LISTS:
        assert (await guarded.request("GET", path, None, {"X-Api-Key": KEY})).status == 200


async def test_the_files_of_pages_need_no_credentials(guarded: RunningGateway) -> None:
    """GW-47: browsers send no key with them. They are the same in every gateway."""
    async with running_gateway(lambda _: None) as other:
        for path in ("/", "/console/console.js", "/swagger/index.html", "/swagger/initializer.js"):
            answer = await guarded.request("GET", path)
            assert (answer.status, answer.body) == (200, (await other.request("GET", path)).body)


async def test_a_refused_call_does_not_reach_the_hub(
    guarded: RunningGateway, hub: RunningHub
) -> None:
    await guarded.post("sample/echo", b"[1]")
    assert (await guarded.post("sample/echo", b"[2]", X_Api_Key=KEY)).body == b"2"
    assert [arguments for _, arguments in hub.calls] == [[b"2"]]


async def test_idempotency_keys_belong_to_their_caller(hub: RunningHub) -> None:
    """GW-37: a caller never gets the answer to another caller's call."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authenticate=lambda request: Principal(request.headers["X-User"]),
    ) as gateway:
        for user in ("ann", "bob", "ann"):
            headers = {"X_User": user, "Idempotency_Key": "1"}
            assert (await gateway.post("sample/echo", b"[1]", **headers)).body == b"1"
    assert len(hub.calls) == 2


async def test_health_needs_no_credentials_but_names_hubs_only_with_them(
    guarded: RunningGateway,
) -> None:
    """GW-40."""
    anonymous = json.loads((await guarded.request("GET", "/healthz")).body)
    assert anonymous == {"status": "ok", "hubs": {}}
    answer = await guarded.request("GET", "/healthz", None, {"X-Api-Key": KEY})
    assert list(json.loads(answer.body)["hubs"]) == ["sample"]


async def test_the_gateway_hub(guarded: RunningGateway) -> None:
    """GW-40: the hub has the same authenticator and requirement."""
    assert (await guarded.request("POST", "/gatewayhub/negotiate")).status == 401
    url = f"{guarded.url}/gatewayhub"
    builder = HubConnectionBuilder().with_url(url, access_token_factory=lambda: KEY)
    async with builder.build():
        assert guarded.clients == 1
    negotiated = await guarded.request("POST", f"/gatewayhub/negotiate?access_token={KEY}")
    assert negotiated.status == 200


async def test_a_user_who_does_not_meet_the_requirement(hub: RunningHub) -> None:
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authenticate=lambda _: Principal("ann"),
        authorize={"admin"},
    ) as gateway:
        assert code(await gateway.post("sample/echo", b"[1]")) == (403, "not-authorized")
        for path in LISTS:
            assert code(await gateway.request("GET", path)) == (403, "not-authorized")
        assert (await gateway.request("POST", "/gatewayhub/negotiate")).status == 403


async def test_anonymous_callers_may_be_allowed(hub: RunningHub) -> None:
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authenticate=lambda _: AuthenticationFailure(),
        authorize=False,
    ) as gateway:
        assert (await gateway.post("sample/echo", b"[1]")).body == b"1"
        assert (await gateway.request("POST", "/gatewayhub/negotiate")).status == 200


def fails(*_: object) -> Any:
    raise LookupError("hush")


@pytest.mark.parametrize(
    "hooks",
    [
        {"authenticate": fails},
        {"authenticate": lambda _: "ann"},
        {"authenticate": lambda _: Principal("ann"), "authorize": fails},
        {"authorize": fails},
    ],
)
async def test_a_hook_that_fails_is_never_an_open_door(
    hub: RunningHub, hooks: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """GW-23: 500, and nothing is called. The log has no text of the exception."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url), **hooks
    ) as gateway:
        assert code(await gateway.post("sample/echo", b"[1]")) == (500, "internal-error")
        for path in LISTS:
            assert code(await gateway.request("GET", path)) == (500, "internal-error")
        health = await gateway.request("GET", "/healthz")
        assert (health.status, json.loads(health.body)["hubs"]) == (200, {})
        assert (await gateway.request("POST", "/gatewayhub/negotiate")).status == 500
    assert hub.calls == []
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert any(line.startswith("the API: a request was not admitted") for line in errors)
    assert "hush" not in caplog.text


async def test_who_may_read_lists(hub: RunningHub) -> None:
    """GW-46: other users may call, but no answer names a hub to them."""

    def user(request: HttpRequestData) -> Principal | None:
        role = request.headers.get("X-Role")
        return None if role is None else Principal("ann", frozenset({role}))

    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authenticate=user,
        authorize_orchestration={"operator"},
    ) as gateway:
        for role, status, hubs in (("operator", 200, ["sample"]), ("caller", 403, [])):
            for path in LISTS:
                assert (await gateway.request("GET", path, None, {"X-Role": role})).status == status
            health = await gateway.request("GET", "/healthz", None, {"X-Role": role})
            assert list(json.loads(health.body)["hubs"]) == hubs
            assert (await gateway.post("sample/echo", b"[1]", X_Role=role)).body == b"1"
        assert code(await gateway.request("GET", LISTS[0])) == (401, "not-authenticated")


async def test_a_hook_for_lists_that_fails(
    hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    """GW-46: 500 for lists. The hook does not decide about calls."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url), authorize_orchestration=fails
    ) as gateway:
        for path in LISTS:
            assert code(await gateway.request("GET", path)) == (500, "internal-error")
        assert json.loads((await gateway.request("GET", "/healthz")).body)["hubs"] == {}
        assert (await gateway.post("sample/echo", b"[1]")).body == b"1"
    assert "hush" not in caplog.text


@pytest.mark.parametrize("name", ["authorize_orchestration", "authorize_call"])
def test_a_requirement_that_no_caller_can_meet(name: str) -> None:
    requirement: Any = {name: True}
    with pytest.raises(ValueError, match=f"{name} needs a user"):
        create_app(Orchestrator(), **requirement)


def tenant(user: Principal) -> str | None:
    return str(user.claims["tenant"])


async def test_user_ids(hub: RunningHub) -> None:
    """GW-46: the API and the gateway hub distinguish users by the ids of one function."""

    def authenticate(request: HttpRequestData) -> Principal:
        name = request.headers["X-User"]
        return Principal(name, claims={"tenant": name[0]})

    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authenticate=authenticate,
        hub_options=HubOptions(user_id=tenant),
    ) as gateway:
        for user in ("ann", "anton", "bob"):
            headers = {"X_User": user, "Idempotency_Key": "1"}
            assert (await gateway.post("sample/echo", b"[1]", **headers)).body == b"1"
    assert len(hub.calls) == 2  # ann and anton are one user


async def test_a_function_of_user_ids_that_fails(hub: RunningHub) -> None:
    """GW-46."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authenticate=lambda _: Principal("ann"),
        hub_options=HubOptions(user_id=tenant),
    ) as gateway:
        assert code(await gateway.post("sample/echo", b"[1]")) == (500, "internal-error")
        assert (await gateway.request("POST", "/gatewayhub/negotiate")).status == 500
    assert hub.calls == []


async def test_authorization_comes_before_the_body(hub: RunningHub) -> None:
    """A caller without credentials gets its answer before it sends the body."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url), authenticate=lambda _: None
    ) as gateway:
        host, _, port = gateway.url.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /api/Gateway/hub/sample/echo HTTP/1.1\r\nHost: h\r\n"
            b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
        writer.close()


class Counting(Authenticator):
    started = closed = 0

    async def authenticate(self, request: HttpRequestData) -> None:
        return None

    async def start(self) -> None:
        self.started += 1

    async def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("with_hub", [True, False])
async def test_an_authenticator_is_started_and_closed_once(hub: RunningHub, with_hub: bool) -> None:
    counting = Counting()

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url)
        orchestrator.start_gateway_hub = with_hub

    async with running_gateway(orchestrate, authenticate=counting):
        assert (counting.started, counting.closed) == (1, 0)
    assert (counting.started, counting.closed) == (1, 1)


@pytest.mark.parametrize(
    "options", [EndpointOptions(authorize=fails), EndpointOptions(authenticate=lambda _: None)]
)
def test_the_gateway_hub_has_no_rules_of_its_own(options: EndpointOptions) -> None:
    """They would protect the hub alone, and leave the API open."""
    with pytest.raises(ValueError, match="are arguments of create_app"):
        create_app(Orchestrator(), endpoint_options=options)
