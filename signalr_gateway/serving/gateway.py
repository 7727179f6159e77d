"""The parts of one running gateway, for those who show or test it; `app` puts them together."""

from __future__ import annotations

from dataclasses import dataclass

from protocol import HubContext

from ..clients.broadcast import Broadcaster
from ..downstream.connection import Downstreams
from ..routing.relay import Relay
from .draining import Gate


@dataclass(frozen=True, slots=True)
class GatewayHubParts:
    """What there is only while the gateway hub is switched on (GW-4)."""

    path: str
    context: HubContext
    broadcaster: Broadcaster


@dataclass(frozen=True, slots=True)
class Gateway:
    relay: Relay
    downstreams: Downstreams
    gate: Gate
    hub: GatewayHubParts | None
