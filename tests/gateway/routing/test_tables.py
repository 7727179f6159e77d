"""GW-14, GW-15, GW-2, GW-6: the route of a call, and the audience of an event."""

from __future__ import annotations

import pytest
from msgspec import Raw

from protocol import HubConnection, HubConnectionBuilder, JsonHubProtocol, Payload, Principal
from protocol.json.scanner import is_deeper
from signalr_gateway.access.policies import Policies
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.routing.tables import Delivery, Misfit, RoutingTables, Subscription, Unrouted
from tests.gateway.payloads import json_payload

TEXT = b'["John", 0.10,{"z":1e400 ,"a":null}]'


def written(delivery: Delivery) -> bytes:
    """The arguments as a JSON client gets them."""
    return bytes(JsonHubProtocol().encode_arguments(delivery.arguments))


def never_built(builder: HubConnectionBuilder) -> HubConnection:
    raise AssertionError("the tables need no connection")


def tables_of(**hubs: dict[str, HubRouteInfo]) -> RoutingTables:
    orchestrator = Orchestrator()
    for api, routes in hubs.items():
        builder = orchestrator.add_hub(api, never_built)
        for key, info in routes.items():
            builder.add_route(key, info)
    return RoutingTables(orchestrator.hubs)


def receives(
    method: str = "R", to: BroadcastType = BroadcastType.ALL, group: str | None = None
) -> HubRouteInfo:
    return HubRouteInfo(receive_method=method, broadcast_type=to, receive_group=group)


@pytest.mark.parametrize(
    ("api", "key", "found"),
    [
        ("alpha", "room", ("alpha", "room")),
        ("ALPHA", "Room", ("alpha", "room")),
        ("alpha", "other", None),
        ("beta", "OTHER", ("beta", "other")),
        ("beta", "room", None),
        ("gamma", "room", None),
        ("", "", None),
        ("alpha ", "room", None),
    ],
)
def test_routes_are_found_in_their_own_hub_ignoring_case(
    api: str, key: str, found: tuple[str, str] | None
) -> None:
    """GW-1."""
    tables = tables_of(alpha={"Room": receives()}, Beta={"other": receives()})
    route = tables.find_route(api, key)
    assert (route and (route.api, route.key)) == found


def test_the_envelope_holds_all_arguments_unchanged_and_an_empty_state() -> None:
    """GW-14."""
    delivery = tables_of(h={"r": receives()}).route_event("h", "R", json_payload(TEXT))
    assert isinstance(delivery, Delivery)
    assert (delivery.target, delivery.is_for_everyone) == ("R", True)
    assert written(delivery) == b"[" + TEXT + b",{}]"


def test_a_spread_route_sends_the_arguments_as_they_came() -> None:
    """GW-14."""
    tables = tables_of(h={"r": HubRouteInfo(receive_method="R", spread=True)})
    delivery = tables.route_event("h", "R", json_payload(TEXT))
    assert isinstance(delivery, Delivery)
    assert len(delivery.arguments) == 3
    assert written(delivery) == b'["John",0.10,{"z":1e400 ,"a":null}]'


@pytest.mark.parametrize("target", ["r", "R ", "Other", ""])
def test_events_are_matched_exactly(target: str) -> None:
    """GW-27: as in .NET, upper and lower case count."""
    tables = tables_of(h={"r": receives()})
    assert tables.route_event("h", target, json_payload(TEXT)) == Unrouted(target)


def test_events_stay_with_the_routes_of_their_hub() -> None:
    """GW-1."""
    tables = tables_of(alpha={"a": receives("A")}, beta={"b": receives("B")})
    assert isinstance(tables.route_event("alpha", "B", json_payload(TEXT)), Unrouted)
    assert isinstance(tables.route_event("beta", "B", json_payload(TEXT)), Delivery)


def test_a_send_only_route_receives_nothing() -> None:
    """GW-2."""
    tables = tables_of(h={"r": HubRouteInfo(invoke_method="I")})
    assert isinstance(tables.route_event("h", "I", json_payload(TEXT)), Unrouted)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (b'["John",1]', None),
        (b'["John"]', "expected 2 arguments, got 1"),
        (b'["John",1,2]', "expected 2 arguments, got 3"),
        (b'["John","1"]', "argument 2: expected Int64, got a string"),
        (b"[{},1]", "argument 1: expected String, got an object"),
    ],
)
def test_events_that_do_not_fit_are_kept_back(
    arguments: bytes, reason: str | None, spread: bool
) -> None:
    """GW-6."""
    tables = tables_of(
        h={"r": HubRouteInfo(receive_method="R", receive_parameter_types=[str, int], spread=spread)}
    )
    outcome = tables.route_event("h", "R", json_payload(arguments))
    if reason is None:
        assert isinstance(outcome, Delivery)
    else:
        assert outcome == Misfit("R", reason)


def test_without_declared_types_any_event_fits_and_with_none_only_an_empty_one() -> None:
    """GW-6."""
    untyped = tables_of(h={"r": receives()})
    assert isinstance(untyped.route_event("h", "R", json_payload(b"[]")), Delivery)
    none = tables_of(h={"r": HubRouteInfo(receive_method="R", receive_parameter_types=[])})
    assert isinstance(none.route_event("h", "R", json_payload(b"[]")), Delivery)
    assert isinstance(none.route_event("h", "R", json_payload(b"[1]")), Misfit)


def test_an_event_too_deep_for_clients_is_not_forwarded() -> None:
    """J-11: clients read 64 levels; the envelope adds one to those that the hub sent."""
    for route in (receives(), HubRouteInfo(receive_method="R", spread=True)):
        tables = tables_of(h={"r": route})
        deep = tables.route_event("h", "R", json_payload(b"[" * 62 + b"]" * 62))
        assert isinstance(deep, Delivery)
        assert not is_deeper(written(deep), 63)
        outcome = tables.route_event("h", "R", json_payload(b"[" * 63 + b"]" * 63))
        assert outcome == Misfit("R", "nests deeper than 62 levels")


@pytest.mark.parametrize("hub_protocol", ["json", "messagepack"])
def test_an_event_over_the_limit_of_its_hub_is_not_forwarded(hub_protocol: str) -> None:
    """GW-24: before it is split, checked or transcoded; the limit counts the bytes as received."""
    orchestrator = Orchestrator()
    for api, limit in (("small", 5), ("any", None)):
        orchestrator.add_hub(api, never_built, maximum_event_size=limit).add_route("r", receives())
    tables = RoutingTables(orchestrator.hubs)
    exact = b"[123]" if hub_protocol == "json" else b"\x94\x01\x02\x03\x04"
    over = b"[1234]" if hub_protocol == "json" else b"\x95\x01\x02\x03\x04\x05"
    payload = Payload({hub_protocol: Raw(exact)})
    assert isinstance(tables.route_event("small", "R", payload), Delivery)
    payload = Payload({hub_protocol: Raw(over)})
    refused = Misfit("R", "6 bytes are more than maximum_event_size, 5 bytes")
    assert tables.route_event("small", "R", payload) == refused
    assert isinstance(tables.route_event("any", "R", payload), Delivery)


def test_events_of_a_messagepack_hub() -> None:
    """GW-6, GW-14: checked as the JSON they become, passed on as they came."""
    route = HubRouteInfo(receive_method="R", receive_parameter_types=[str, bytes])
    tables = tables_of(h={"r": route})
    event = b"\x92\xa1x\xc4\x01\xff"
    delivery = tables.route_event("h", "R", Payload({"messagepack": Raw(event)}))
    assert isinstance(delivery, Delivery)
    assert written(delivery) == b'[["x","/w=="],{}]'
    assert bytes(delivery.arguments[0].form("messagepack")) == event
    for unfit, reason in (
        (b"\x91\xa1x", "expected 2 arguments, got 1"),
        (b"\x92\xa1x\x01", "argument 2: expected Byte[], got a number"),
        (b"\x92\xa1x\xd4\x05\x00", "An extension of type 5 has no JSON form."),
    ):
        outcome = tables.route_event("h", "R", Payload({"messagepack": Raw(unfit)}))
        assert outcome == Misfit("R", reason)


ALL, GROUP, INDIVIDUAL = BroadcastType.ALL, BroadcastType.GROUP, BroadcastType.INDIVIDUAL
EVERYONE = "everyone"


@pytest.mark.parametrize(
    ("routes", "audience"),
    [
        ({"a": receives()}, {EVERYONE}),
        ({"a": receives(to=GROUP, group="G")}, {"group G"}),
        ({"A": receives(to=INDIVIDUAL)}, {"route a"}),
        ({"a": receives(to=BroadcastType.SUBSCRIBED)}, {"route a"}),
        (
            {
                "a": receives(to=GROUP, group="G"),
                "b": receives(to=GROUP, group="g"),
                "c": receives(to=INDIVIDUAL),
                "d": receives(to=GROUP, group="G"),
                "x": receives("Other", to=GROUP, group="not this one"),
            },
            {"group G", "group g", "route c"},
        ),
        (
            {"a": receives(to=GROUP, group="G"), "b": receives(), "c": receives(to=INDIVIDUAL)},
            {EVERYONE},
        ),
    ],
)
def test_an_event_goes_to_the_union_of_its_routes_audiences(
    routes: dict[str, HubRouteInfo], audience: set[str]
) -> None:
    """GW-15, GW-2."""
    tables = tables_of(h=routes)
    outcome = tables.route_event("h", "R", json_payload(TEXT))
    assert isinstance(outcome, Delivery)
    subscriptions = {
        **{f"group {name}": Subscription("h", group=name) for name in ("G", "g", "not this one")},
        **{f"route {key}": Subscription("h", route=key, user="u") for key in "abcdx"},
    }
    channels = {name: tables.channels(None, None, each) for name, each in subscriptions.items()}
    reached = {name for name, joined in channels.items() if outcome.channel in joined}
    assert reached | ({EVERYONE} if outcome.is_for_everyone else set()) == audience


def test_authenticated_routes_reach_users_without_a_subscription() -> None:
    """GW-44."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", never_built).add_route("r", receives(to=BroadcastType.AUTHENTICATED))
    tables = RoutingTables(orchestrator.hubs, Policies(orchestrator))
    outcome = tables.route_event("h", "R", json_payload(TEXT))
    assert isinstance(outcome, Delivery)
    assert not outcome.is_for_everyone
    assert tables.channels_without_subscription(Principal("ann"), None) == {outcome.channel}
    assert tables.channels_without_subscription(None, None) == set()
