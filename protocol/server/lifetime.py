"""The connections of a hub class, their groups and users, and sends to them (section G).

``HubLifetimeManager`` is the interface, which a manager that spans several processes implements
too. ``DefaultHubLifetimeManager`` keeps everything in this process.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from ..aio.transport import CONNECTIONS_PER_TURN
from ..errors import GroupLimitError, LocalProtocolError, NotConnectedError
from ..hub_protocol import SerializedHubMessage
from ..messages import Completion
from .client_results import ClientResults
from .connection_context import HubConnectionContext
from .options import HubOptions
from .waiting_messages import MessageQueue

NONE_EXCLUDED: Final[Collection[str]] = ()


class HubLifetimeManager(ABC):
    """Manages the connections of one hub class, on all paths that it is mapped at.

    Sends to connections, groups and users that do not exist succeed silently. ``arguments`` are
    Python values. A send raises LocalProtocolError when an argument cannot be written in the hub
    protocol of a receiver. Receivers with other hub protocols still get the message.

    Group names, user ids and connection ids are str: HubClients and GroupManager check them. A
    subclass overrides ``start`` and ``close`` only if it needs them.
    """

    async def start(self) -> None:  # noqa: B027
        """Opens the resources of the manager. Awaited once, before the first connection is served.

        After an exception the application does not start, and ``close`` is not called.
        """

    async def close(self) -> None:  # noqa: B027
        """Releases the resources. Awaited once, after the last connection has ended.

        An exception propagates to the code that stops the application.
        """

    @property
    @abstractmethod
    def connections(self) -> Mapping[str, HubConnectionContext]:
        """The connections of this process, by id."""

    @abstractmethod
    async def on_connected(self, connection: HubConnectionContext) -> None:
        """Makes a connection visible to sends."""  # L-1

    @abstractmethod
    async def on_disconnected(self, connection: HubConnectionContext) -> None:
        """Removes a connection and its group memberships."""

    async def on_user_changed(
        self, connection: HubConnectionContext, user_identifier: str | None
    ) -> None:
        """Called when the user id of a connection has changed from ``user_identifier``.

        Later sends to the old user do not reach the connection, sends to the new user do.
        Memberships of groups stay. A manager that supports a change of user ids overrides this
        method. In any other manager it raises NotImplementedError, which ends the connection.
        """  # AR-6
        raise NotImplementedError(f"{type(self).__name__} does not support a change of user ids.")

    @abstractmethod
    async def send_all(
        self, target: str, arguments: Sequence[Any], excluded: Collection[str] = NONE_EXCLUDED
    ) -> None:
        """Sends to every connection, except those whose ids are ``excluded``."""

    @abstractmethod
    async def send_connections(
        self, connection_ids: Iterable[str], target: str, arguments: Sequence[Any]
    ) -> None:
        """Sends to these connections, once each.

        A send to a single connection waits while the buffer of this connection is full.
        """  # G-6

    @abstractmethod
    async def send_groups(
        self,
        groups: Iterable[str],
        target: str,
        arguments: Sequence[Any],
        excluded: Collection[str] = NONE_EXCLUDED,
    ) -> None:
        """Sends to the members of each group in turn. A member of two groups gets two messages."""
        # G-6

    @abstractmethod
    async def send_users(
        self, user_ids: Iterable[str], target: str, arguments: Sequence[Any]
    ) -> None:
        """Sends to all connections of these users. User ids match exactly, with their case."""
        # G-4

    @abstractmethod
    async def add_to_group(self, connection_id: str, group: str) -> None:
        """Adds a connection to a group, if it is not a member yet. Unknown connections are ignored.

        Raises GroupLimitError when the HubOptions of the connection do not allow a name of this
        length, or another group.
        """  # G-3

    @abstractmethod
    async def remove_from_group(self, connection_id: str, group: str) -> None:
        """Removes a connection from a group. Unknown connections and groups are ignored."""  # G-3

    async def close_connection(self, connection_id: str, reason: str | None = None) -> bool:
        """Ends a connection with a Close message whose error text is ``reason``.

        The client does not reconnect. Returns whether the connection existed and had not ended. In
        a manager that does not override this method it raises NotImplementedError.
        """  # G-9
        raise NotImplementedError(f"{type(self).__name__} does not close connections.")

    async def count_connections(self) -> int:
        """The number of connections.

        This method, the other methods that count, and ``has_connection`` raise NotImplementedError
        in a manager that does not override them.
        """  # G-10
        raise self._does_not_count()

    async def count_group(self, group: str) -> int:
        """The number of members of a group; 0 for an unknown group."""
        raise self._does_not_count()

    async def count_user(self, user_id: str) -> int:
        """The number of connections of a user; 0 for an unknown user."""
        raise self._does_not_count()

    async def has_connection(self, connection_id: str) -> bool:
        """Whether there is a connection with this id."""
        raise self._does_not_count()

    def _does_not_count(self) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} does not count connections.")

    async def invoke_connection(
        self, connection_id: str, target: str, arguments: Sequence[Any], result_type: Any
    ) -> Any:
        """Calls ``target`` on one connection and returns its result, converted to ``result_type``.

        Waits as long as the connection lives. A caller with a time limit cancels the wait.

        Raises NotConnectedError for an unknown connection, and ConnectionClosed when the connection
        ends before its answer. Raises HubException when the client answers with an error, or with a
        result that does not fit. Raises TypeError when no result can be read into ``result_type``,
        and LocalProtocolError when an argument cannot be written.

        A manager with client results overrides this method and ``set_connection_result``. In any
        other manager this method raises NotImplementedError.
        """  # CR-5, CR-10
        raise NotImplementedError(f"{type(self).__name__} does not support client return values.")

    def set_connection_result(  # noqa: B027
        self, connection: HubConnectionContext, completion: Completion
    ) -> None:
        """Called with the Completion that a connection has sent for a call of the server.

        An answer to no pending call is ignored. Raises RemoteProtocolError, which ends
        ``connection``, if the call was sent to another connection; the call stays pending.
        """  # S-25, CR-7


class DefaultHubLifetimeManager(HubLifetimeManager):
    """Manages the connections of one process, in memory."""

    def __init__(self) -> None:
        self._connections: dict[str, HubConnectionContext] = {}
        self._groups: dict[str, dict[str, HubConnectionContext]] = {}
        self._users: dict[str, dict[str, HubConnectionContext]] = {}
        self._memberships: dict[str, set[str]] = {}  # connection id → its groups
        self._results = ClientResults()

    @property
    def connections(self) -> Mapping[str, HubConnectionContext]:
        """See HubLifetimeManager."""
        return self._connections

    async def on_connected(self, connection: HubConnectionContext) -> None:
        """See HubLifetimeManager."""
        self._connections[connection.connection_id] = connection
        if connection.user_identifier is not None:
            _add(self._users, connection.user_identifier, connection)

    async def on_disconnected(self, connection: HubConnectionContext) -> None:
        """See HubLifetimeManager."""
        self._connections.pop(connection.connection_id, None)
        if connection.user_identifier is not None:
            _remove(self._users, connection.user_identifier, connection.connection_id)
        for group in self._memberships.pop(connection.connection_id, ()):
            _remove(self._groups, group, connection.connection_id)

    async def on_user_changed(
        self, connection: HubConnectionContext, user_identifier: str | None
    ) -> None:
        """See HubLifetimeManager."""
        if connection.connection_id not in self._connections:
            return
        if user_identifier is not None:
            _remove(self._users, user_identifier, connection.connection_id)
        if connection.user_identifier is not None:
            _add(self._users, connection.user_identifier, connection)

    async def send_all(
        self, target: str, arguments: Sequence[Any], excluded: Collection[str] = NONE_EXCLUDED
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
        excluded: Collection[str] = NONE_EXCLUDED,
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

    async def send_queued(
        self, target: str, arguments: Sequence[Any], queue: MessageQueue, group: str | None = None
    ) -> None:
        """Sends to every connection, or to the members of ``group``, with a policy of its own.

        For clients that read slowly, the policy of ``queue`` decides which messages of its source
        are dropped, in place of the ``slow_client_policy`` of the hub.
        """
        members = self._connections if group is None else self._groups.get(group, {})
        await _send([members], SerializedHubMessage(target, arguments), queue=queue)

    async def add_to_group(self, connection_id: str, group: str) -> None:
        """See HubLifetimeManager."""
        connection = self._connections.get(connection_id)
        if connection is not None:
            memberships = self._memberships.setdefault(connection_id, set())
            if group not in memberships:
                _require_room(group, memberships, connection.options)
                memberships.add(group)
                _add(self._groups, group, connection)

    async def remove_from_group(self, connection_id: str, group: str) -> None:
        """See HubLifetimeManager."""
        _remove(self._groups, group, connection_id)
        self._memberships.get(connection_id, set()).discard(group)

    async def close_connection(self, connection_id: str, reason: str | None = None) -> bool:
        """See HubLifetimeManager."""
        connection = self._connections.get(connection_id)
        return connection is not None and connection.close(reason)

    async def count_connections(self) -> int:
        """See HubLifetimeManager."""
        return len(self._connections)

    async def count_group(self, group: str) -> int:
        """See HubLifetimeManager."""
        return len(self._groups.get(group, ()))

    async def count_user(self, user_id: str) -> int:
        """See HubLifetimeManager."""
        return len(self._users.get(user_id, ()))

    async def has_connection(self, connection_id: str) -> bool:
        """See HubLifetimeManager."""
        return connection_id in self._connections

    async def invoke_connection(
        self, connection_id: str, target: str, arguments: Sequence[Any], result_type: Any
    ) -> Any:
        """See HubLifetimeManager."""
        connection = self._connections.get(connection_id)
        if connection is None:
            raise NotConnectedError(f"Connection '{connection_id}' does not exist.")
        return await self._results.ask(connection, target, arguments, result_type)

    def set_connection_result(
        self, connection: HubConnectionContext, completion: Completion
    ) -> None:
        """See HubLifetimeManager."""
        self._results.settle(connection, completion)


async def _send(
    tables: Iterable[Mapping[str, HubConnectionContext]],
    message: SerializedHubMessage,
    excluded: Collection[str] = NONE_EXCLUDED,
    queue: MessageQueue | None = None,
) -> None:
    failure: LocalProtocolError | None = None
    for connections in tables:
        congested, written = False, 0
        for connection_id in list(connections):
            connection = connections.get(connection_id)  # None if it has ended in the meantime
            if connection is None or connection_id in excluded:
                continue
            try:
                if connection.send_serialized(message, queue):
                    written += 1
                    if written % CONNECTIONS_PER_TURN == 0:
                        await asyncio.sleep(0)
            except LocalProtocolError as error:
                failure = error  # receivers with another hub protocol still get the message
            congested |= connection.is_congested
        if congested:
            # Within one turn of the event loop, the sockets of clients that read take more bytes.
            # So a burst of sends does not fill the buffers of these clients. There is no further
            # wait for slow clients.
            await asyncio.sleep(0)
    if failure is not None:
        raise failure


def _add(
    table: dict[str, dict[str, HubConnectionContext]], key: str, connection: HubConnectionContext
) -> None:
    table.setdefault(key, {})[connection.connection_id] = connection


def _remove(
    table: dict[str, dict[str, HubConnectionContext]], key: str, connection_id: str
) -> None:
    members = table.get(key)
    if members is not None:
        members.pop(connection_id, None)
        if not members:
            del table[key]


def _require_room(group: str, memberships: Collection[str], options: HubOptions) -> None:
    """Raises GroupLimitError if ``options`` do not allow the group. .NET has no such limit (G-3).

    Without a limit, a client that chooses its groups could exhaust the memory.
    """
    if len(group) > options.maximum_group_name_length:
        raise GroupLimitError(
            f"A group name has {len(group)} characters, more than the "
            f"{options.maximum_group_name_length} allowed."
        )
    if len(memberships) >= options.maximum_groups_per_connection:
        raise GroupLimitError(
            f"The connection is in {len(memberships)} groups, and no more are allowed."
        )
