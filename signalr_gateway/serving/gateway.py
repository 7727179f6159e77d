"""The parts of one running gateway. `serving.app` creates them; `serving.runner` uses the gate."""

from __future__ import annotations

from dataclasses import dataclass

from ..clients.parts import GatewayHubParts
from ..downstream.connection import Downstreams
from ..routing.relay import Relay
from .draining import Gate


@dataclass(frozen=True, slots=True)
class Gateway:
    relay: Relay
    downstreams: Downstreams
    gate: Gate
    hub: GatewayHubParts | None
