"""One hub behind the gateway, and all of them (GW-8, GW-10, GW-27).

`Downstream` decides when a call is sent and over which connection. `downstream.connection` keeps
the first connection open. Only events of this connection are forwarded. They go to a callback,
which in the gateway is `Broadcaster.on_event`. `downstream.spares` has further connections, and
`downstream.admission` limits the calls. `downstream.failures` decides how the gateway answers a
call that fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from protocol import ExponentialBackoff, HubConnection, NotConnectedError, Payload

from ..access.identity import Identity
from ..orchestration.orchestrator import DownstreamHub
from ..orchestration.route import HubRoute
from ..routing.relay import require_invoke_method
from .admission import RouteAdmission
from .building import build_connection, build_connections
from .call_errors import GatewayDraining, HubUnavailable
from .call_limit import CallLimit
from .calls import CallHeaders, HubCalls, HubItems
from .circuit import Circuit
from .clock import Clock
from .connection import HubStatus, SupervisedConnection
from .spares import SpareConnections

T = TypeVar("T")

CONNECT_WAIT = 5.0
"""Seconds that a call waits for a hub that is down (GW-9)."""
DISCONNECT_TIMEOUT = 2.0
"""Seconds that the connections to all hubs get to be closed when the gateway stops."""
_JSON_BYTES = 8
"""The number of bytes of JSON that may become one byte of MessagePack.

JSON without white space has up to six times the bytes of the same values in MessagePack."""

NO_CLIENT_RESULT = (
    "The gateway does not answer hub methods that ask their client for a result. Clients that "
    "connect to the hub directly can."
)
"""The error that a hub method receives when it asks the gateway for a result (GW-33)."""

OnEvent = Callable[[str, str, Payload], Awaitable[None]]
"""Called with api, target and arguments of each event, in the order of the hub's events (GW-24).

The next event is passed on when the callback has returned. Until then the hub's events wait in a
bounded queue, and reading from the hub pauses while the queue is full.
"""


class Downstream:
    """One hub behind the gateway. Create it inside a running event loop, then `start` it.

    `connection` is what `build_connections` returns for the hub.
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
        self._draining = False
        self._connection = connection
        # Registered before the connection starts, so that no event is missed (GW-27).
        if on_event is not None:
            connection.on_any(_forwarder_for(hub.api, connection.hub_protocol.name, on_event))
        connection.set_no_result_error(NO_CLIENT_RESULT)
        self._supervised = SupervisedConnection(
            hub.api, connection, self._clock, backoff or ExponentialBackoff(), utcnow
        )
        self._calls = HubCalls(hub.api, connection, self._clock)
        self._spares = SpareConnections(
            hub.api, self._build_spare, hub.spare_connections, self._clock
        )
        self._limit = CallLimit(hub.maximum_calls, hub.busy_timeout, self._clock)
        self._admissions: dict[str, RouteAdmission] = {}  # by the key of the route

    @property
    def hub(self) -> DownstreamHub:
        return self._hub

    @property
    def status(self) -> HubStatus:
        return self._supervised.status

    @property
    def is_answering(self) -> bool:
        """False while a call on the first connection has no answer after its timeout (GW-34)."""
        return self._calls.stuck_since is None

    @property
    def open_circuits(self) -> int:
        """How many routes are refused because their calls timed out (GW-36)."""
        return sum(admission.is_open for admission in self._admissions.values())

    @property
    def spare_events(self) -> int:
        """How many events spare connections have received; none of them is forwarded (GW-34)."""
        return self._spares.events

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

    def start(self) -> None:
        """Begin to connect and return at once, so that the gateway serves while hubs are down."""
        self._supervised.start()

    def drain(self) -> None:
        """Refuse new calls, and calls that wait for the hub. Calls that were sent continue."""
        self._draining = True
        self._supervised.give_up()

    def cut_off(self) -> None:
        """End the calls that were sent and are not completed, and cancel them at the hub."""
        self._calls.cut_off()
        self._spares.cut_off()

    async def stop(self) -> None:
        """End the connections for good; calls without a completion fail."""
        self.drain()
        await asyncio.gather(self._supervised.stop(), self._spares.stop())
        self._calls.close()

    async def invoke(
        self,
        route: HubRoute,
        arguments: Sequence[Payload],
        headers: Mapping[str, str] | None = None,
        identity: Identity | None = None,
    ) -> Payload | None:
        """Invoke the method of `route` and return its result; None if it returned nothing.

        `headers` are headers of the invocation, which are left out if the call is too large with
        them. Those of `identity` are not left out.

        Arguments in another hub protocol than the hub's are transcoded. A call to
        a hub that is down waits up to `CONNECT_WAIT` seconds for the connection; the timeout of the
        route begins after that.

        If nothing was sent, raises `HubUnavailable` or a subclass, `MessageTooLargeError`,
        `TranscodingError`, or `RefusedCall` for a route without a method. Otherwise raises
        `HubTimeout`, `CallCutOff`, `HubException` for the hub's error, or `ConnectionClosed`.
        Cancelling this coroutine cancels the invocation.
        """
        method, timeout = require_invoke_method(route), route.invoke_timeout
        sent = CallHeaders(headers, None if identity is None else identity.headers)
        admission, ticket = await self._enter(route)
        error: BaseException | None = None
        try:
            return await self._send(
                timeout, lambda calls: calls.invoke(method, arguments, sent, timeout)
            )
        except BaseException as exc:
            error = exc
            raise
        finally:
            admission.ended(ticket, error)
            admission.leave()

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
        admission, ticket = await self._enter(route)
        try:
            items = await self._send(
                timeout,
                lambda calls: calls.stream(
                    method, arguments, sent, timeout, route.stream_idle_timeout
                ),
            )
        except BaseException as exc:
            admission.ended(ticket, exc)
            admission.leave()
            raise
        admission.ended(ticket, None)
        items.on_close(admission.leave)
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

    async def _send(self, timeout: float, call: Callable[[HubCalls], Awaitable[T]]) -> T:
        """Return the result of `call`. If the hub is not connected, wait for it and call again."""
        deadline: float | None = None
        while not self._draining:
            calls = self._calls
            if calls.stuck_since is not None:
                calls = await self._spares.free(2 * timeout) or calls
            try:
                return await call(calls)
            except NotConnectedError as exc:  # nothing was sent
                now = self._clock.time()
                if deadline is None:
                    deadline = now + CONNECT_WAIT
                elif now >= deadline:
                    raise HubUnavailable(self._hub.api) from exc
                await self._wait_for_connection(deadline)
        raise GatewayDraining(self._hub.api)

    async def _wait_for_connection(self, deadline: float) -> None:
        try:
            await self._supervised.wait(deadline)
        except HubUnavailable as exc:
            if self._draining:
                raise GatewayDraining(self._hub.api) from exc
            raise

    def _build_spare(self) -> HubConnection:
        connection = build_connection(self._hub)
        if connection is self._connection:
            raise RuntimeError("build_hub_connection returned the same connection twice")
        connection.set_no_result_error(NO_CLIENT_RESULT)
        return connection


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
            forwarded = None if hub.relayed else on_event  # otherwise each would come twice
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
        """End all connections at the same time, within `DISCONNECT_TIMEOUT`."""
        stops = {asyncio.create_task(each.stop()) for each in self._downstreams.values()}
        if stops:
            _, late = await asyncio.wait(stops, timeout=DISCONNECT_TIMEOUT)
            for each in late:
                each.cancel()


def _forwarder_for(
    api: str, protocol_name: str, on_event: OnEvent
) -> Callable[[str, msgspec.Raw], Awaitable[None]]:
    async def forward(target: str, arguments: msgspec.Raw) -> None:
        await on_event(api, target, Payload({protocol_name: arguments}))

    return forward
