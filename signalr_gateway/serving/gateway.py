"""The parts of one running gateway. `serving.app` creates and uses them."""

from __future__ import annotations

from dataclasses import dataclass

from ..clients.other_gateway import RelayTarget
from ..clients.parts import GatewayHubParts
from ..downstream.hub import Downstreams
from ..routing.tables import RoutingTables
from .draining import Gate
from .memory import MemoryMark
from .stopping import Stop


@dataclass(frozen=True, slots=True)
class Gateway:
    tables: RoutingTables
    downstreams: Downstreams
    gate: Gate
    hub: GatewayHubParts | None
    stop: Stop
    memory: MemoryMark
    relay_target: RelayTarget | None = None
