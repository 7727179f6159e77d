"""Pure decisions: which call goes to which downstream method, which event to which clients.

No input or output, no clock: `http.api` and `gateway_hub` ask where a call goes, `broadcast` asks
where an event goes, and both do what they are told. Connections and their health are `downstream`'s
business, how the clients are reached is `broadcast`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from protocol import Payload
from protocol.relaying import MAXIMUM_JSON_DEPTH, is_json_deeper

from ..orchestration.checks import fold
from ..orchestration.orchestrator import DownstreamHub
from ..orchestration.receive_types import ReceiveType, misfit
from ..orchestration.route import BroadcastType, HubRoute
from .problem_code import ProblemCode, RefusedCall


@dataclass(frozen=True, slots=True)
class Audience:
    """Who gets an event: the union of what its routes ask for (GW-2, GW-15).

    Scoped to one hub: a group of the same name behind another hub is another group, since whoever
    may listen to one hub need not hold the key of the other.
    """

    everyone: bool
    groups: frozenset[str] = frozenset()
    """Connections that subscribed to one of these groups; case matters."""
    routes: frozenset[str] = frozenset()
    """Connections that subscribed to one of these routes, by key."""


HANDLER_STATE = Payload({"json": msgspec.Raw(b"{}"), "messagepack": msgspec.Raw(b"\x90")})
"""GW-14: what follows the array of all downstream arguments, the original's empty handler state.

The original has no object for its MessagePack clients but an array, and neither have we."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event to send on: once to every connection of the audience."""

    target: str
    audience: Audience
    channel: str
    """Names this kind of event; whoever belongs to a limited audience has joined its channel."""
    arguments: tuple[Payload, ...]


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one connection asked for: the group of a hub, or a route as some user (GW-16)."""

    api: str
    group: str | None = None
    route: str | None = None
    user: str | None = None
    """Only a label: the same route under two labels is two subscriptions, one event."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """An event that its routes' `receive_parameter_types` keep back (GW-6).

    `reason` holds names and counts, nothing of the payload.
    """

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unrouted:
    """An event that no route of its hub names; a hub may send more than the gateway passes on."""

    target: str


class _EventRule:
    """What the routes that share a `receive_method` of one hub say together."""

    def __init__(self, api: str, method: str, routes: list[HubRoute]) -> None:
        self.channel = f"{api}\n{method}"  # no method name holds a line feed that matters here
        self.audience = _audience(routes)
        # These two agree among the routes; the orchestration has checked it (GW-2).
        self.parameters: tuple[ReceiveType, ...] | None = routes[0].receive_parameters
        self.spread = routes[0].spread


class Relay:
    """The routing tables of one orchestration, made once at start."""

    def __init__(self, hubs: Mapping[str, DownstreamHub]) -> None:
        self._hubs = hubs
        self._rules = {api: _event_rules(hub) for api, hub in hubs.items()}

    @property
    def all_channels(self) -> frozenset[str]:
        """Every channel there is, of whatever audience."""
        return frozenset(rule.channel for rules in self._rules.values() for rule in rules.values())

    def find_route(self, api: str, key: str) -> HubRoute | None:
        """The route a caller means; both keys ignore case, routes belong to their hub (GW-1)."""
        hub = self._hubs.get(fold(api))
        return None if hub is None else hub.routes.get(fold(key))

    def route_event(
        self, api: str, target: str, arguments: Payload
    ) -> Delivery | Misfit | Unrouted:
        """What becomes of an event of the hub `api` (a registered key, as stored).

        `target` is compared exactly, as .NET does (GW-27). `arguments` is the array as it was
        received; it is passed on unchanged, whole or split into its items.
        """
        rule = self._rules[api].get(target)
        if rule is None:
            return Unrouted(target)
        if rule.parameters is not None:
            reason = misfit(rule.parameters, arguments)
            if reason is not None:
                return Misfit(target, reason)
        if arguments.origin == "json" and _is_too_deep(arguments):
            return Misfit(target, f"nests deeper than {MAXIMUM_JSON_DEPTH} levels")
        outgoing = tuple(arguments.elements()) if rule.spread else (arguments, HANDLER_STATE)
        return Delivery(target, rule.audience, rule.channel, outgoing)

    def channels(self, subscription: Subscription) -> frozenset[str]:
        """The channels that a subscription makes its connection a member of."""
        return frozenset(
            rule.channel
            for rule in self._rules[subscription.api].values()
            if subscription.group in rule.audience.groups
            or subscription.route in rule.audience.routes
        )


def require_invoke_method(route: HubRoute) -> str:
    """The method that calls through `route` invoke. Raises `RefusedCall` if it only receives."""
    if route.invoke_method is None:
        text = f"The route '{route.api}/{route.key}' has no invoke method; it only receives."
        raise RefusedCall(ProblemCode.ROUTE_ONLY_RECEIVES, text)
    return route.invoke_method


def _is_too_deep(arguments: Payload) -> bool:
    """One level more is around what is passed on, and clients of .NET read no more than 64."""
    return is_json_deeper(bytes(arguments.form("json")), MAXIMUM_JSON_DEPTH)


def _event_rules(hub: DownstreamHub) -> dict[str, _EventRule]:
    by_method: dict[str, list[HubRoute]] = {}
    for route in hub.routes.values():
        if route.receive_method is not None:
            by_method.setdefault(route.receive_method, []).append(route)
    return {method: _EventRule(hub.api, method, sharing) for method, sharing in by_method.items()}


def _audience(routes: Iterable[HubRoute]) -> Audience:
    groups: set[str] = set()
    keys: set[str] = set()
    for route in routes:
        match route.broadcast_type:
            case BroadcastType.ALL:
                return Audience(everyone=True)  # whoever is in a group is among all of them
            case BroadcastType.GROUP:
                assert route.receive_group is not None
                groups.add(route.receive_group)
            case BroadcastType.INDIVIDUAL:
                keys.add(route.key)
    return Audience(everyone=False, groups=frozenset(groups), routes=frozenset(keys))
