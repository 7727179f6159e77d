"""Sends events of downstream hubs to the clients of the gateway hub (GW-14, GW-24, GW-25).

`routing.relay` decides whether an event is forwarded, and to which clients. The events of each hub
stay in order. A send does not wait for slow clients: the hub server bounds their queues, and
the `queue_policy` of the route decides what happens when a queue is full.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocol import DefaultHubLifetimeManager, HubContext, LocalProtocolError, Payload
from protocol.relaying import LogThinning

from ..downstream.forms import transcode
from ..logs.redaction import shortened
from ..routing.relay import Delivery, Misfit, Relay, Unrouted

log = logging.getLogger(__name__)


@dataclass(slots=True)
class EventCounts:
    """The numbers of events of one hub since the gateway started, by outcome."""

    forwarded: int = 0
    misfit: int = 0
    """Not forwarded, because the arguments do not fit: see `routing.relay.Misfit` (GW-6, GW-24)."""
    unrouted: int = 0
    """Not forwarded, because the event is not the `receive_method` of any route of the hub."""
    unwritable: int = 0
    """Forwarded, except to clients whose hub protocol cannot express the arguments."""


class Broadcaster:
    """Sends the events of all hubs to the clients of the gateway hub, and counts them."""

    def __init__(
        self,
        relay: Relay,
        apis: Iterable[str],
        hub_context: HubContext,
        spoken: Mapping[str, int],
        lifetime: DefaultHubLifetimeManager,
    ) -> None:
        """`lifetime` manages the connections of `hub_context`.

        `spoken` is the number of connected clients by hub protocol.
        """
        self._relay = relay
        self._spoken = spoken
        self._clients = hub_context.clients
        self._lifetime = lifetime
        self._counts = {api: EventCounts() for api in apis}
        self._thinning = LogThinning()

    @property
    def counts(self) -> Mapping[str, EventCounts]:
        """The counts of each hub, by api."""
        return self._counts

    async def on_event(self, api: str, target: str, arguments: Payload) -> None:
        """Forward one event of the hub `api` if a route receives it and its arguments fit.

        Returns when the event is in the queues of the clients. A large event is transcoded in
        several turns of the event loop.
        """
        counts = self._counts[api]
        if self._relay.reads_json(api, target, arguments):
            await transcode(arguments, "json")
        match self._relay.route_event(api, target, arguments):
            case Delivery() as delivery:
                counts.forwarded += 1
                for payload in delivery.arguments:
                    for name in [name for name, count in self._spoken.items() if count > 0]:
                        await transcode(payload, name)
                try:
                    await self._send(delivery)
                except LocalProtocolError as exc:
                    counts.unwritable += 1
                    self._log_unwritable(api, target, exc, counts.unwritable)
            case Misfit(target, reason):
                counts.misfit += 1
                self._log_misfit(api, target, reason, counts.misfit)
            case Unrouted(target):
                counts.unrouted += 1
                log.debug("hub %r: no route receives %r", api, shortened(target))

    async def _send(self, delivery: Delivery) -> None:
        everyone = delivery.audience.everyone
        if delivery.queue is not None:
            group = None if everyone else delivery.channel
            target, arguments, queue = delivery.target, delivery.arguments, delivery.queue
            await self._lifetime.send_queued(target, arguments, queue, group)
            return
        proxy = self._clients.all if everyone else self._clients.group(delivery.channel)
        await proxy.send(delivery.target, *delivery.arguments)

    def _log_unwritable(self, api: str, target: str, error: LocalProtocolError, count: int) -> None:
        level = self._thinning.level((api, target, type(error)))
        text = "hub %r: event %r not sent to some clients (%d so far): %s"
        log.log(level, text, api, target, count, error)

    def _log_misfit(self, api: str, target: str, reason: str, count: int) -> None:
        level = self._thinning.level((api, target))
        text = "hub %r: event %r not forwarded (%d so far): %s"
        log.log(level, text, api, target, count, reason)
