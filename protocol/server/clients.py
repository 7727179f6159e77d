"""Selects the clients to send to: ``clients.all``, ``clients.group("a")`` and so on (G-5).

Hub methods and code outside of hubs use these selections. ``lifetime`` sends the messages.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar, overload

from ..errors import HubException, LocalProtocolError
from ..option_checks import names_of, require_name, require_target
from .lifetime import HubLifetimeManager
from .presence import Presence

Result = TypeVar("Result")
Check: TypeAlias = Callable[[], None]
"""Called before a send or a change of groups. Raises an exception if it is not allowed."""


class ClientProxy:
    """A selected set of clients. ``check`` is called before each send."""

    __slots__ = ("_check", "_send")

    def __init__(
        self, send: Callable[[str, Sequence[Any]], Awaitable[None]], check: Check | None = None
    ) -> None:
        self._send = send
        self._check = check

    async def send(self, target: str, *arguments: Any) -> None:
        """Calls the handlers of ``target`` on each of the clients, without an answer.

        .NET clients find handlers by the exact name and number of arguments. An argument of type
        ``msgspec.Raw`` is sent unchanged. Returns when the message is queued, not when it has
        arrived.

        Raises LocalProtocolError when an argument cannot be written in the hub protocol of a
        client. Only clients with this hub protocol miss the message. Raises TypeError for a target
        that is not a str, and ValueError for an empty target.
        """  # G-1, G-2, G-7
        require_target(target, 'send("ReceiveMessage", value)')
        if self._check is not None:
            self._check()
        await self._send(target, arguments)


class SingleClientProxy(ClientProxy):
    """One client, which can also be asked for a result."""

    __slots__ = ("_before_wait", "_connection_id", "_lifetime")

    def __init__(
        self,
        lifetime: HubLifetimeManager,
        connection_id: str,
        before_wait: Check | None = None,
        check: Check | None = None,
    ) -> None:
        super().__init__(partial(lifetime.send_connections, (connection_id,)), check)
        self._lifetime = lifetime
        self._connection_id = connection_id
        self._before_wait = before_wait

    @overload
    async def invoke(self, target: str, *arguments: Any, timeout: float | None = None) -> Any: ...
    @overload
    async def invoke(
        self,
        target: str,
        *arguments: Any,
        result_type: type[Result],
        timeout: float | None = None,
    ) -> Result: ...
    @overload
    async def invoke(
        self, target: str, *arguments: Any, result_type: Any, timeout: float | None = None
    ) -> Any: ...
    async def invoke(
        self,
        target: str,
        *arguments: Any,
        result_type: Any = Any,
        timeout: float | None = None,
    ) -> Any:
        """Calls the handler of ``target`` on the client and waits for its result.

        The result is converted to ``result_type``. ``timeout`` is in seconds. Without a timeout the
        call waits as long as the connection of the client lives, and some clients never answer. A
        hub method that waits here does not count for ``maximum_parallel_invocations_per_client``,
        so that its client can call other methods before it answers.

        Raises HubException when the client answers with an error, with a result that does not fit,
        or not within ``timeout``. Raises NotConnectedError when there is no such connection, and
        ConnectionClosed when the connection ends before the answer. Raises LocalProtocolError in
        ``on_connected``, and when an argument cannot be written.
        """  # CR-5, CR-6, CR-9, P-4
        require_target(target, 'invoke("Ask", value)')
        if self._check is not None:
            self._check()
        if self._before_wait is not None:
            self._before_wait()
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await self._lifetime.invoke_connection(
                    self._connection_id, target, arguments, result_type
                )
        except TimeoutError:
            if not limit.expired():
                raise
            raise HubException("Invocation canceled by the server.") from None


class HubClients:
    """Selects among all clients of the hub class.

    Names and ids are str. All methods raise TypeError for other types, and for a single str in
    place of a collection.
    """

    __slots__ = ("_lifetime",)

    _check: Check | None = None  # only instances of ``ContextClients`` have one

    def __init__(self, lifetime: HubLifetimeManager) -> None:
        self._lifetime = lifetime

    @property
    def all(self) -> ClientProxy:
        """Every connection."""
        return ClientProxy(self._lifetime.send_all, self._check)

    def all_except(self, connection_ids: Collection[str]) -> ClientProxy:
        """Every connection except these."""
        excluded = names_of(connection_ids, "connection ids")
        return ClientProxy(
            partial(self._lifetime.send_all, excluded=frozenset(excluded)), self._check
        )

    def client(self, connection_id: str) -> SingleClientProxy:
        """One connection. Sending does nothing if it has ended."""
        require_name(connection_id, "A connection id")
        return SingleClientProxy(self._lifetime, connection_id, check=self._check)

    def clients(self, connection_ids: Iterable[str]) -> ClientProxy:
        """These connections, once each."""
        listed = names_of(connection_ids, "connection ids")
        return ClientProxy(partial(self._lifetime.send_connections, listed), self._check)

    def group(self, name: str) -> ClientProxy:
        """The members of one group. Names are case-sensitive and may be empty."""  # G-3
        require_name(name, "A group name")
        return ClientProxy(partial(self._lifetime.send_groups, (name,)), self._check)

    def group_except(self, name: str, connection_ids: Collection[str]) -> ClientProxy:
        """The members of one group except these connections."""
        require_name(name, "A group name")
        excluded = frozenset(names_of(connection_ids, "connection ids"))
        return ClientProxy(
            partial(self._lifetime.send_groups, (name,), excluded=excluded), self._check
        )

    def groups(self, names: Iterable[str]) -> ClientProxy:
        """The members of each group. A member of two groups gets two messages.

        Raises LocalProtocolError for an empty name.
        """  # G-6, G-3
        listed = names_of(names, "group names")
        if not all(listed):
            raise LocalProtocolError("Cannot send to an empty group name.")
        return ClientProxy(partial(self._lifetime.send_groups, listed), self._check)

    def user(self, user_id: str) -> ClientProxy:
        """All connections of one user."""
        return self.users((user_id,))

    def users(self, user_ids: Iterable[str]) -> ClientProxy:
        """All connections of these users."""
        listed = names_of(user_ids, "user ids")
        return ClientProxy(partial(self._lifetime.send_users, listed), self._check)


class HubCallerClients(HubClients):
    """Selects among all clients, relative to the caller of a hub method.

    Each call has an instance of its own. ``scope`` decides whether the call may wait for a client
    result.
    """

    __slots__ = ("_connection_id", "_scope")

    def __init__(
        self, lifetime: HubLifetimeManager, connection_id: str, scope: "CallScope | None" = None
    ) -> None:
        super().__init__(lifetime)
        self._connection_id = connection_id
        self._scope = scope

    @property
    def caller(self) -> SingleClientProxy:
        """The connection that called the hub method."""
        return self.client(self._connection_id)

    def client(self, connection_id: str) -> SingleClientProxy:
        """One connection. Sending does nothing if it has ended."""
        require_name(connection_id, "A connection id")
        scope = self._scope
        before_wait = None if scope is None else partial(scope.enter_wait, self)
        return SingleClientProxy(self._lifetime, connection_id, before_wait)

    @property
    def others(self) -> ClientProxy:
        """Every connection except the caller's."""
        return self.all_except((self._connection_id,))

    def others_in_group(self, name: str) -> ClientProxy:
        """The members of a group except the caller."""
        return self.group_except(name, (self._connection_id,))


class CallScope:
    """Decides what a hub instance may do with clients during one call or connection event.

    The base class is for code that has no slot.
    """

    __slots__ = ("_connection_id", "_lifetime")

    def __init__(self, lifetime: HubLifetimeManager, connection_id: str) -> None:
        self._lifetime = lifetime
        self._connection_id = connection_id

    def make_clients(self, hub: object) -> HubCallerClients:
        """The ``clients`` of ``hub``. Made on first use, because most calls do not need them."""
        return HubCallerClients(self._lifetime, self._connection_id, self)

    def enter_wait(self, clients: HubCallerClients) -> None:
        """Called before code that uses ``clients`` waits for a client result.

        Raises an exception if the code must not wait.
        """


class ContextClients(HubClients):
    """Selects among all clients, for code outside of hub methods.

    ``check`` is called before each send.
    """

    __slots__ = ("_check",)

    def __init__(self, lifetime: HubLifetimeManager, check: Check | None) -> None:
        super().__init__(lifetime)
        self._check = check


class GroupManager:
    """Changes group memberships. They end with the connection.

    ``check`` is called before each change.
    """  # G-3

    def __init__(self, lifetime: HubLifetimeManager, check: Check | None = None) -> None:
        self._lifetime = lifetime
        self._check = check

    async def add(self, connection_id: str, group: str) -> None:
        """Adds a connection to a group. An unknown connection is ignored.

        Raises TypeError for an id or a name that is not a str. Raises GroupLimitError when the
        limits in HubOptions do not allow the group.
        """
        require_name(connection_id, "A connection id")
        require_name(group, "A group name")
        if self._check is not None:
            self._check()
        await self._lifetime.add_to_group(connection_id, group)

    async def remove(self, connection_id: str, group: str) -> None:
        """Removes a connection from a group if it is a member. Raises TypeError as ``add`` does."""
        require_name(connection_id, "A connection id")
        require_name(group, "A group name")
        if self._check is not None:
            self._check()
        await self._lifetime.remove_from_group(connection_id, group)


class HubContext:
    """Sends to the clients of a hub class from outside of hub methods.

    All sends and changes of groups are made in the event loop of the server, and connections are
    closed there. In any other event loop, for example in another thread, this raises RuntimeError.
    """

    def __init__(self, lifetime: HubLifetimeManager, check: Check | None = None) -> None:
        """``check`` is called before each send, each change of a group and each close."""
        self.clients = ContextClients(lifetime, check)
        self.groups = GroupManager(lifetime, check)
        self.presence = Presence(lifetime)
        self._lifetime = lifetime
        self._check = check

    async def close_connection(self, connection_id: str, reason: str | None = None) -> bool:
        """Ends a connection. The client gets a Close message with ``reason`` as its error.

        Messages that were sent to the client before arrive first. The client does not reconnect.
        Without a reason, or with an empty one, the Close message has no error.

        Returns whether the connection existed and had not ended. Raises TypeError for an id or a
        reason that is not a str, and NotImplementedError if the lifetime manager does not support
        it.
        """  # G-9
        require_name(connection_id, "A connection id")
        if reason is not None:
            require_name(reason, "A reason")
        if self._check is not None:
            self._check()
        return await self._lifetime.close_connection(connection_id, reason)

    @property
    def connection_count(self) -> int:
        """The number of clients that are connected to this process."""
        return len(self._lifetime.connections)
