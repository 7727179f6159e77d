"""Makes the JSON list of hubs and routes, with the members that the original has (GW-11).

The list does not contain receive keys. `http.api` serves the list to clients.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .checks import fold
from .orchestrator import DownstreamHub
from .route import HubRoute

_HUB_ORCHESTRATION = 1
"""The original's enum value for a hub. All listed apis are hubs here."""


class ListedRoute(msgspec.Struct, rename="camel"):
    invoke_method: str | None
    receive_method: str | None
    receive_group: str | None
    broadcast_type: str
    receive_parameter_types: list[str] | None
    key: str


class ListedHub(msgspec.Struct, rename="camel"):
    hub_routes: list[ListedRoute]
    api: str
    orchestration_type: int
    routes: list[ListedRoute]


def list_orchestration(
    hubs: Iterable[DownstreamHub], api_filter: str = "", route_filter: str = ""
) -> bytes:
    """The JSON list of hubs whose keys contain `api_filter`.

    Each hub lists the routes whose keys contain `route_filter` in `routes` and, as in the original,
    all its routes in `hubRoutes`. A hub without a matching route is left out if only the route
    filter is given. Filters ignore letter case, and white space around them.
    """
    api_part, route_part = fold(api_filter.strip()), fold(route_filter.strip())
    listed = []
    for hub in hubs:
        if api_part not in hub.api:
            continue
        routes = [_route(route) for key, route in hub.routes.items() if route_part in key]
        if route_part and not api_part and not routes:
            continue
        listed.append(
            ListedHub(
                hub_routes=[_route(route) for route in hub.routes.values()],
                api=hub.api,
                orchestration_type=_HUB_ORCHESTRATION,
                routes=routes,
            )
        )
    return msgspec.json.encode(listed)


def _route(route: HubRoute) -> ListedRoute:
    return ListedRoute(
        invoke_method=route.invoke_method,
        receive_method=route.receive_method,
        receive_group=route.receive_group,
        broadcast_type=route.broadcast_type.listed_name,
        receive_parameter_types=route.receive_parameter_names,
        key=route.key,
    )
