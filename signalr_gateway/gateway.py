"""The parts of one running gateway, for those who show or test it; `app` puts them together."""

from __future__ import annotations

from dataclasses import dataclass

from protocol import HubContext

from .broadcast import Broadcaster
from .downstream import Downstreams
from .draining import Gate
from .relay import Relay


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
