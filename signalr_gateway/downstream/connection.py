"""The supervised connection to one downstream hub (GW-27, GW-28, GW-10).

`Downstream` connects at start and after each loss, until it is stopped. Callers of a hub that is
down share one connect attempt at a time. `downstream.backoff` decides when the next attempt is due.
Events go to a callback; the gateway passes that of `clients.broadcast`. `downstream.failures`
decides what the caller of a failed call receives.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TypeVar

import msgspec

from protocol import HubConnection, HubConnectionState, NotConnectedError, Payload

from ..logs.redaction import describe_error
from ..orchestration.orchestrator import DownstreamHub
from .backoff import AttemptSchedule, Backoff
from .building import build_connections
from .call_errors import GatewayDraining, HubUnavailable
from .calls import HubCalls, HubItems
from .clock import Clock
from .deadlines import timeouts
from .state_log import StateLog

T = TypeVar("T")

CONNECT_WAIT = 5.0
"""Seconds that a call waits for a hub that is down (GW-9)."""
DISCONNECT_TIMEOUT = 2.0
"""Seconds that the connections to all hubs get to be closed when the gateway stops."""
ATTEMPT_TIMEOUT = 30.0
"""Seconds after which a connect attempt is cancelled."""
_JSON_BYTES = 8
"""How many bytes of JSON may become one byte of another hub protocol.

Without white space, JSON has up to six times the bytes of the same values in MessagePack."""

NO_CLIENT_RESULT = (
    "The gateway does not answer hub methods that ask their client for a result. Clients that "
    "connect to the hub directly can."
)
"""The error for a hub method that calls its client and waits, here the gateway (GW-33)."""

OnEvent = Callable[[str, str, Payload], Awaitable[None]]
"""Called with api, target and arguments of each event, in the order of the hub's events (GW-24).

It is awaited before the next call. Until it returns, the hub's events collect in a bounded queue,
and reading from the hub pauses when the queue is full.
"""


class HubState(Enum):
    """The state of the connection to a hub, with the words of health answers (GW-28)."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class HubStatus:
    """The state of the connection to a hub; `since` is the time at which this state began.

    `last_error` says why the hub is not connected. It is None while the hub is connected, before
    the first failure, and after `stop`.
    """

    state: HubState
    since: datetime
    last_error: str | None


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
        backoff: Backoff | None = None,
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hub = hub
        self._clock: Clock = clock or asyncio.get_running_loop()
        self._utcnow = utcnow
        self._schedule = AttemptSchedule(backoff or Backoff())
        self._status = HubStatus(HubState.CONNECTING, utcnow(), None)
        self._waiters: set[asyncio.Future[bool]] = set()
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._draining = False
        self._supervisor: asyncio.Task[None] | None = None
        self._log = StateLog(hub.api)
        self._connection = connection
        self._calls = HubCalls(hub.api, connection, self._clock)
        self._attempts = timeouts(ATTEMPT_TIMEOUT, self._clock)
        protocol_name = connection.hub_protocol.name
        # Registered before the connection starts, so that no event is missed (GW-27).
        if on_event is not None:
            self._connection.on_any(_forwarder_for(hub.api, protocol_name, on_event))
        self._connection.set_no_result_error(NO_CLIENT_RESULT)
        self._connection.on_reconnecting(self._on_reconnecting)
        self._connection.on_reconnected(self._on_reconnected)
        self._connection.on_closed(self._on_closed)

    @property
    def hub(self) -> DownstreamHub:
        return self._hub

    @property
    def status(self) -> HubStatus:
        return self._status

    @property
    def maximum_body_size(self) -> int | None:
        """The most bytes of JSON that can be an invocation which the hub accepts; None: no limit.

        For a MessagePack hub this is an estimate: the invocation itself is measured as well.
        """
        limit = self._connection.maximum_send_message_size
        if limit is None:
            return None
        return limit if self._connection.hub_protocol.name == "json" else limit * _JSON_BYTES

    def start(self) -> None:
        """Begin to connect and return at once, so that the gateway serves while hubs are down."""
        self._supervisor = asyncio.create_task(self._supervise(), name=f"hub {self._hub.api}")

    def drain(self) -> None:
        """Refuse new calls and those that wait for the hub; calls that were sent continue."""
        self._draining = True
        self._release_waiters(connected=False)

    def cut_off(self) -> None:
        """End the calls that were sent and are not completed; the hub gets cancellations."""
        self._calls.cut_off()

    async def stop(self) -> None:
        """End the connection for good; calls without a completion fail."""
        self.drain()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        self._enter(HubState.STOPPED, None)
        await self._connection.stop()
        self._attempts.close()
        self._calls.close()

    async def invoke(
        self, method: str, arguments: Sequence[Payload], timeout: float | None = None
    ) -> Payload | None:
        """Invoke `method` of the hub and return its result, None if it returned nothing.

        Arguments that are written in another hub protocol than the hub's are transcoded. `timeout`
        is in seconds, None for the hub's `invoke_timeout`. A call to a hub that is down waits up to
        `CONNECT_WAIT` seconds for the connection; the timeout begins after that.

        If nothing was sent, raises `HubUnavailable`, `GatewayDraining`, `MessageTooLargeError` or
        `TranscodingError`. Otherwise raises `HubTimeout`, `CallCutOff`, `HubException` for the
        hub's error, or `ConnectionClosed`. Cancelling this coroutine cancels the invocation.
        """
        timeout = self._hub.invoke_timeout if timeout is None else timeout
        return await self._when_connected(lambda: self._calls.invoke(method, arguments, timeout))

    async def stream(
        self, method: str, arguments: Sequence[Payload], timeout: float, idle_timeout: float
    ) -> HubItems:
        """Start a stream of the hub, and return its items when the first of them has arrived.

        The first item has `timeout` seconds to arrive, each following one `idle_timeout` seconds.
        The caller must `aclose` the items. Raises what `invoke` raises.
        """
        return await self._when_connected(
            lambda: self._calls.stream(method, arguments, timeout, idle_timeout)
        )

    async def _when_connected(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` returns. Wait for the connection while `call` cannot send anything."""
        deadline: float | None = None
        while not self._draining:
            try:
                return await call()
            except NotConnectedError as exc:  # nothing was sent
                now = self._clock.time()
                if deadline is None:
                    deadline = now + CONNECT_WAIT
                elif now >= deadline:
                    raise HubUnavailable(self._hub.api) from exc
                await self._until_connected(deadline)
        raise GatewayDraining(self._hub.api)

    async def _until_connected(self, deadline: float) -> None:
        if self._connection.state is HubConnectionState.CONNECTED:
            # The connection was lost during the call, or has been established since.
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        self._wake.set()
        timer = self._clock.call_at(deadline, lambda: _release(waiter, connected=False))
        try:
            connected = await waiter
        finally:
            timer.cancel()
            self._waiters.discard(waiter)
        if not connected:
            raise (
                GatewayDraining(self._hub.api) if self._draining else HubUnavailable(self._hub.api)
            )

    # --- supervision -----------------------------------------------------------------------

    async def _supervise(self) -> None:
        while True:
            await self._until_due()
            if await self._attempt():
                await self._closed.wait()
                self._schedule.lost(self._clock.time())

    async def _until_due(self) -> None:
        while True:
            due = self._schedule.due(callers_waiting=bool(self._waiters))
            if due <= self._clock.time():
                return
            self._wake.clear()
            timer = self._clock.call_at(due, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    async def _attempt(self) -> bool:
        self._schedule.started(self._clock.time())
        self._closed.clear()
        try:
            await self._start_connection()
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as exc:  # a token factory may raise anything (GW-27)
            self._schedule.failed(self._clock.time())
            self._attempt_failed(exc)
            return False
        self._schedule.connected(self._clock.time())
        self._entered_connected()
        return True

    async def _start_connection(self) -> None:
        async with asyncio.timeout(None) as limit:
            self._attempts.start(limit)
            try:
                await self._connection.start()
            finally:
                self._attempts.stop(limit)

    def _attempt_failed(self, error: BaseException) -> None:
        reason = describe_error(error)
        self._status = HubStatus(self._status.state, self._status.since, reason)
        self._log.note(logging.WARNING, f"cannot connect: {reason}", self._clock.time())

    def _entered_connected(self) -> None:
        self._enter(HubState.CONNECTED, None)
        self._log.note(logging.INFO, "connected", self._clock.time())
        self._release_waiters(connected=True)

    def _on_reconnecting(self, error: Exception | None) -> None:
        # The orchestration has set a retry policy, which decides until it gives up.
        self._enter_reconnecting(error)

    def _on_reconnected(self, connection_id: str | None) -> None:
        self._entered_connected()

    def _on_closed(self, error: Exception | None) -> None:
        if self._status.state is not HubState.STOPPED:
            self._enter_reconnecting(error)
        self._closed.set()

    def _enter_reconnecting(self, error: Exception | None) -> None:
        reason = "closed by the hub" if error is None else describe_error(error)
        self._enter(HubState.RECONNECTING, reason)
        self._log.note(logging.WARNING, f"connection lost: {reason}", self._clock.time())

    def _enter(self, state: HubState, last_error: str | None) -> None:
        since = self._status.since if state is self._status.state else self._utcnow()
        self._status = HubStatus(state, since, last_error)

    def _release_waiters(self, *, connected: bool) -> None:
        for waiter in self._waiters:
            _release(waiter, connected=connected)


MakeDownstream = Callable[[DownstreamHub, HubConnection, OnEvent | None], Downstream]


class Downstreams(Mapping[str, Downstream]):
    """The downstream hubs by api; empty until `start`."""

    def __init__(
        self, hubs: Mapping[str, DownstreamHub], make_downstream: MakeDownstream = Downstream
    ) -> None:
        self._hubs = hubs
        self._make_downstream = make_downstream
        self._downstreams: dict[str, Downstream] = {}
        self._is_draining = False
        self._urls: dict[str, str | None] = {}

    def __getitem__(self, api: str) -> Downstream:
        return self._downstreams[api]

    def __iter__(self) -> Iterator[str]:
        return iter(self._downstreams)

    def __len__(self) -> int:
        return len(self._downstreams)

    @property
    def statuses(self) -> dict[str, HubStatus]:
        return {api: downstream.status for api, downstream in self._downstreams.items()}

    @property
    def urls(self) -> Mapping[str, str | None]:
        """The URL of each hub, by api. URLs may contain secrets."""
        return self._urls

    @property
    def is_draining(self) -> bool:
        """Whether new calls are refused, because the gateway stops."""
        return self._is_draining

    def start(self, on_event: OnEvent | None) -> None:
        """Build all connections, then begin to connect. Raises `OrchestrationError`."""
        for api, connection in build_connections(self._hubs, self._urls).items():
            self._downstreams[api] = self._make_downstream(self._hubs[api], connection, on_event)
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


def _release(waiter: asyncio.Future[bool], *, connected: bool) -> None:
    if not waiter.done():
        waiter.set_result(connected)


def _forwarder_for(
    api: str, protocol_name: str, on_event: OnEvent
) -> Callable[[str, msgspec.Raw], Awaitable[None]]:
    async def forward(target: str, arguments: msgspec.Raw) -> None:
        await on_event(api, target, Payload({protocol_name: arguments}))

    return forward
