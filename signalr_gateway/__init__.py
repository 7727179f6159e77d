"""An API gateway for SignalR hubs: turns HTTP calls into invocations, and sends events to clients.

`http.api` or `clients.gateway_hub` receives a call, `routing.tables` finds the route of the call,
and `downstream.hub` invokes the method of the downstream hub. In the other direction,
`downstream.hub` receives an event, `routing.tables` finds the audience of the event, and
`clients.broadcast` sends the event to these clients of the gateway hub. `orchestration` contains
the configuration, and `serving` creates all parts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocol.relaying import QueuePolicy

    from .access.call_hook import CallContext
    from .orchestration.checks import OrchestrationError
    from .orchestration.limits import Limits
    from .orchestration.orchestrator import Orchestrator
    from .orchestration.policy import Policy
    from .orchestration.route import BroadcastType, HubRouteInfo
    from .serving.app import create_app
    from .serving.runner import GatewayRunner
    from .version import __version__

__all__ = [
    "BroadcastType",
    "CallContext",
    "GatewayRunner",
    "HubRouteInfo",
    "Limits",
    "OrchestrationError",
    "Orchestrator",
    "Policy",
    "QueuePolicy",
    "__version__",
    "create_app",
]

_MODULES = {
    "BroadcastType": ".orchestration.route",
    "CallContext": ".access.call_hook",
    "GatewayRunner": ".serving.runner",
    "HubRouteInfo": ".orchestration.route",
    "Limits": ".orchestration.limits",
    "OrchestrationError": ".orchestration.checks",
    "Orchestrator": ".orchestration.orchestrator",
    "Policy": ".orchestration.policy",
    "QueuePolicy": "protocol.relaying",
    "__version__": ".version",
    "create_app": ".serving.app",
}
"""The module of each public name. A module is loaded when one of its names is first used. So a
program that only builds an orchestration does not load aiohttp, and the command line can handle
signals before it loads the gateway."""


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value
