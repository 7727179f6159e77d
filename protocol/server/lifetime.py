"""Who is connected, in which groups, as which user, and how messages reach them (section G).

``HubLifetimeManager`` is the interface; one that spans several processes implements the same. The
default one keeps everything in this process.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from ..aio.transport import CONNECTIONS_PER_TURN
from ..errors import GroupLimitError, LocalProtocolError
from ..hub_protocol import SerializedHubMessage
from .connection_context import HubConnectionContext
from .options import HubOptions

NOBODY: Final[Collection[str]] = ()


class HubLifetimeManager(ABC):
    """Connections of one hub class, wherever it is mapped.

    Sends to what does not exist succeed silently. ``arguments`` are values as hub methods give
    them; each send raises LocalProtocolError when one cannot be written in the hub protocol of a
    receiver, after it has gone to the receivers that use another.

    Names of groups, users and connections are str: HubClients and GroupManager have checked them.
    An implementation overrides ``start`` and ``close`` only if it needs them.
    """

    async def start(self) -> None:  # noqa: B027
        """Opens what the manager needs. Awaited once, before the first connection is served.

        An exception stops the application from starting; ``close`` is not called then.
        """

    async def close(self) -> None:  # noqa: B027
        """Releases what ``start`` has opened. Awaited once, after the last connection has ended.

        An exception is raised to the code that stops the application.
        """

    @property
    @abstractmethod
    def connections(self) -> Mapping[str, HubConnectionContext]:
        """This process's connections by id."""

    @abstractmethod
    async def on_connected(self, connection: HubConnectionContext) -> None:
        """Makes a connection visible to sends."""  # L-1

    @abstractmethod
    async def on_disconnected(self, connection: HubConnectionContext) -> None:
        """Forgets a connection and its memberships."""

    @abstractmethod
    async def send_all(
        self, target: str, arguments: Sequence[Any], excluded: Collection[str] = NOBODY
    ) -> None:
        """To every connection but those with the ids ``excluded``."""

    @abstractmethod
    async def send_connections(
        self, connection_ids: Iterable[str], target: str, arguments: Sequence[Any]
    ) -> None:
        """To these connections, once each. To a single one that reads slowly it waits."""  # G-6

    @abstractmethod
    async def send_groups(
        self,
        groups: Iterable[str],
        target: str,
        arguments: Sequence[Any],
        excluded: Collection[str] = NOBODY,
    ) -> None:
        """To the members of each group in turn: who is in two gets two."""  # G-6

    @abstractmethod
    async def send_users(
        self, user_ids: Iterable[str], target: str, arguments: Sequence[Any]
    ) -> None:
        """To all connections of these users, compared ordinally."""  # G-4

    @abstractmethod
    async def add_to_group(self, connection_id: str, group: str) -> None:
        """Idempotent; an unknown connection is ignored.

        Raises GroupLimitError where the connection's HubOptions allow no such group, or no more.
        """  # G-3

    @abstractmethod
    async def remove_from_group(self, connection_id: str, group: str) -> None:
        """Idempotent; an unknown connection or group is ignored."""  # G-3


class DefaultHubLifetimeManager(HubLifetimeManager):
    """Everything in this process's memory."""

    def __init__(self) -> None:
        self._connections: dict[str, HubConnectionContext] = {}
        self._groups: dict[str, dict[str, HubConnectionContext]] = {}
        self._users: dict[str, dict[str, HubConnectionContext]] = {}
        self._memberships: dict[str, set[str]] = {}  # connection id → its groups

    @property
    def connections(self) -> Mapping[str, HubConnectionContext]:
        """See HubLifetimeManager."""
        return self._connections

    async def on_connected(self, connection: HubConnectionContext) -> None:
        """See HubLifetimeManager."""
        self._connections[connection.connection_id] = connection
        if connection.user_identifier is not None:
            _enter(self._users, connection.user_identifier, connection)

    async def on_disconnected(self, connection: HubConnectionContext) -> None:
        """See HubLifetimeManager."""
        self._connections.pop(connection.connection_id, None)
        if connection.user_identifier is not None:
            _leave(self._users, connection.user_identifier, connection.connection_id)
        for group in self._memberships.pop(connection.connection_id, ()):
            _leave(self._groups, group, connection.connection_id)

    async def send_all(
        self, target: str, arguments: Sequence[Any], excluded: Collection[str] = NOBODY
    ) -> None:
        """See HubLifetimeManager."""
        await _send([self._connections], SerializedHubMessage(target, arguments), excluded)

    async def send_connections(
        self, connection_ids: Iterable[str], target: str, arguments: Sequence[Any]
    ) -> None:
        """See HubLifetimeManager."""
        found = {id: self._connections[id] for id in connection_ids if id in self._connections}
        await _send([found], SerializedHubMessage(target, arguments))
        if len(found) == 1:
            for connection in found.values():
                await connection.drain()

    async def send_groups(
        self,
        groups: Iterable[str],
        target: str,
        arguments: Sequence[Any],
        excluded: Collection[str] = NOBODY,
    ) -> None:
        """See HubLifetimeManager."""
        members = [self._groups.get(group, {}) for group in groups]
        await _send(members, SerializedHubMessage(target, arguments), excluded)

    async def send_users(
        self, user_ids: Iterable[str], target: str, arguments: Sequence[Any]
    ) -> None:
        """See HubLifetimeManager."""
        connections = [self._users.get(user_id, {}) for user_id in dict.fromkeys(user_ids)]
        await _send(connections, SerializedHubMessage(target, arguments))

    async def add_to_group(self, connection_id: str, group: str) -> None:
        """See HubLifetimeManager."""
        connection = self._connections.get(connection_id)
        if connection is not None:
            memberships = self._memberships.setdefault(connection_id, set())
            if group not in memberships:
                _require_room(group, memberships, connection.options)
                memberships.add(group)
                _enter(self._groups, group, connection)

    async def remove_from_group(self, connection_id: str, group: str) -> None:
        """See HubLifetimeManager."""
        _leave(self._groups, group, connection_id)
        self._memberships.get(connection_id, set()).discard(group)


async def _send(
    tables: Iterable[Mapping[str, HubConnectionContext]],
    message: SerializedHubMessage,
    excluded: Collection[str] = NOBODY,
) -> None:
    failure: LocalProtocolError | None = None
    for connections in tables:
        congested, written = False, 0
        for connection_id in list(connections):
            connection = connections.get(connection_id)  # gone, maybe, since the last slice
            if connection is None or connection_id in excluded:
                continue
            try:
                if connection.send_serialized(message):
                    written += 1
                    if written % CONNECTIONS_PER_TURN == 0:
                        await asyncio.sleep(0)
            except LocalProtocolError as error:
                failure = error  # in its hub protocol; those who speak another get it
            congested |= connection.is_congested
        if congested:
            # One turn of the loop, in which sockets that are being read take more: a burst of sends
            # must not fill the queue of a client that reads. Nobody is waited for.
            await asyncio.sleep(0)
    if failure is not None:
        raise failure


def _enter(
    table: dict[str, dict[str, HubConnectionContext]], key: str, connection: HubConnectionContext
) -> None:
    table.setdefault(key, {})[connection.connection_id] = connection


def _leave(table: dict[str, dict[str, HubConnectionContext]], key: str, connection_id: str) -> None:
    members = table.get(key)
    if members is not None:
        members.pop(connection_id, None)
        if not members:
            del table[key]


def _require_room(group: str, memberships: Collection[str], options: HubOptions) -> None:
    """A client that chooses its groups must not fill the table (G-3 knows no limit)."""
    if len(group) > options.maximum_group_name_length:
        raise GroupLimitError(
            f"A group name has {len(group)} characters, more than the "
            f"{options.maximum_group_name_length} allowed."
        )
    if len(memberships) >= options.maximum_groups_per_connection:
        raise GroupLimitError(
            f"The connection is in {len(memberships)} groups, as many as it may be in."
        )
