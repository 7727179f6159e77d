"""The parts of one running gateway, for those who show or test it; `app` puts them together."""

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
