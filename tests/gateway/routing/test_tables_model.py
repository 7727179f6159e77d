"""The routing tables against a model that states the intended routes and audiences (GW-15).

Orchestrations, subscriptions and events have few different names, so that they often match. The
model searches all routes and all subscriptions each time; the code has tables, and counts the
subscriptions of a connection.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import event as classify
from hypothesis import given
from hypothesis import strategies as st

from protocol import Payload, Principal
from signalr_gateway import Policy
from signalr_gateway.access.policies import Policies
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.routing.subscriptions import Subscriptions
from signalr_gateway.routing.tables import Delivery, Misfit, RoutingTables, Subscription, Unrouted
from tests.gateway.sample_hub import connecting_to

APIS = ("alpha", "Beta")
KEYS = ("one", "ONE", "Two")
METHODS = ("Event", "event")
GROUPS = ("g", "G")
USERS = ("john", "jane")
CONNECTIONS = range(3)
STAFF = Principal("ann", frozenset({"staff"}))
CONNECTED: tuple[Principal | None, ...] = (STAFF, Principal("bob"), None)
"""The users of the connections."""


@dataclass(frozen=True)
class Route:
    """A name as written. The model itself compares names without regard to case."""

    api: str
    key: str
    info: HubRouteInfo

    def is_called(self, api: str, key: str) -> bool:
        return (self.api.lower(), self.key.lower()) == (api.lower(), key.lower())

    def receives(self, api: str, target: str) -> bool:
        return self.api.lower() == api.lower() and self.info.receive_method == target


@dataclass(frozen=True)
class Change:
    """A connection subscribes to a route or unsubscribes, with a user id for an individual
    route."""

    subscribe: bool
    connection: int
    route: Route
    user: str


def route_infos() -> st.SearchStrategy[HubRouteInfo]:
    def info(
        kind: BroadcastType,
        method: str | None,
        group: str,
        types: list[type] | None,
        spread: bool,
        policies: tuple[str, ...],
    ) -> HubRouteInfo:
        if method is None:
            return HubRouteInfo(invoke_method="Invoke")
        return HubRouteInfo(
            receive_method=method,
            receive_parameter_types=types,
            broadcast_type=kind,
            receive_group=group if kind is BroadcastType.GROUP else None,
            spread=spread,
            receive_policies=policies,
        )

    return st.builds(
        info,
        st.sampled_from((*BroadcastType, BroadcastType.GROUP, BroadcastType.INDIVIDUAL)),
        st.sampled_from(("Event", "Event", "event", None)),
        st.sampled_from(GROUPS),
        st.sampled_from((None, None, None, [int])),
        st.sampled_from((False, False, False, True)),
        st.sampled_from(((), (), (), ("staff",))),
    )


@st.composite
def orchestrations(draw: st.DrawFn) -> tuple[list[Route], Orchestrator]:
    """The routes that the orchestrator accepts; it refuses routes that contradict each other
    (GW-2)."""
    orchestrator = Orchestrator()
    orchestrator.add_policy("staff", Policy(roles=["staff"]))
    routes = []
    for api in APIS:
        builder = orchestrator.add_hub(api, connecting_to("http://127.0.0.1:1/hub"))
        for key in draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4)):
            info = draw(route_infos())
            try:
                builder.add_route(key, info)
            except OrchestrationError:
                continue
            routes.append(Route(api, key, info))
    return routes, orchestrator


class Routed:
    """The routing tables, and connections in the channels of their subscriptions."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self.tables = RoutingTables(orchestrator.hubs, Policies(orchestrator))
        self._held = [Subscriptions(self.tables, 1000) for _ in CONNECTIONS]
        self._channels: list[set[str]] = [set() for _ in CONNECTIONS]
        self._users: list[Principal | None] = list(CONNECTED)
        for each in CONNECTIONS:
            self._follow_user(each)

    def make(self, change: Change) -> None:
        held, channels = self._held[change.connection], self._channels[change.connection]
        api = change.route.api.lower()
        if change.route.info.broadcast_type is BroadcastType.GROUP:
            subscription = Subscription(api, group=change.route.info.receive_group)
        else:
            subscription = Subscription(api, route=change.route.key.lower(), user=change.user)
        if change.subscribe:
            joined = held.add(subscription) or []
            assert channels.isdisjoint(joined)
            channels.update(joined)
        else:
            left = held.remove(subscription) or []
            assert channels.issuperset(left)
            channels.difference_update(left)

    def rotate_users(self) -> None:
        """Give each connection the user of the next one."""
        self._users = [*self._users[1:], self._users[0]]
        for each in CONNECTIONS:
            self._follow_user(each)

    def _follow_user(self, connection: int) -> None:
        channels = self._channels[connection]
        joined, left = self._held[connection].change_user(self._users[connection], None)
        assert channels.isdisjoint(joined)
        assert channels.issuperset(left)
        channels.difference_update(left)
        channels.update(joined)

    def audience(self, delivery: Delivery) -> set[int]:
        if delivery.is_for_everyone:
            return set(CONNECTIONS)
        return {each for each in CONNECTIONS if delivery.channel in self._channels[each]}


def still_subscribed(changes: list[Change]) -> set[tuple[int, str, str, str]]:
    """The remaining subscriptions: connection, hub, group or route, and user.

    The last change of each subscription counts.
    """
    held = set()
    for change in changes:
        in_group = change.route.info.broadcast_type is BroadcastType.GROUP
        user = "" if in_group else change.user
        subscription = (change.connection, change.route.api, what(change.route), user)
        held.add(subscription) if change.subscribe else held.discard(subscription)
    return held


def entitled(
    routes: list[Route], changes: list[Change], users: Sequence[Principal | None]
) -> set[int]:
    """GW-15, GW-44: which connections receive an event that these routes of one hub receive."""
    held = {subscription[:3] for subscription in still_subscribed(changes)}
    reached = set()
    for route in routes:
        allowed = {it for it in CONNECTIONS if may_receive(users[it], route.info)}
        if needs_subscription(route):
            allowed = {it for it in allowed if (it, route.api, what(route)) in held}
        reached |= allowed
    return reached


def needs_subscription(route: Route) -> bool:
    kinds = (BroadcastType.GROUP, BroadcastType.INDIVIDUAL, BroadcastType.SUBSCRIBED)
    return route.info.broadcast_type in kinds


def may_receive(user: Principal | None, info: HubRouteInfo) -> bool:
    if info.receive_policies:
        return user is not None and "staff" in user.roles
    return user is not None or info.broadcast_type is not BroadcastType.AUTHENTICATED


def what(route: Route) -> str:
    """The group or the route of a subscription to this route."""
    if route.info.broadcast_type is BroadcastType.GROUP:
        return f"group {route.info.receive_group}"
    return f"route {route.key.lower()}"


@given(orchestrations(), st.sampled_from((*APIS, "ALPHA", "gamma")), st.sampled_from((*KEYS, "x")))
def test_which_route(drawn: tuple[list[Route], Orchestrator], api: str, key: str) -> None:
    """GW-1: that of its own hub, both keys ignoring case, or none."""
    routes, orchestrator = drawn
    found = RoutingTables(orchestrator.hubs).find_route(api, key)
    named = [route for route in routes if route.is_called(api, key)]
    assert (found is None) is (not named)
    if found is not None:
        [route] = named
        assert (found.api, found.key) == (route.api.lower(), route.key.lower())
        assert found.receive_method == route.info.receive_method


@given(orchestrations(), st.data())
def test_which_audience(drawn: tuple[list[Route], Orchestrator], data: st.DataObject) -> None:
    """GW-2, GW-6, GW-15, GW-20, GW-44: the union of what the routes ask for, once each.

    At the end, each connection gets another user.
    """
    routes, orchestrator = drawn
    limited = [it for it in routes if needs_subscription(it)]
    changes = data.draw(st.lists(changes_of(limited), max_size=12)) if limited else []
    routed = Routed(orchestrator)
    users = CONNECTED
    for count in range(len(changes) + 2):
        made = changes[:count]
        for api, target, arguments in itertools.product(APIS, METHODS, ([], [1])):
            receiving = [route for route in routes if route.receives(api, target)]
            audience = entitled(receiving, made, users)
            check(routed, api, target, arguments, receiving, audience)
        if count < len(changes):
            routed.make(changes[count])
        elif users is CONNECTED:
            routed.rotate_users()
            users = (*CONNECTED[1:], CONNECTED[0])


def changes_of(routes: list[Route]) -> st.SearchStrategy[Change]:
    return st.builds(
        Change,
        st.sampled_from((True, True, False)),
        st.sampled_from(CONNECTIONS),
        st.sampled_from(routes),
        st.sampled_from(USERS),
    )


def check(
    routed: Routed,
    api: str,
    target: str,
    arguments: list[int],
    receiving: list[Route],
    audience: set[int],
) -> None:
    """Check that an event reaches this audience, if a route receives it and its arguments fit."""
    text = msgspec.json.encode(arguments)
    payload = Payload({"json": msgspec.Raw(text)})
    outcome = routed.tables.route_event(api.lower(), target, payload)
    classify(type(outcome).__name__)
    if not receiving:
        assert outcome == Unrouted(target)
        return
    info = receiving[0].info
    types = info.receive_parameter_types
    if types is not None and len(types) != len(arguments):
        assert isinstance(outcome, Misfit)
        return
    assert isinstance(outcome, Delivery)
    assert outcome.target == target
    assert routed.audience(outcome) == audience
    sent: list[Any] = [msgspec.json.decode(bytes(each.form("json"))) for each in outcome.arguments]
    assert sent == (arguments if info.spread else [arguments, {}])
