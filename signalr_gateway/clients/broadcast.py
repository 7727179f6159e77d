"""Sends events of downstream hubs to the clients of the gateway hub (GW-14, GW-24, GW-25).

`routing.tables` decides whether an event is forwarded, and to which clients. The events of each hub
stay in order. A send does not wait for slow clients: the hub server bounds their queues, and
the `queue_policy` of the route decides what happens when a queue is full.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from protocol import DefaultHubLifetimeManager, HubContext, LocalProtocolError, Payload

from ..downstream.forms import transcode, transcode_for_clients
from ..routing.tables import Delivery, RoutingTables, user_channel
from .event_log import EventCounts, EventLog


class Broadcaster:
    """Sends the events of all hubs to the clients of the gateway hub, and counts them."""

    def __init__(
        self,
        tables: RoutingTables,
        apis: Iterable[str],
        hub_context: HubContext,
        clients_by_protocol: Mapping[str, int],
        lifetime: DefaultHubLifetimeManager,
    ) -> None:
        """`lifetime` manages the connections of `hub_context`.

        `clients_by_protocol` is the number of connected clients by hub protocol.
        """
        self._tables = tables
        self._clients_by_protocol = clients_by_protocol
        self._clients = hub_context.clients
        self._lifetime = lifetime
        self._log = EventLog(apis)

    def counts(self, api: str, targets: Collection[str] | None = None) -> EventCounts:
        """See `EventLog.counts`."""
        return self._log.counts(api, targets)

    async def on_event(
        self, api: str, target: str, arguments: Payload, account: str | None = None
    ) -> None:
        """Forward one event of the hub `api` if a route receives it and its arguments fit.

        An event that has come over the connection of a user goes to clients of this user only.
        `account` is the account of this user.
        Returns when the event is in the queues of the clients. A large event is transcoded in
        several turns of the event loop.
        """
        if self._tables.reads_json(api, target, arguments):
            await transcode(arguments, "json")
        match self._tables.route_event(api, target, arguments):
            case Delivery() as delivery:
                self._log.forwarded(api, target)
                for payload in delivery.arguments:
                    await transcode_for_clients(payload, self._clients_by_protocol)
                try:
                    await self._send(delivery, account)
                except LocalProtocolError as exc:
                    self._log.unwritable(api, target, exc)
            case refused:
                self._log.not_forwarded(api, refused)

    async def _send(self, delivery: Delivery, account: str | None) -> None:
        group = None if delivery.is_for_everyone else delivery.channel
        if account is not None:
            group = user_channel(delivery.channel, account)
        if delivery.queue is not None:
            target, arguments, queue = delivery.target, delivery.arguments, delivery.queue
            await self._lifetime.send_queued(target, arguments, queue, group)
            return
        proxy = self._clients.all if group is None else self._clients.group(group)
        await proxy.send(delivery.target, *delivery.arguments)
