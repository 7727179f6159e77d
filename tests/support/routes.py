"""Routes without an orchestration around them."""

from __future__ import annotations

from typing import Any

from signalr_gateway.orchestration.hub_options import DEFAULT_INVOKE_TIMEOUT
from signalr_gateway.orchestration.route import HubRoute, HubRouteInfo, checked_route


def route_to(method: str, key: str = "route", **info: Any) -> HubRoute:
    """The route `key` of a hub that invokes `method`; `info` is that of `HubRouteInfo`."""
    details = HubRouteInfo(invoke_method=method, **info)
    return checked_route("hub", key, details, DEFAULT_INVOKE_TIMEOUT)
