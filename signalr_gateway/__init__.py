"""An API gateway for SignalR hubs: HTTP calls in, hub invocations out, events back to all clients.

The walk of a call: `http.api` (or `gateway_hub`) checks it, `relay` finds its route, `downstream`
carries it to the hub. The walk of an event: `downstream` hears it, `relay` names its audience,
`broadcast` sends it to the clients of `gateway_hub`. `orchestrator` says what there is, `app` puts
it together, `cli` starts it.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from .orchestration.checks import OrchestrationError
from .orchestration.orchestrator import Orchestrator
from .orchestration.route import BroadcastType, HubRouteInfo

if TYPE_CHECKING:
    from .serving.app import create_app

try:
    __version__ = version("signalr-gateway")
except PackageNotFoundError:  # run from a checkout that nobody installed
    __version__ = "0.0.0"

__all__ = [
    "BroadcastType",
    "HubRouteInfo",
    "OrchestrationError",
    "Orchestrator",
    "__version__",
    "create_app",
]


def __getattr__(name: str) -> object:
    if name == "create_app":  # the only one that needs aiohttp and the library's server
        from .serving.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
