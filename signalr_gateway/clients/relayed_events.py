"""The gateway hub of a gateway to which other gateways relay events (GW-56).

A relay calls the method `Receive`. Its credentials need the scope `RELAY_SCOPE`. The other side is
`clients.other_gateway`, or a gateway of the original.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

import msgspec

from protocol import HubCallerContext, HubException, Payload, hub_method

from ..access.scopes import has_scope
from ..downstream.hub import OnEvent
from ..orchestration.route import HubRoute
from .gateway_hub import GatewayHub
from .route_calls import RouteCall
from .services import GatewayServices

RELAY_SCOPE: Final = "relay"

_MESSAGEPACK_ARRAYS = frozenset([*range(0x90, 0xA0), 0xDC, 0xDD])
"""The first bytes of arrays."""


def may_relay(context: HubCallerContext) -> bool:
    """Whether the caller has the scope `RELAY_SCOPE`."""
    return has_scope(context.user, RELAY_SCOPE)


class Copies:
    """Finds copies of one event that a relay sends for several routes.

    A relay calls once for each route that receives an event. The first of these calls forwards the
    event to the audiences of all these routes (GW-2). The other calls are copies. A copy follows
    its event, and has the same arguments and another route.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[bytes, set[str]]] = {}
        """For each event by hub and method, the hash of the arguments and the routes so far."""

    def is_copy(self, route: HubRoute, method: str, arguments: bytes) -> bool:
        """Record a call, and return whether an earlier call has sent the same event."""
        digest = hashlib.sha256(arguments).digest()
        last, keys = self._last.get((route.api, method), (b"", set()))
        if last == digest and route.key not in keys:
            keys.add(route.key)
            return True
        self._last[route.api, method] = digest, {route.key}
        return False


class RelayedGatewayHub(GatewayHub):
    """A gateway hub with the method `Receive`."""

    def __init__(self, services: GatewayServices, on_event: OnEvent) -> None:
        """`on_event` forwards an event to the clients of this gateway."""
        super().__init__(services)
        self._on_event = on_event

    @hub_method(authorize=may_relay)
    async def receive(
        self,
        call: RouteCall | None,
        route_info: msgspec.Raw,
        arguments: msgspec.Raw,
        state: msgspec.Raw,
    ) -> None:
        """Forward an event of a relayed hub to the clients of this gateway.

        The event and its receivers are those of the route in this gateway's orchestration. What the
        relay sends in `route_info` and `state` has no effect. A call without a route has no event;
        its answer shows that the caller may relay (GW-64).
        """
        if call is None:
            return
        self._services.require_memory()
        route = await self._authorized_route(call, None)
        tables = self._services.tables
        if not tables.hubs[route.api].relayed:
            raise HubException(f"The events of hub '{route.api}' are not relayed to this gateway.")
        method = route.receive_method
        if method is None:
            raise HubException(f"The route '{route.api}/{route.key}' has no receive method.")
        protocol_name = self.context.hub_protocol.name
        if not _is_array(bytes(arguments), protocol_name):
            raise HubException("The arguments of an event must be an array.")
        items = self.context.items
        # With several calls at a time, the order of the events would depend on their sizes.
        async with items.setdefault(asyncio.Lock, asyncio.Lock()):
            if len(tables.routes_of(route.api, method)) > 1:
                copies: Copies = items.setdefault(Copies, Copies())
                if copies.is_copy(route, method, bytes(arguments)):
                    return
            await self._on_event(route.api, method, Payload({protocol_name: arguments}), None)


def _is_array(value: bytes, protocol_name: str) -> bool:
    if protocol_name == "json":
        return value.lstrip().startswith(b"[")
    return value[:1] != b"" and value[0] in _MESSAGEPACK_ARRAYS
