"""Carries events from downstream hubs to the gateway's clients, in process (GW-14, GW-24, GW-25).

`relay` decides what becomes of an event; here it is counted, and sent when there is somebody to
send it to. The order of each hub's events is kept. Slow clients are the hub server's business: it
bounds their queues and never waits for them here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocol import HubContext, LocalProtocolError, Payload

from ..logs.redaction import shortened
from ..logs.thinning import thinned
from ..routing.relay import Delivery, Misfit, Relay, Unrouted

log = logging.getLogger(__name__)


@dataclass(slots=True)
class EventCounts:
    """What became of the events of one hub since the gateway started."""

    forwarded: int = 0
    misfit: int = 0
    """Kept back because they did not fit `receive_parameter_types` (GW-6)."""
    unrouted: int = 0
    """Of a name that no route of the hub receives."""
    unwritable: int = 0
    """Forwarded, but lost for the clients of a hub protocol that cannot say what they hold."""


class Broadcaster:
    """Takes the events of all hubs and sends them to the clients of the gateway hub."""

    def __init__(self, relay: Relay, apis: Iterable[str], hub_context: HubContext) -> None:
        self._relay = relay
        self._clients = hub_context.clients
        self._counts = {api: EventCounts() for api in apis}

    @property
    def counts(self) -> Mapping[str, EventCounts]:
        """By api."""
        return self._counts

    async def on_event(self, api: str, target: str, arguments: Payload) -> None:
        """Pass one event of the hub `api` on, or not; its bytes are sent as they came."""
        counts = self._counts[api]
        match self._relay.route_event(api, target, arguments):
            case Delivery() as delivery:
                counts.forwarded += 1
                try:
                    await self._send(delivery)
                except LocalProtocolError as exc:
                    counts.unwritable += 1
                    _log_unwritable(api, target, exc, counts.unwritable)
            case Misfit(target, reason):
                counts.misfit += 1
                _log_misfit(api, target, reason, counts.misfit)
            case Unrouted(target):
                counts.unrouted += 1
                log.debug("hub %r: no route receives %r", api, shortened(target))

    async def _send(self, delivery: Delivery) -> None:
        everyone = delivery.audience.everyone
        proxy = self._clients.all if everyone else self._clients.group(delivery.channel)
        await proxy.send(delivery.target, *delivery.arguments)


def _log_unwritable(api: str, target: str, error: LocalProtocolError, count: int) -> None:
    level = thinned(logging.WARNING, count)
    text = "hub %r: event %r is lost for some clients (%d so far): %s"
    log.log(level, text, api, target, count, error)


def _log_misfit(api: str, target: str, reason: str, count: int) -> None:
    """GW-6: counted and logged; a hub that never fits must not fill the log."""
    level = thinned(logging.WARNING, count)
    log.log(level, "hub %r: event %r kept back (%d so far): %s", api, target, count, reason)
