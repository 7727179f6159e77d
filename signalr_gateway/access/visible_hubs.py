"""Shows a caller only the hubs and routes that it may use (GW-48).

`access.policies` decides. The list of hubs and routes, the OpenAPI document, the console and the
health answer are made from the hubs that `visible_hubs` returns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from msgspec import structs

from protocol import Principal

from ..orchestration.orchestrator import DownstreamHub
from ..orchestration.route import BroadcastType, HubRoute
from .policies import Action, Policies


def visible_hubs(
    hubs: Iterable[DownstreamHub], policies: Policies, user: Principal | None
) -> list[DownstreamHub]:
    """The hubs with the routes that `user` may use; None is an anonymous caller.

    A route has no `invoke_method` if the caller may not call it. It has no `receive_method` if the
    caller may not receive its events. A route without both is left out, and so is a hub without
    routes. If there are no policies, all hubs are returned as they are.
    """
    if policies.are_empty:
        return list(hubs)
    visible = []
    for hub in hubs:
        routes = {
            key: _visible_part(route, policies, user)
            for key, route in hub.routes.items()
            if policies.shows(user, route)
        }
        if routes:
            visible.append(structs.replace(hub, routes=routes))
    return visible


def _visible_part(route: HubRoute, policies: Policies, user: Principal | None) -> HubRoute:
    if not policies.allows(user, Action.CALL, route):
        route = replace(route, invoke_method=None, streams=False, examples=(), summary=None)
    if not policies.allows(user, Action.RECEIVE, route):
        route = replace(
            route,
            receive_method=None,
            receive_parameters=None,
            broadcast_type=BroadcastType.ALL,
            receive_group=None,
            spread=False,
        )
    return route
