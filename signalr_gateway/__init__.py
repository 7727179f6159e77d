"""An API gateway for SignalR hubs: HTTP calls in, hub invocations out, events back to all clients.

A call: `http.api` or `clients.gateway_hub` checks it, `routing.relay` finds its route, and
`downstream.hub` invokes the method of the downstream hub. An event: `downstream.connection`
receives it, `routing.relay` finds its audience, and `clients.broadcast` sends it to the clients of
the gateway hub. `orchestration` holds what is configured, `serving` puts the parts together.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .orchestration.checks import OrchestrationError
    from .orchestration.limits import Limits
    from .orchestration.orchestrator import Orchestrator
    from .orchestration.route import BroadcastType, HubRouteInfo
    from .serving.app import create_app
    from .serving.runner import GatewayRunner
    from .version import __version__

__all__ = [
    "BroadcastType",
    "GatewayRunner",
    "HubRouteInfo",
    "Limits",
    "OrchestrationError",
    "Orchestrator",
    "__version__",
    "create_app",
]

_MODULES = {
    "BroadcastType": ".orchestration.route",
    "GatewayRunner": ".serving.runner",
    "HubRouteInfo": ".orchestration.route",
    "Limits": ".orchestration.limits",
    "OrchestrationError": ".orchestration.checks",
    "Orchestrator": ".orchestration.orchestrator",
    "__version__": ".version",
    "create_app": ".serving.app",
}
"""The module of each public name. It is loaded when the name is first used: an orchestration does
not need aiohttp, and the command line handles signals before it loads the rest."""


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value
