"""GW-48: each caller sees the hubs and routes that it may use, and no others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol import HttpRequestData, HubConnectionBuilder, Principal
from signalr_gateway import BroadcastType, HubRouteInfo, Orchestrator, Policy
from signalr_gateway.access.policies import Policies
from signalr_gateway.http.openapi import openapi_document
from signalr_gateway.http.openapi_documents import OpenApiDocuments
from tests.gateway.payloads import json_payload
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to

CALLS = "/api/Gateway/hub/"
SENDS = "/api/Gateway/send/"


def orchestrate(orchestrator: Orchestrator, url: str) -> None:
    """Callers may call, listeners may receive, administrators may also use the hub `closed`."""
    orchestrator.add_policy("caller", Policy(roles=["caller", "admin"]))
    orchestrator.add_policy("listener", Policy(roles=["listener", "admin"]))
    orchestrator.add_policy("admin", Policy(roles=["admin"]))
    call: dict[str, Any] = {"invoke_method": "Echo", "call_policies": ["caller"]}
    event: dict[str, Any] = {
        "receive_method": "Event",
        "receive_parameter_types": ["string"],
        "broadcast_type": BroadcastType.GROUP,
        "receive_group": "Group",
        "receive_policies": ["listener"],
    }
    mixed = orchestrator.add_hub("mixed", connecting_to(url))
    mixed.add_route("open", HubRouteInfo(invoke_method="Echo"))
    mixed.add_route("both", HubRouteInfo(**call, **event, summary="Call", examples=[[1]]))
    mixed.add_route("calls", HubRouteInfo(**call))
    mixed.add_route("events", HubRouteInfo(**event))
    closed = orchestrator.add_hub("closed", connecting_to(url), call_policies=["admin"])
    closed.add_route("calls", HubRouteInfo(invoke_method="Echo"))
    orchestrator.add_hub("empty", connecting_to(url))


def authenticate(request: HttpRequestData) -> Principal | None:
    """The user with the role and the scope in the header."""
    role = request.headers.get("X-Role")
    return None if role is None else Principal(role, frozenset({role}), {"scope": "send"})


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


async def get(gateway: RunningGateway, path: str, role: str | None) -> Any:
    headers = {} if role is None else {"X-Role": role}
    answer = await gateway.request("GET", path, None, headers)
    assert answer.status == 200
    return json.loads(answer.body)


async def listed(gateway: RunningGateway, role: str | None) -> dict[str, tuple[Any, Any]]:
    """The methods in the list, by route."""
    hubs = await get(gateway, "/api/Gateway/orchestration", role)
    assert all(hub["routes"] == hub["hubRoutes"] for hub in hubs)
    return {
        f"{hub['api']}/{route['key']}": (route["invokeMethod"], route["receiveMethod"])
        for hub in hubs
        for route in hub["routes"]
    }


@pytest.mark.parametrize(
    ("role", "forwarded", "unrouted"), [("caller", 0, 0), ("listener", 1, 1), ("admin", 1, 1)]
)
async def test_the_console_counts_visible_events(
    gateway: RunningGateway, role: str, forwarded: int, unrouted: int
) -> None:
    """GW-48: a caller cannot see how often the event of a hidden route is sent."""
    assert gateway.parts.hub is not None
    for target in ("Event", "Other"):
        await gateway.parts.hub.broadcaster.on_event("mixed", target, json_payload(b"[1]"))
    status = await get(gateway, "/console/status.json", role)
    (mixed,) = [hub for hub in status["hubs"] if hub["api"] == "mixed"]
    assert mixed["events"]["forwarded"] == forwarded
    assert mixed["events"]["unrouted"] == unrouted


OPEN = {"mixed/open": ("Echo", None)}
EVENTS = {"mixed/events": (None, "Event")}


@pytest.mark.parametrize(
    ("role", "routes"),
    [
        (None, OPEN),
        ("caller", OPEN | {"mixed/both": ("Echo", None), "mixed/calls": ("Echo", None)}),
        ("listener", OPEN | {"mixed/both": (None, "Event")} | EVENTS),
        (
            "admin",
            OPEN
            | {"mixed/both": ("Echo", "Event"), "mixed/calls": ("Echo", None)}
            | EVENTS
            | {"closed/calls": ("Echo", None)},
        ),
    ],
)
async def test_each_caller_sees_what_it_may_use(
    gateway: RunningGateway, role: str | None, routes: dict[str, tuple[Any, Any]]
) -> None:
    """GW-48: the list, the OpenAPI document, the console and the health answer show the same."""
    assert await listed(gateway, role) == routes
    calls = {route for route, (invoke_method, _) in routes.items() if invoke_method}
    paths = (await get(gateway, "/swagger/v1/swagger.json", role))["paths"]
    assert {path.removeprefix(CALLS) for path in paths if path.startswith(CALLS)} == calls
    status = await get(gateway, "/console/status.json", role)
    assert {
        f"{hub['api']}/{route['key']}": (route["invokeMethod"], route["receiveMethod"])
        for hub in status["hubs"]
        for route in hub["routes"]
    } == routes
    assert (status["authentication"], status["user"]) == (True, role)
    health = await get(gateway, "/healthz", role)
    assert set(health["hubs"]) == {route.partition("/")[0] for route in routes}


async def test_what_a_caller_may_not_use_is_not_described(gateway: RunningGateway) -> None:
    """Neither the call nor the events of a route that is shown for the other one."""
    hubs = await get(gateway, "/api/Gateway/orchestration", "caller")
    (both,) = [each for each in hubs[0]["routes"] if each["key"] == "both"]
    assert both == {
        "invokeMethod": "Echo",
        "receiveMethod": None,
        "receiveGroup": None,
        "broadcastType": "All",
        "receiveParameterTypes": None,
        "key": "both",
    }
    status = await get(gateway, "/console/status.json", "listener")
    (both,) = [each for each in status["hubs"][0]["routes"] if each["key"] == "both"]
    assert (both["invokeMethod"], both["examples"], both["receiveGroup"]) == (None, [], "Group")


async def test_filters_find_nothing_that_is_hidden(gateway: RunningGateway) -> None:
    for query in ("apiKey=closed", "routeKey=events", "apiKey=mixed&routeKey=events"):
        shown = await get(gateway, f"/api/Gateway/orchestration?{query}", "caller")
        assert [hub["routes"] for hub in shown] in ([], [[]])
        assert "events" not in str(shown)


@pytest.mark.parametrize("role", [None, "caller"])
async def test_sends_are_shown_to_callers_that_may_send(
    gateway: RunningGateway, role: str | None
) -> None:
    paths = (await get(gateway, "/swagger/v1/swagger.json", role))["paths"]
    assert any(path.startswith(SENDS) for path in paths) == (role is not None)


def test_documents_are_kept_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document is made once for all callers that may make the same calls."""
    made: list[object] = []

    def counted(*arguments: Any, **options: Any) -> bytes:
        made.append(arguments)
        return openapi_document(*arguments, **options)

    monkeypatch.setattr(f"{OpenApiDocuments.__module__}.openapi_document", counted)
    orchestrator = Orchestrator()
    hub = orchestrator.add_hub("sample", lambda _: HubConnectionBuilder().build())
    for number in range(40):
        orchestrator.add_policy(f"p{number}", Policy(roles=[f"r{number}"]))
        policies = [f"p{number}"]
        hub.add_route(f"k{number}", HubRouteInfo(invoke_method="I", call_policies=policies))
    documents = OpenApiDocuments(orchestrator, Policies(orchestrator), None)

    def ask(number: int) -> bytes:
        user = Principal("ann", frozenset({f"r{number}"}))
        return documents.of_caller(user, may_send=False)

    first = ask(0)
    assert f"{CALLS}sample/k0".encode() in first
    assert b"sample/k1" not in first
    assert ask(0) is first
    for number in range(1, 40):
        ask(number)
    assert len(made) == 40
    ask(39)
    assert len(made) == 40
    assert ask(0) == first
    assert len(made) == 41
