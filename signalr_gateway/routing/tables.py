"""Decides which downstream method a call invokes, and which clients receive an event.

It has no I/O and no clock. `http.api` and `clients.gateway_hub` find the route of a call here, and
`downstream.hub` makes the call. `clients.broadcast` finds the audience of an event here, and
sends the event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from protocol import Payload, Principal
from protocol.relaying import MAXIMUM_JSON_DEPTH, MessageQueue, QueuePolicy, is_json_deeper

from ..access.account import account_of
from ..access.policies import NO_POLICIES, Action, Policies
from ..orchestration.checks import fold
from ..orchestration.orchestrator import DownstreamHub
from ..orchestration.receive_types import ReceiveType, misfit
from ..orchestration.route import BroadcastType, HubRoute
from .problem_code import ProblemCode, RefusedCall

HANDLER_STATE = Payload({"json": msgspec.Raw(b"{}"), "messagepack": msgspec.Raw(b"\x90")})
"""The second argument of a forwarded event, after the array of the downstream arguments (GW-14).

The original sends the state of an event handler here. The state is always empty: an object in JSON,
an array in MessagePack."""

_ANY_ACCOUNT = account_of(Principal(), None)
"""All accounts have the same length."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event to forward, once to each connection that receives it."""

    target: str
    is_for_everyone: bool
    channel: str
    """The name of a group of the gateway hub, which all connections that receive this event have
    joined. The group is not used if the event is for everyone. If the event has come over the
    connection of a user, the name of the group is `user_channel(channel, account)` instead."""
    arguments: tuple[Payload, ...]
    queue: MessageQueue | None = None
    """The policy for events that wait for slow clients (GW-51). None: such a client is closed."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one connection subscribed to: a group of a hub, or a route as a user (GW-16).

    For events, a group belongs to one hub. A group with the same name at another hub is another
    group, because the other hub may have another receive key. For sends, groups with one name are
    one group at all hubs (GW-60).
    """

    api: str
    group: str | None = None
    route: str | None = None
    user: str | None = None
    """A label that the client chooses. A client that subscribes to a route under two labels has two
    subscriptions, but receives each event once."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """An event that is not forwarded, because its arguments do not fit (GW-6, GW-24).

    The arguments are not of the declared types, too large, or nested too deeply. `reason` contains
    names of types and counts, but nothing of the payload.
    """

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unrouted:
    """An event that is not forwarded, because it is the `receive_method` of no route of its hub."""

    target: str


class _EventRule:
    """How the events of one hub with one target are forwarded.

    The rule combines all routes that receive these events. The events go to the union of the
    audiences of the routes (GW-2). Of each audience, only clients that may receive the events of
    the route receive them (GW-44).
    """

    def __init__(
        self, hub: DownstreamHub, method: str, routes: list[HubRoute], policies: Policies
    ) -> None:
        self.channel = f"{hub.api}\n{method}"
        self.is_per_user = hub.is_per_user
        self.routes = routes
        self._policies = policies
        self.is_for_everyone = any(
            route.broadcast_type is BroadcastType.ALL and policies.is_open(Action.RECEIVE, route)
            for route in routes
        )
        # The orchestration has checked that these three are the same in all routes (GW-2).
        self.parameters: tuple[ReceiveType, ...] | None = routes[0].receive_parameters
        self.spread = routes[0].spread
        policy = routes[0].queue_policy
        is_closing = policy is QueuePolicy.CLOSE
        self.queue = None if is_closing else MessageQueue(self.channel, policy)

    def channel_for(
        self, user: Principal | None, user_id: str | None, subscription: Subscription | None
    ) -> str | None:
        """The channel that a connection joins because of a subscription; None if it joins none.

        If `subscription` is None, the channel that each connection joins without a subscription.
        """
        if self.is_for_everyone and not self.is_per_user:
            return None
        if not any(
            _leads_to(subscription, route) and self._policies.allows(user, Action.RECEIVE, route)
            for route in self.routes
        ):
            return None
        if not self.is_per_user:
            return self.channel
        if user is None or user_id is None:
            return None
        return user_channel(self.channel, account_of(user, user_id))


class RoutingTables:
    """The routing tables of one orchestration. They do not change once the gateway has started."""

    def __init__(
        self,
        hubs: Mapping[str, DownstreamHub],
        policies: Policies = NO_POLICIES,
        *,
        sends: bool = False,
    ) -> None:
        """`policies` say who may use the routes of `hubs`.

        `sends`: connections also join the channels of messages that no hub sends (GW-60).
        """
        self.policies = policies
        self._hubs = hubs
        self._sends = sends
        self._rules = {api: _event_rules(hub, policies) for api, hub in hubs.items()}

    @property
    def all_channels(self) -> frozenset[str]:
        """The channels of all events, whatever their audience, for one user."""
        return frozenset(
            user_channel(rule.channel, _ANY_ACCOUNT) if rule.is_per_user else rule.channel
            for rules in self._rules.values()
            for rule in rules.values()
        )

    @property
    def hubs(self) -> Mapping[str, DownstreamHub]:
        """All hubs by api, also those to which the gateway has no connection."""
        return self._hubs

    def routes_of(self, api: str, target: str) -> Sequence[HubRoute]:
        """The routes that receive the events `target` of the hub `api`; there may be none."""
        rule = self._rules[api].get(target)
        return () if rule is None else rule.routes

    def find_route(self, api: str, key: str) -> HubRoute | None:
        """The route `key` of the hub `api`, or None. Both keys ignore letter case (GW-1)."""
        hub = self._hubs.get(fold(api))
        return None if hub is None else hub.routes.get(fold(key))

    def route_event(
        self, api: str, target: str, arguments: Payload
    ) -> Delivery | Misfit | Unrouted:
        """Decide whether an event of the hub `api` is forwarded, and to which clients.

        `api` is a key of `hubs`. `target` is compared exactly, as in .NET (GW-27). `arguments` is
        the array as received. The delivery contains the array unchanged, followed by
        `HANDLER_STATE`. For a `spread` route the delivery contains the items of the array instead.
        """
        rule = self._rules[api].get(target)
        if rule is None:
            return Unrouted(target)
        size, limit = _size(arguments), self._hubs[api].maximum_event_size
        if limit is not None and size > limit:  # first, because other checks take time per byte
            return Misfit(target, f"{size} bytes are more than maximum_event_size, {limit} bytes")
        if rule.parameters is not None:
            reason = misfit(rule.parameters, arguments)
            if reason is not None:
                return Misfit(target, reason)
        if arguments.origin == "json" and _is_too_deep(arguments):
            return Misfit(target, f"nests deeper than {MAXIMUM_JSON_DEPTH} levels")
        outgoing = tuple(arguments.elements()) if rule.spread else (arguments, HANDLER_STATE)
        return Delivery(target, rule.is_for_everyone, rule.channel, outgoing, rule.queue)

    def reads_json(self, api: str, target: str, arguments: Payload) -> bool:
        """Whether `route_event` reads the JSON form of `arguments`."""
        rule = self._rules[api].get(target)
        if rule is None or rule.parameters is None:
            return False
        limit = self._hubs[api].maximum_event_size
        return limit is None or _size(arguments) <= limit

    @property
    def channels_depend_on_users(self) -> bool:
        """Whether two connections with the same subscriptions may have different channels."""
        return not self.policies.are_empty or any(hub.is_per_user for hub in self._hubs.values())

    def channels(
        self, user: Principal | None, user_id: str | None, subscription: Subscription
    ) -> frozenset[str]:
        """The channels that a connection of `user` joins because of this subscription.

        There are none while the user may not receive the events of the group or route.
        """
        rules = self._rules[subscription.api].values()
        channels = {rule.channel_for(user, user_id, subscription) for rule in rules}
        if self._sends and self._may_subscribe(user, subscription):
            channels.add(send_channel(subscription))
        return frozenset(channel for channel in channels if channel is not None)

    def channels_without_subscription(
        self, user: Principal | None, user_id: str | None
    ) -> frozenset[str]:
        """The channels that each connection of `user` joins."""
        channels = (
            rule.channel_for(user, user_id, None)
            for rules in self._rules.values()
            for rule in rules.values()
        )
        return frozenset(channel for channel in channels if channel is not None)

    def _may_subscribe(self, user: Principal | None, subscription: Subscription) -> bool:
        return any(
            _leads_to(subscription, route) and self.policies.allows(user, Action.RECEIVE, route)
            for route in self._hubs[subscription.api].routes.values()
        )


def _leads_to(subscription: Subscription | None, route: HubRoute) -> bool:
    """Whether a connection with this subscription is in the audience of the route.

    `subscription` belongs to the hub of the route; None if the connection has no subscription.
    """
    if not route.broadcast_type.needs_subscription:
        return subscription is None
    if subscription is None:
        return False
    if route.broadcast_type is BroadcastType.GROUP:
        return subscription.group == route.receive_group
    return subscription.route == route.key


def user_channel(channel: str, account: str) -> str:
    """The channel for the events of `channel` that arrive over a user's connection (GW-55).

    `account` is what `account_of` returns for the user.
    """
    return f"{channel}\n{account}"


def send_channel(subscription: Subscription) -> str:
    """The channel of messages that no hub sends, to the clients with this subscription (GW-60).

    Groups with one name are one group at all hubs. The name of the channel is JSON, which contains
    no line end. The name of each channel of an event contains one.
    """
    if subscription.group is not None:
        return msgspec.json.encode([subscription.group]).decode()
    label = [subscription.api, subscription.route, subscription.user]
    return msgspec.json.encode(label).decode()


def require_invoke_method(route: HubRoute) -> str:
    """The hub method that a call of `route` invokes. Raises `RefusedCall` if it has none."""
    if route.invoke_method is None:
        text = f"The route '{route.api}/{route.key}' has no invoke method; it only receives."
        raise RefusedCall(ProblemCode.ROUTE_ONLY_RECEIVES, text)
    return route.invoke_method


def _size(arguments: Payload) -> int:
    """The bytes of the array as received."""
    return memoryview(arguments.form(arguments.origin)).nbytes


def _is_too_deep(arguments: Payload) -> bool:
    """Whether the event is nested too deeply for .NET clients.

    .NET clients read 64 levels. The message and the array around `arguments` are two of these.
    """
    return is_json_deeper(bytes(arguments.form("json")), MAXIMUM_JSON_DEPTH)


def _event_rules(hub: DownstreamHub, policies: Policies) -> dict[str, _EventRule]:
    by_method: dict[str, list[HubRoute]] = {}
    for route in hub.routes.values():
        if route.receive_method is not None:
            by_method.setdefault(route.receive_method, []).append(route)
    return {
        method: _EventRule(hub, method, sharing, policies) for method, sharing in by_method.items()
    }
