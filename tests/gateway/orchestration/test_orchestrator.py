"""GW-1 … GW-5: what an orchestration may contain, and how its mistakes are reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, get_type_hints

import pytest

from protocol import HubConnection, HubConnectionBuilder
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.hub_options import DownstreamHubOptions, HubOptionArguments
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo


def build_hub_connection(builder: HubConnectionBuilder) -> HubConnection:
    return builder.with_url("http://127.0.0.1:9/chathub").build()


ROOM = HubRouteInfo(
    invoke_method="SendMessage",
    receive_method="ReceiveMessage",
    receive_parameter_types=[str, str],
)


def test_the_documented_orchestration() -> None:
    """GW-3: line by line what the C# documentation writes."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("chatservice", build_hub_connection, receive_key="2f85").add_route(
        "room", ROOM
    )
    orchestrator.start_gateway_hub = True
    orchestrator.gateway_hub_url = "https://localhost:44360/GatewayHub"

    (hub,) = orchestrator.hubs.values()
    assert (hub.api, hub.receive_key) == ("chatservice", "2f85")
    assert (hub.maximum_message_size, hub.invoke_timeout) == (32768, 30.0)
    (route,) = hub.routes.values()
    assert (route.api, route.key) == ("chatservice", "room")
    assert (route.invoke_method, route.receive_method) == ("SendMessage", "ReceiveMessage")
    assert route.receive_parameters is not None
    assert [each.name for each in route.receive_parameters] == ["String", "String"]
    assert (route.broadcast_type, route.receive_group, route.spread) == (
        BroadcastType.ALL,
        None,
        False,
    )
    assert orchestrator.gateway_hub_path == "/GatewayHub"
    assert orchestrator.gateway_hub_url == "https://localhost:44360/GatewayHub"


def test_hubs_and_routes_chain() -> None:
    """GW-3: a hub can follow the last route of another."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("Alpha", build_hub_connection).add_route("A", ROOM).add_route(
        "b", HubRouteInfo(invoke_method="B")
    ).add_hub("beta", build_hub_connection).add_route("A", ROOM)
    keys = {api: list(hub.routes) for api, hub in orchestrator.hubs.items()}
    assert keys == {"alpha": ["a", "b"], "beta": ["a"]}  # GW-1: route keys are unique per hub only


def test_defaults() -> None:
    """GW-4, GW-5."""
    orchestrator = Orchestrator()
    assert orchestrator.start_gateway_hub is True
    assert orchestrator.gateway_hub_path == "/gatewayhub"
    assert not orchestrator.hubs


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/gatewayhub", "/gatewayhub"),
        ("https://localhost:44360/GatewayHub", "/GatewayHub"),
        ("http://h/a/b/?x=1#y", "/a/b"),
    ],
)
def test_of_the_gateway_hub_url_the_path_counts(url: str, path: str) -> None:
    """GW-5."""
    orchestrator = Orchestrator()
    orchestrator.gateway_hub_url = url
    assert orchestrator.gateway_hub_path == path


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:44360",
        "https://localhost/",
        "gatewayhub",
        "",
        "ftp://h/x",
        "http://[::1/x",
        "/api/Gateway/hub",
        "/HEALTHZ",
        "/console/x",
        "/Swagger",
        "/livez",
        "/readyz/x",
        "/Metrics",
        "/{x}",
        "/a%20b",
        "/a b",
        "/./healthz",
        "/a/../healthz",
        "/..",
        "/a\\b",
        " /gatewayhub",
        "/gatewayhub\n",
        "http://host:99999/gatewayhub",
        "http://host:x/gatewayhub",
        None,
    ],
)
def test_a_gateway_hub_url_without_a_usable_path_is_refused(url: Any) -> None:
    orchestrator = Orchestrator()
    with pytest.raises(OrchestrationError, match=r"^gateway_hub_url: "):
        orchestrator.gateway_hub_url = url
    assert orchestrator.gateway_hub_path == "/gatewayhub"


@pytest.mark.parametrize("value", ["no", 0, None])
def test_start_gateway_hub_is_a_switch(value: Any) -> None:
    """GW-4: "no" would be as good as True."""
    orchestrator = Orchestrator()
    with pytest.raises(OrchestrationError, match=r"^start_gateway_hub: must be True or False, not"):
        orchestrator.start_gateway_hub = value
    assert orchestrator.start_gateway_hub is True


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [("chatservice", "ChatService", "api"), ("a", "a", "api")],
)
def test_hub_keys_are_unique_ignoring_case(first: str, second: str, field: str) -> None:
    """GW-1."""
    orchestrator = Orchestrator()
    orchestrator.add_hub(first, build_hub_connection)
    with pytest.raises(OrchestrationError) as caught:
        orchestrator.add_hub(second, build_hub_connection)
    assert (caught.value.hub, caught.value.field) == (first.lower(), field)


def test_route_keys_are_unique_in_their_hub_ignoring_case() -> None:
    """GW-1."""
    builder = Orchestrator().add_hub("chatservice", build_hub_connection).add_route("room", ROOM)
    with pytest.raises(OrchestrationError, match=r"^hub 'chatservice', route 'room', key: "):
        builder.add_route("ROOM", ROOM)


@pytest.mark.parametrize("key", ["", None, 5])
def test_keys_are_non_empty_text(key: Any) -> None:
    orchestrator = Orchestrator()
    with pytest.raises(OrchestrationError, match=r"^api: "):
        orchestrator.add_hub(key, build_hub_connection)
    with pytest.raises(OrchestrationError, match=r"^hub 'h', key: "):
        orchestrator.add_hub("h", build_hub_connection).add_route(key, ROOM)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("build_hub_connection", {"build_hub_connection": "http://127.0.0.1/"}),
        ("receive_key", {"receive_key": ""}),
        ("receive_key", {"receive_key": 5}),
        ("maximum_message_size", {"maximum_message_size": 0}),
        ("maximum_message_size", {"maximum_message_size": 1.5}),
        ("maximum_message_size", {"maximum_message_size": True}),
        ("maximum_event_size", {"maximum_event_size": 0}),
        ("maximum_event_size", {"maximum_event_size": "1"}),
        ("invoke_timeout", {"invoke_timeout": 0}),
        ("invoke_timeout", {"invoke_timeout": float("inf")}),
        ("invoke_timeout", {"invoke_timeout": 10**309}),
        ("invoke_timeout", {"invoke_timeout": float("nan")}),
        ("invoke_timeout", {"invoke_timeout": None}),
    ],
)
def test_hub_fields_are_checked(field: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(OrchestrationError) as caught:
        Orchestrator().add_hub(
            "ChatService", **{"build_hub_connection": build_hub_connection, **arguments}
        )
    assert (caught.value.hub, caught.value.route, caught.value.field) == (
        "chatservice",
        None,
        field,
    )


def test_type_checkers_know_all_options_of_hubs() -> None:
    hints = get_type_hints(DownstreamHubOptions)  # without the sentences
    hints["redirects"] = Sequence[str]
    assert get_type_hints(HubOptionArguments) == hints


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("maximum_calls", 0, "a whole number above 0, or None"),
        ("spare_connections", -1, "a whole number from 0 on"),
        ("spare_connections", False, "a whole number from 0 on"),
        ("busy_timeout", "5", "a number of seconds above 0"),
        ("redirects", "https://hub.example", "a list of texts"),
    ],
)
def test_the_error_says_what_a_hub_option_may_be(field: str, value: Any, expected: str) -> None:
    with pytest.raises(OrchestrationError) as caught:
        Orchestrator().add_hub("h", build_hub_connection, **{field: value})
    assert str(caught.value) == f"hub 'h', {field}: must be {expected}"


class RouteFields(TypedDict, total=False):
    invoke_method: Any
    receive_method: Any
    receive_parameter_types: Any
    broadcast_type: Any
    receive_group: Any
    spread: Any
    invoke_timeout: Any
    streams: Any
    stream_idle_timeout: Any
    maximum_body_size: Any
    summary: Any
    examples: Any


@pytest.mark.parametrize(
    ("field", "info"),
    [
        ("invoke_method", {}),
        ("invoke_method", {"invoke_method": ""}),
        ("receive_method", {"receive_method": 5}),
        ("receive_group", {"receive_method": "R", "broadcast_type": BroadcastType.GROUP}),
        ("receive_group", {"receive_method": "R", "receive_group": "g"}),
        (
            "receive_group",
            {
                "receive_method": "R",
                "receive_group": "g",
                "broadcast_type": BroadcastType.INDIVIDUAL,
            },
        ),
        (
            "receive_group",
            {"receive_method": "R", "receive_group": "", "broadcast_type": BroadcastType.GROUP},
        ),
        ("receive_parameter_types", {"invoke_method": "I", "receive_parameter_types": [str]}),
        ("receive_parameter_types", {"receive_method": "R", "receive_parameter_types": [complex]}),
        ("receive_parameter_types", {"receive_method": "R", "receive_parameter_types": "string"}),
        ("receive_parameter_types", {"receive_method": "R", "receive_parameter_types": str}),
        (
            "broadcast_type",
            {"invoke_method": "I", "broadcast_type": BroadcastType.INDIVIDUAL},
        ),
        ("broadcast_type", {"receive_method": "R", "broadcast_type": "all"}),
        ("spread", {"invoke_method": "I", "spread": True}),
        ("spread", {"receive_method": "R", "spread": 1}),
        ("invoke_timeout", {"invoke_method": "I", "invoke_timeout": 0}),
        ("invoke_timeout", {"invoke_method": "I", "invoke_timeout": True}),
        ("invoke_timeout", {"receive_method": "R", "invoke_timeout": 5}),
        ("streams", {"invoke_method": "I", "streams": 1}),
        ("streams", {"receive_method": "R", "streams": True}),
        ("stream_idle_timeout", {"invoke_method": "I", "stream_idle_timeout": 5}),
        (
            "stream_idle_timeout",
            {"invoke_method": "I", "streams": True, "stream_idle_timeout": 0},
        ),
        ("maximum_body_size", {"invoke_method": "I", "maximum_body_size": 1.5}),
        ("maximum_body_size", {"invoke_method": "I", "maximum_body_size": -1}),
        ("maximum_body_size", {"receive_method": "R", "maximum_body_size": 5}),
        ("summary", {"invoke_method": "I", "summary": ""}),
        ("summary", {"receive_method": "R", "summary": "says something"}),
        ("examples", {"invoke_method": "I", "examples": "[]"}),
        ("examples", {"invoke_method": "I", "examples": ["text"]}),
        ("examples", {"invoke_method": "I", "examples": [{"name": "John"}]}),
        ("examples", {"invoke_method": "I", "examples": [[0] * 11]}),
        ("examples", {"invoke_method": "I", "examples": [[object()]]}),
        ("examples", {"invoke_method": "I", "examples": [["\ud800"]]}),
        ("examples", {"receive_method": "R", "examples": [[]]}),
    ],
)
def test_a_wrong_combination_names_hub_route_and_field(field: str, info: RouteFields) -> None:
    """GW-2."""
    builder = Orchestrator().add_hub("ChatService", build_hub_connection)
    with pytest.raises(OrchestrationError) as caught:
        builder.add_route("Room", HubRouteInfo(**info))
    assert (caught.value.hub, caught.value.route, caught.value.field) == (
        "chatservice",
        "room",
        field,
    )
    assert str(caught.value) == f"hub 'chatservice', route 'room', {field}: {caught.value.problem}"


def test_a_route_needs_a_hub_route_info() -> None:
    not_info: Any = {"invoke_method": "SendMessage"}
    with pytest.raises(OrchestrationError, match=r"info: must be a HubRouteInfo, not dict$"):
        Orchestrator().add_hub("h", build_hub_connection).add_route("r", not_info)


def test_send_only_and_receive_only_routes_are_allowed() -> None:
    """GW-2."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", build_hub_connection).add_route(
        "send", HubRouteInfo(invoke_method="I")
    ).add_route("receive", HubRouteInfo(receive_method="R"))
    assert list(orchestrator.hubs["h"].routes) == ["send", "receive"]


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("receive_parameter_types", {"receive_parameter_types": [str]}),
        ("receive_parameter_types", {"receive_parameter_types": None}),
        ("spread", {"receive_parameter_types": [str, str], "spread": True}),
    ],
)
def test_routes_that_share_a_receive_method_must_agree(field: str, other: RouteFields) -> None:
    """GW-2."""
    builder = Orchestrator().add_hub("h", build_hub_connection).add_route("room", ROOM)
    fields: RouteFields = {**other, "receive_method": "ReceiveMessage"}
    with pytest.raises(OrchestrationError, match="same as in route 'room'") as caught:
        builder.add_route("other", HubRouteInfo(**fields))
    assert (caught.value.route, caught.value.field) == ("other", field)


def test_a_route_may_have_limits_of_its_own() -> None:
    """GW-9: else the timeout is its hub's, the body size the gateway's."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", build_hub_connection, invoke_timeout=7).add_route(
        "own", HubRouteInfo(invoke_method="I", invoke_timeout=0.5, maximum_body_size=100)
    ).add_route("hubs", HubRouteInfo(invoke_method="I"))
    limits = {
        key: (route.invoke_timeout, route.maximum_body_size)
        for key, route in orchestrator.hubs["h"].routes.items()
    }
    assert limits == {"own": (0.5, 100), "hubs": (7, None)}


def test_examples_are_kept_as_they_were_given() -> None:
    """GW-12: whatever msgspec writes may stand in them, and later changes do not reach them."""
    argument = {"name": "John"}
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", build_hub_connection).add_route(
        "r", HubRouteInfo(invoke_method="I", summary="Says it", examples=[[argument, 1.5], ()])
    )
    argument["name"] = "Ada"
    route = orchestrator.hubs["h"].routes["r"]
    assert route.summary == "Says it"
    assert [bytes(body) for body in route.examples] == [b'[{"name":"John"},1.5]', b"[]"]


def test_routes_of_other_hubs_or_methods_need_not_agree() -> None:
    """GW-2, GW-27: methods are compared exactly, and per hub."""
    Orchestrator().add_hub("h", build_hub_connection).add_route("room", ROOM).add_route(
        "case", HubRouteInfo(receive_method="receiveMessage")
    ).add_hub("other", build_hub_connection).add_route(
        "room", HubRouteInfo(receive_method="ReceiveMessage")
    )


def test_a_receive_key_does_not_show_in_a_repr() -> None:
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", build_hub_connection, receive_key="hush-hush")
    assert "hush-hush" not in repr(orchestrator.hubs["h"])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("start_gatewayhub", "did you mean 'start_gateway_hub'?"),
        ("allowed_origin", "did you mean 'allowed_origins'?"),
        (
            "colour",
            (
                "known are start_gateway_hub, gateway_hub_url, allowed_origins, call_policies,"
                " receive_policies, relay, build_relay_connection"
            ),
        ),
    ],
)
def test_what_there_is_not_cannot_be_set(name: str, meant: str) -> None:
    """GW-3: as in a file."""
    with pytest.raises(OrchestrationError) as caught:
        setattr(Orchestrator(), name, False)
    assert str(caught.value) == f"{name}: unknown; {meant}"


def test_a_gateway_hub_url_without_a_scheme() -> None:
    """GW-5: it would be read as a host, and lose its first part."""
    orchestrator = Orchestrator()
    with pytest.raises(OrchestrationError, match="must be an http or https URL or a path"):
        orchestrator.gateway_hub_url = "//host/hub"
