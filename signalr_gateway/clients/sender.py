"""Sends messages of HTTP callers to clients of the gateway hub, counts clients, closes one (GW-60).

`http.send_api` reads the requests. `clients.broadcast` sends the messages of downstream hubs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol import ClientProxy, HubContext, Payload

from ..downstream.forms import transcode_for_clients


@dataclass(frozen=True, slots=True)
class All:
    """All clients."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The clients that have joined a channel of `routing.tables.send_channel`."""

    name: str


@dataclass(frozen=True, slots=True)
class User:
    """The clients of an authenticated user."""

    user_id: str


@dataclass(frozen=True, slots=True)
class Connection:
    """One client."""

    connection_id: str


Audience = All | Channel | User | Connection


class Sender:
    """Sends to the clients of one gateway hub, and counts them."""

    def __init__(self, hub_context: HubContext, clients_by_protocol: Mapping[str, int]) -> None:
        """`clients_by_protocol` is the number of connected clients by hub protocol."""
        self._context = hub_context
        self._clients_by_protocol = clients_by_protocol

    async def send(self, audience: Audience, target: str, arguments: Sequence[Payload]) -> None:
        """Send one message, whose arguments are JSON.

        Returns when the message is in the queues of the clients. Large arguments are transcoded in
        several turns of the event loop.
        """
        for argument in arguments:
            await transcode_for_clients(argument, self._clients_by_protocol)
        await self._proxy(audience).send(target, *arguments)

    def _proxy(self, audience: Audience) -> ClientProxy:
        clients = self._context.clients
        match audience:
            case All():
                return clients.all
            case Channel(name):
                return clients.group(name)
            case User(user_id):
                return clients.user(user_id)
            case Connection(connection_id):
                return clients.client(connection_id)

    async def count(self, audience: Audience) -> int:
        """The number of clients."""
        presence = self._context.presence
        match audience:
            case All():
                return await presence.count()
            case Channel(name):
                return await presence.count_group(name)
            case User(user_id):
                return await presence.count_user(user_id)
            case Connection(connection_id):
                return int(await presence.has_connection(connection_id))

    async def close(self, connection_id: str, reason: str) -> bool:
        """Disconnect one client, which gets `reason`. Returns False if there is no such client."""
        return await self._context.close_connection(connection_id, reason)
