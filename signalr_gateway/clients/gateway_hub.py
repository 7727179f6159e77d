"""The hub that the gateway's clients connect to (GW-16).

Clients receive events here, subscribe to events that do not go to all clients, and call downstream
hubs. `routing.tables` decides which clients receive an event, `routing.subscriptions` holds the
subscriptions of a connection. Names of methods and members are those of the original. Every refusal
is a HubException whose text says what to correct (GW-19).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager

from protocol import Hub, HubException, Payload, hub_method

from ..access.identity import Identity
from ..access.policies import Action
from ..downstream.failures import call_failure
from ..downstream.forms import require_form
from ..downstream.hub import Downstream
from ..orchestration.checks import fold
from ..orchestration.route import BroadcastType, HubRoute
from ..routing.arguments import split_arguments
from ..routing.problem_code import LIMITS
from ..routing.subscriptions import Subscriptions
from ..routing.tables import Subscription, require_invoke_method
from .client_limits import ClientLimits, LimitExceeded
from .route_calls import (
    DownstreamCall,
    GroupCall,
    RouteCall,
    UserCall,
    require_size,
    required,
    text_of,
    written_arguments,
)
from .services import GatewayServices, WrongReceiveKey

log = logging.getLogger(__name__)

MAXIMUM_USER_ID_LENGTH = 256
"""Characters. The length is limited, because each subscription keeps its `UserId` in memory."""


_Named = tuple[HubRoute, Subscription]
"""The route that a call names, and the subscription that the call adds or removes."""


class GatewayHub(Hub):
    """The methods of the gateway hub. An instance serves one call: ``GatewayHub(services)``."""

    def __init__(self, services: GatewayServices) -> None:
        self._services = services

    async def on_connected(self) -> None:
        """Count the client, open the connections of its user to the hubs, and join channels.

        These are the channels of events that need no subscription, but are not for every client.
        Raises HubException if a limit of connections is exceeded (GW-49).
        """
        request, context = self.context.http_request, self.context
        try:
            context.items[ClientLimits] = self._services.client_limits.enter_connection(
                request.remote, request.headers, context.user, context.user_identifier
            )
        except LimitExceeded as exc:
            raise HubException(f"{exc}.") from exc
        self._services.clients_by_protocol[self.context.hub_protocol.name] += 1
        self._services.user_hubs.enter(self.context)
        await self._follow_user()

    async def on_disconnected(self, error: Exception | None) -> None:
        """Stop counting the client, and release the connections of its user."""
        self._services.forget_client(self.context)

    async def on_authentication_refreshed(self) -> None:
        """Let the client receive what its new user may receive."""
        self._services.user_hubs.follow_user(self.context)
        await self._follow_user()

    async def _follow_user(self) -> None:
        """Join the channels of the present user, and leave all other channels (GW-44)."""
        if not self._services.tables.channels_depend_on_users:
            return
        joined, left = self._subscriptions.change_user(
            self.context.user, self.context.user_identifier
        )
        for channel in left:
            await self.groups.remove(self.context.connection_id, channel)
        for channel in joined:
            await self.groups.add(self.context.connection_id, channel)

    @hub_method
    async def subscribe_to_group(self, call: GroupCall | None) -> None:
        """Join the group of a group route."""
        self._services.require_memory()
        await self._subscribe(await self._group_subscription(call or GroupCall()))

    @hub_method
    async def unsubscribe_from_group(self, call: GroupCall | None) -> None:
        """Leave the group of a group route."""
        await self._unsubscribe(await self._group_subscription(call or GroupCall()))

    @hub_method
    async def subscribe_to_route(self, call: UserCall | None) -> None:
        """Subscribe this connection to an individual or subscribed route, with its `UserId`."""
        self._services.require_memory()
        await self._subscribe(await self._route_subscription(call or UserCall()))

    @hub_method
    async def unsubscribe_from_route(self, call: UserCall | None) -> None:
        """End this connection's subscription to such a route, with the same `UserId`."""
        await self._unsubscribe(await self._route_subscription(call or UserCall()))

    @hub_method
    async def invoke_downstream_hub(self, call: DownstreamCall | None) -> Payload | None:
        """Invoke the route's method and return what the downstream hub returned (GW-17)."""
        self._require_room_for_call()
        call = call or DownstreamCall()
        route = await self._callable_route(call)
        if route.streams:
            raise HubException(
                f"The route '{route.api}/{route.key}' streams; call StreamDownstreamHub instead."
            )
        with _failures_for_client(self._services, route.api):
            arguments = self._arguments(route, call)
            downstream = self._services.downstreams[route.api]
            identity = self._identity(downstream)
            result = await downstream.invoke(route, arguments, identity=identity)
            if result is not None:
                await self._require_form(result)
        return result

    @hub_method
    async def stream_downstream_hub(self, call: DownstreamCall | None) -> AsyncIterator[Payload]:
        """Stream the items of a route with `streams` as the downstream hub sends them (GW-32)."""
        self._require_room_for_call()
        call = call or DownstreamCall()
        route = await self._callable_route(call)
        if not route.streams:
            raise HubException(
                f"The route '{route.api}/{route.key}' does not stream; call InvokeDownstreamHub"
                " instead."
            )
        with _failures_for_client(self._services, route.api):
            arguments = self._arguments(route, call)
            downstream = self._services.downstreams[route.api]
            identity = self._identity(downstream)
            items = await downstream.stream(route, arguments, identity=identity)
            async with aclosing(items):
                async for item in items:
                    await self._require_form(item)
                    yield item

    def _identity(self, downstream: Downstream) -> Identity | None:
        return self._services.user_hubs.identity(self.context, downstream)

    def _require_room_for_call(self) -> None:
        """Raise HubException if memory is short, or the client calls too often (GW-19, GW-52)."""
        self._services.require_memory()
        request, context = self.context.http_request, self.context
        limits = self._services.client_limits
        try:
            limits.count_call(request.remote, request.headers)
            limits.count_call_of_user(context.user, context.user_identifier)
        except LimitExceeded as exc:
            raise HubException(f"{exc}; try again in {exc.wait} s.") from exc

    def _arguments(self, route: HubRoute, call: DownstreamCall) -> Sequence[Payload]:
        require_invoke_method(route)
        require_size(call, self._services.maximum_call_size)
        protocol_name = self.context.hub_protocol.name
        written = written_arguments(call, protocol_name, route.maximum_body_size)
        maximum_depth = self._services.limits.maximum_depth
        return split_arguments(written, maximum_depth, protocol_name)

    async def _require_form(self, value: Payload) -> None:
        """Raise `UnwritableResult` if the client's hub protocol cannot express `value`.

        The library would refuse `value` only later, and its error would not name the reason.
        """
        await require_form(value, self.context.hub_protocol.name)

    async def _authorized_route(self, call: RouteCall, action: Action | None) -> HubRoute:
        """See `GatewayServices.authorized_route`. The answer to a wrong key may be delayed."""
        try:
            return self._services.authorized_route(call, self.context.user, action)
        except WrongReceiveKey:
            items, request = self.context.items, self.context.http_request
            failures = items[WrongReceiveKey] = items.get(WrongReceiveKey, 0) + 1
            now = asyncio.get_running_loop().time()
            address = self._services.client_limits.address(request.remote, request.headers)
            delay = self._services.key_failures.delay(failures, address, now)
            if delay:
                await asyncio.sleep(delay)
            raise

    async def _callable_route(self, call: RouteCall) -> HubRoute:
        """The route that a call of a downstream hub names. Raises `HubException`."""
        route = await self._authorized_route(call, Action.CALL)
        await self._services.require_hook(route, self.context)
        return route

    async def _group_subscription(self, call: GroupCall) -> _Named | None:
        """The subscription to the group of a call; None if the route is not a group route."""
        route = await self._authorized_route(call, Action.RECEIVE)
        if route.broadcast_type is not BroadcastType.GROUP:
            self._services.log_no_effect("a group call on a route without a group", route)
            return None
        if required(call.receive_group, "ReceiveGroup") != route.receive_group:
            raise HubException(f"ReceiveGroup is not the group of '{route.api}/{route.key}'.")
        return route, Subscription(route.api, group=route.receive_group)

    async def _route_subscription(self, call: UserCall) -> _Named | None:
        """The subscription to the route of a call; None if the route has no such subscriptions."""
        route = await self._authorized_route(call, Action.RECEIVE)
        if route.broadcast_type not in (BroadcastType.INDIVIDUAL, BroadcastType.SUBSCRIBED):
            action = "a route subscription on a route that is neither individual nor subscribed"
            self._services.log_no_effect(action, route)
            return None
        is_optional = route.broadcast_type is BroadcastType.SUBSCRIBED
        label = text_of(call.user_id) if is_optional else required(call.user_id, "UserId")
        user = fold(label or "")
        if len(user) > MAXIMUM_USER_ID_LENGTH:
            raise HubException(f"UserId has more than {MAXIMUM_USER_ID_LENGTH} characters.")
        return route, Subscription(route.api, route=route.key, user=user)

    async def _subscribe(self, named: _Named | None) -> None:
        if named is None:
            return
        route, subscription = named
        with _failures_for_client(self._services, subscription.api):
            self._services.user_hubs.hold(self.context, subscription.api)
        try:
            joined = self._subscriptions.add(subscription)
        except HubException:
            self._services.log_limit("maximum_subscriptions_per_connection")
            raise
        if joined is None:
            self._services.log_no_effect("subscribed twice", route)
            return
        for channel in joined:
            await self.groups.add(self.context.connection_id, channel)
        log.debug("hub %r: a client subscribed to %s", subscription.api, _named(subscription))

    async def _unsubscribe(self, named: _Named | None) -> None:
        if named is None:
            return
        route, subscription = named
        left = self._subscriptions.remove(subscription)
        if left is None:
            self._services.log_no_effect("unsubscribed without a subscription", route)
            return
        for channel in left:
            await self.groups.remove(self.context.connection_id, channel)

    @property
    def _subscriptions(self) -> Subscriptions:
        """The subscriptions of this connection, which keeps them in its `items` (GW-21)."""
        held: Subscriptions | None = self.context.items.get(Subscriptions)
        if held is None:
            maximum = self._services.limits.maximum_subscriptions_per_connection
            context = self.context
            held = Subscriptions(
                self._services.tables, maximum, context.user, context.user_identifier
            )
            context.items[Subscriptions] = held
        return held


@contextmanager
def _failures_for_client(services: GatewayServices, api: str) -> Iterator[None]:
    """Replace the exception of a failed call of the hub `api` by a HubException with its text."""
    try:
        yield
    except Exception as exc:
        failure = call_failure(exc, api)
        if failure is None:
            raise
        if failure.code in LIMITS:
            services.log_limit(f"{failure.code.code} of hub '{api}'")
        raise HubException(failure.text) from exc


def _named(subscription: Subscription) -> str:
    """The group or route, for the log. The user id, which the client chooses, is not logged."""
    if subscription.group is not None:
        return f"group {subscription.group!r}"
    return f"route {subscription.route!r}"
