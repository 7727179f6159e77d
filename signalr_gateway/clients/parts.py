"""The parts of a running gateway hub."""

from __future__ import annotations

from dataclasses import dataclass

from protocol import HubContext

from .broadcast import Broadcaster
from .sender import Sender


@dataclass(frozen=True, slots=True)
class GatewayHubParts:
    """The parts that exist only if the gateway hub is switched on (GW-4)."""

    path: str
    context: HubContext
    broadcaster: Broadcaster
    sender: Sender
