"""An API gateway for SignalR hubs: HTTP calls in, hub invocations out, events back to all clients.

A call: `http.api` or `clients.gateway_hub` checks it, `routing.relay` finds its route, and
`downstream.connection` invokes the method of the downstream hub. An event: `downstream.connection`
receives it, `routing.relay` finds its audience, and `clients.broadcast` sends it to the clients of
the gateway hub. `orchestration` holds what is configured, `serving` puts the parts together.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from .orchestration.checks import OrchestrationError
from .orchestration.limits import Limits
from .orchestration.orchestrator import Orchestrator
from .orchestration.route import BroadcastType, HubRouteInfo

if TYPE_CHECKING:
    from .serving.app import create_app
    from .serving.runner import GatewayRunner

try:
    __version__ = version("signalr-gateway")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0.0.0"

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

# Only these need aiohttp and the library's server.
_LOADED_WHEN_USED = {"GatewayRunner": ".serving.runner", "create_app": ".serving.app"}


def __getattr__(name: str) -> Any:
    module = _LOADED_WHEN_USED.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value
