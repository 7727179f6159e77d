"""One hub behind the gateway, and all of them (GW-8, GW-10, GW-27).

`Downstream` decides when a call is sent, and over which connections: those that all callers share,
or those of the user, which `downstream.users` keeps. Events go to a callback, which in the gateway
is `Broadcaster.on_event`. `downstream.connections` makes the calls, and `downstream.admission`
limits them. `downstream.failures` decides how the gateway answers a call that fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from protocol import ExponentialBackoff, HubConnection, Payload

from ..access.identity import Identity
from ..orchestration.orchestrator import DownstreamHub
from ..orchestration.route import HubRoute
from ..routing.tables import require_invoke_method
from .admission import RouteAdmission
from .building import build_connections
from .call_limit import CallLimit
from .calls import CallHeaders, HubItems
from .circuit import Circuit
from .clock import Clock
from .connecting import Connecting
from .connecting import OnEvent as OnEvent
from .connection import HubState, HubStatus
from .connections import HubConnections
from .users import UserConnection, UserConnections, require_user

DISCONNECT_TIMEOUT = 2.0
"""Seconds in which the connections to all hubs must close when the gateway stops."""
_JSON_BYTES = 8
"""The number of bytes of JSON that may become one byte of MessagePack.

JSON without white space has up to six times the bytes of the same values in MessagePack."""


class Downstream:
    """One hub behind the gateway. Create it inside a running event loop, then `start` it.

    `connection` is what `build_connections` returns for the hub. If each user has a connection to
    the hub, `connection` is never started.
    """

    def __init__(
        self,
        hub: DownstreamHub,
        connection: HubConnection,
        on_event: OnEvent | None = None,
        *,
        clock: Clock | None = None,
        backoff: ExponentialBackoff | None = None,
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hub = hub
        self._clock: Clock = clock or asyncio.get_running_loop()
        self._connection = connection
        self._has_stopped = False
        self._since = utcnow()
        connecting = Connecting(
            hub,
            connection,
            on_event,
            clock=self._clock,
            backoff=backoff or ExponentialBackoff(),
            utcnow=utcnow,
        )
        self._shared: HubConnections | None = None
        self._users: UserConnections | None = None
        if hub.is_per_user:
            self._users = UserConnections(hub, connecting.of_user, self._clock)
        else:
            self._shared = connecting.shared()
        self._limit = CallLimit(hub.maximum_calls, hub.busy_timeout, self._clock)
        self._admissions: dict[str, RouteAdmission] = {}  # by the key of the route

    @property
    def hub(self) -> DownstreamHub:
        return self._hub

    @property
    def status(self) -> HubStatus:
        if self._shared is not None:
            return self._shared.status
        state = HubState.STOPPED if self._has_stopped else HubState.PER_USER
        return HubStatus(state, self._since, None)

    @property
    def is_answering(self) -> bool:
        """False while a call on the first connection has no answer after its timeout (GW-34)."""
        return self._shared is None or self._shared.is_answering

    @property
    def user_connections(self) -> int | None:
        """How many users have a connection; None if all callers share one."""
        return None if self._users is None else len(self._users)

    @property
    def open_circuits(self) -> int:
        """How many routes are refused because their calls timed out (GW-36)."""
        return sum(admission.is_open for admission in self._admissions.values())

    @property
    def spare_events(self) -> int:
        """How many events spare connections have received; none of them is forwarded (GW-34)."""
        return self._connections.spare_events

    @property
    def maximum_body_size(self) -> int | None:
        """The size in bytes above which the hub cannot accept a body of JSON; None for no limit.

        For a MessagePack hub it is an estimate. The size of each invocation is checked again when
        the invocation is sent.
        """
        limit = self._connection.maximum_send_message_size
        if limit is None:
            return None
        return limit if self._connection.hub_protocol.name == "json" else limit * _JSON_BYTES

    @property
    def _connections(self) -> HubConnections | UserConnections:
        connections = self._shared or self._users
        assert connections is not None
        return connections

    def start(self) -> None:
        """Begin to connect and return at once, so that the gateway serves while hubs are down.

        A connection of a user is opened when it is used.
        """
        if self._shared is not None:
            self._shared.start()

    def drain(self) -> None:
        """Refuse new calls, and calls that wait for the hub. Calls that were sent continue."""
        self._connections.drain()

    def cut_off(self) -> None:
        """End the calls that were sent and are not completed, and cancel them at the hub."""
        self._connections.cut_off()

    async def stop(self) -> None:
        """End the connections for good; calls without a completion fail."""
        self._has_stopped = True
        await self._connections.stop()

    def require_caller(self, identity: Identity | None) -> None:
        """Raise `RefusedCall` if the hub has a connection for each user but not for this caller."""
        if self._users is not None:
            require_user(self._hub.api, identity)

    def hold(self, identity: Identity | None) -> Callable[[], None]:
        """Keep the connection of a user open until the returned function is called.

        This does nothing if all callers share a connection. Raises what `UserConnections.enter`
        raises.
        """
        if self._users is None:
            return lambda: None
        return partial(self._users.leave, self._users.enter(identity))

    async def invoke(
        self,
        route: HubRoute,
        arguments: Sequence[Payload],
        headers: Mapping[str, str] | None = None,
        identity: Identity | None = None,
    ) -> Payload | None:
        """Invoke the method of `route` and return its result; None if it returned nothing.

        `headers` are headers of the invocation. They are left out if the call is too large with
        them. The headers of `identity` are always sent. Arguments in another hub protocol than the
        hub's are transcoded. A call to a hub that is down waits up to `CONNECT_WAIT` seconds for
        the connection. The timeout of the route begins after that.

        If nothing was sent, raises `HubUnavailable` or a subclass, `MessageTooLargeError` or
        `TranscodingError`. Raises `RefusedCall` for a route without a method, and for a caller
        without a token that the hub needs. If the call was sent, raises `HubTimeout`, `CallCutOff`,
        `HubException` for the hub's error, or `ConnectionClosed`. Cancelling this coroutine cancels
        the invocation.
        """
        method, timeout = require_invoke_method(route), route.invoke_timeout
        sent = CallHeaders(headers, None if identity is None else identity.headers)
        self.require_caller(identity)
        admission, ticket = await self._enter(route)
        error: BaseException | None = None
        user: UserConnection | None = None
        try:
            if self._users is not None:
                user = self._users.enter(identity)
            return await self._connections_of(user).send(
                timeout, lambda calls: calls.invoke(method, arguments, sent, timeout)
            )
        except BaseException as exc:
            error = exc
            raise
        finally:
            admission.ended(ticket, error)
            admission.leave()
            self._leave(user)

    async def stream(
        self,
        route: HubRoute,
        arguments: Sequence[Payload],
        headers: Mapping[str, str] | None = None,
        identity: Identity | None = None,
    ) -> HubItems:
        """Start the stream of `route`, and return its items when the first of them has arrived.

        The first item has the `invoke_timeout` of the route to arrive, each following one its
        `stream_idle_timeout`. The caller must `aclose` the items. Raises what `invoke` raises.
        """
        method, timeout = require_invoke_method(route), route.invoke_timeout
        sent = CallHeaders(headers, None if identity is None else identity.headers)
        self.require_caller(identity)
        admission, ticket = await self._enter(route)
        user: UserConnection | None = None
        try:
            if self._users is not None:
                user = self._users.enter(identity)
            items = await self._connections_of(user).send(
                timeout,
                lambda calls: calls.stream(
                    method, arguments, sent, timeout, route.stream_idle_timeout
                ),
            )
        except BaseException as exc:
            admission.ended(ticket, exc)
            admission.leave()
            self._leave(user)
            raise
        admission.ended(ticket, None)
        items.on_close(admission.leave)
        items.on_close(partial(self._leave, user))
        return items

    async def _enter(self, route: HubRoute) -> tuple[RouteAdmission, int]:
        """Take the slots of a call of `route`, and return its ticket with them.

        Raises `HubBusy` or `CircuitOpen`.
        """
        admission = self._admissions.get(route.key)
        if admission is None:
            hub, clock = self._hub, self._clock
            of_route = CallLimit(route.maximum_calls, hub.busy_timeout, clock)
            circuit = Circuit(hub.circuit_timeouts, hub.circuit_pause)
            admission = RouteAdmission(route, self._limit, of_route, circuit, clock)
            self._admissions[route.key] = admission
        ticket = admission.try_enter()
        return admission, await admission.enter() if ticket is None else ticket

    def _leave(self, user: UserConnection | None) -> None:
        if self._users is not None and user is not None:
            self._users.leave(user)

    def _connections_of(self, user: UserConnection | None) -> HubConnections:
        connections = self._shared if user is None else user.connections
        assert connections is not None
        return connections


MakeDownstream = Callable[[DownstreamHub, HubConnection, OnEvent | None], Downstream]


class Downstreams(Mapping[str, Downstream]):
    """The hubs to which the gateway connects, by api; empty until `start`."""

    def __init__(
        self, hubs: Mapping[str, DownstreamHub], make_downstream: MakeDownstream = Downstream
    ) -> None:
        self._hubs = hubs
        self._make_downstream = make_downstream
        self._downstreams: dict[str, Downstream] = {}
        self._is_draining = False
        self._urls: dict[str, tuple[str, ...]] = {}

    def __getitem__(self, api: str) -> Downstream:
        return self._downstreams[api]

    def __iter__(self) -> Iterator[str]:
        return iter(self._downstreams)

    def __len__(self) -> int:
        return len(self._downstreams)

    @property
    def urls(self) -> Mapping[str, tuple[str, ...]]:
        """The URLs of each hub, by api. URLs may contain secrets."""
        return self._urls

    @property
    def is_draining(self) -> bool:
        """Whether new calls are refused, because the gateway is stopping."""
        return self._is_draining

    def start(self, on_event: OnEvent | None) -> None:
        """Build all connections, then begin to connect. Raises `OrchestrationError`.

        `on_event` gets no events of relayed hubs.
        """
        for api, connection in build_connections(self._hubs, self._urls).items():
            hub = self._hubs[api]
            # Clients get the events of a relayed hub from the relay.
            forwarded = None if hub.relayed else on_event
            self._downstreams[api] = self._make_downstream(hub, connection, forwarded)
        for downstream in self._downstreams.values():
            downstream.start()

    def drain(self) -> None:
        """See `Downstream.drain`."""
        self._is_draining = True
        for downstream in self._downstreams.values():
            downstream.drain()

    def cut_off(self) -> None:
        """See `Downstream.cut_off`."""
        for downstream in self._downstreams.values():
            downstream.cut_off()

    async def stop(self) -> None:
        """End all connections at the same time, within `DISCONNECT_TIMEOUT`.

        Connections that take longer are cancelled, and then have the same time to end.
        """
        stops = {asyncio.create_task(each.stop()) for each in self._downstreams.values()}
        if stops:
            _, late = await asyncio.wait(stops, timeout=DISCONNECT_TIMEOUT)
            for each in late:
                each.cancel()
            if late:
                await asyncio.wait(late, timeout=DISCONNECT_TIMEOUT)
