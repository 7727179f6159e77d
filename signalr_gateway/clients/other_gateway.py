"""Sends the events of the hubs to the gateway hub of another gateway (GW-57).

`RoutingTables` decides which events are forwarded, as for clients of this gateway. The other
gateway decides which of its clients receive an event. Its side is `clients.relayed_events`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from protocol import (
    ConnectionClosed,
    ExponentialBackoff,
    HubConnection,
    HubException,
    LocalProtocolError,
    MessageTooLargeError,
    NotConnectedError,
    Payload,
    TranscodingError,
)
from protocol.relaying import LogThinning

from ..downstream.building import build_relay_connection
from ..downstream.call_errors import HubUnavailable
from ..downstream.clock import Clock
from ..downstream.connecting import NO_CLIENT_RESULT, OnEvent
from ..downstream.connection import HubState, HubStatus, SupervisedConnection
from ..downstream.connections import CONNECT_WAIT
from ..downstream.deadlines import timeouts, within
from ..downstream.forms import transcode
from ..downstream.hub import DISCONNECT_TIMEOUT
from ..downstream.state_log import StateLog
from ..orchestration.orchestrator import DownstreamHub, Orchestrator
from ..orchestration.route import BroadcastType, HubRoute
from ..routing.tables import HANDLER_STATE, Delivery, RoutingTables
from .event_log import EventLog
from .relay_acceptance import RECEIVE, refusal, require_acceptance

log = logging.getLogger(__name__)

MAXIMUM_WAITING_SIZE: Final = 1024 * 1024
"""Bytes of events that the other gateway has not answered yet."""
CALL_SIZE: Final = 256
"""Bytes of memory that a call takes in addition to its arguments."""
MAXIMUM_CALLS: Final = 64
"""Calls that may wait for their answers at a time. They are sent in the order of the events."""
ANSWER_TIMEOUT: Final = 30.0
"""Seconds in which the other gateway must answer a call."""

_NUMBERS = {
    BroadcastType.ALL: 0,
    BroadcastType.GROUP: 1,
    BroadcastType.INDIVIDUAL: 2,
    # The C# enumeration does not have these two. With 0, all clients would receive the events.
    BroadcastType.AUTHENTICATED: 2,
    BroadcastType.SUBSCRIBED: 2,
}
"""The values of the C# enumeration."""

_FAILURES = (HubException, ConnectionClosed, NotConnectedError, LocalProtocolError, TimeoutError)
"""What a call may raise."""


@dataclass(slots=True)
class _WaitingCall:
    """A call of `RECEIVE`: an event, for one of the routes that receive it."""

    route: HubRoute
    arguments: Payload
    size: int
    """The bytes that this call counts towards `MAXIMUM_WAITING_SIZE`."""
    deadline: float
    """The time until which the call may wait for the connection."""


class OtherGateway:
    """The connection to another gateway. Create it inside a running event loop, then `start` it.

    `connection` is what `build_relay_connection` returns.
    """

    def __init__(
        self,
        tables: RoutingTables,
        connection: HubConnection,
        *,
        clock: Clock | None = None,
        backoff: ExponentialBackoff | None = None,
        utcnow: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tables = tables
        self._connection = connection
        self._clock: Clock = clock or asyncio.get_running_loop()
        connection.set_no_result_error(NO_CLIENT_RESULT)
        self._supervised = SupervisedConnection(
            "relay",
            connection,
            self._clock,
            backoff or ExponentialBackoff(),
            utcnow,
            StateLog("relay"),
            verify=partial(require_acceptance, connection),
        )
        self._route_arguments = {
            (route.api, route.key): route_arguments(hub, route)
            for hub in tables.hubs.values()
            for route in hub.routes.values()
        }
        self._events = EventLog(tables.hubs)
        self._waiting: deque[_WaitingCall] = deque()
        self._arrived = asyncio.Event()
        self._size = 0  # of the waiting calls and of those without an answer
        self._slots = asyncio.Semaphore(MAXIMUM_CALLS)
        self._answers = timeouts(ANSWER_TIMEOUT, self._clock)
        self._calls: set[asyncio.Task[None]] = set()
        self._worker: asyncio.Task[None] | None = None
        self._lost: Counter[str] = Counter()  # by api
        self._thinning = LogThinning()

    @property
    def status(self) -> HubStatus:
        return self._supervised.status

    @property
    def lost(self) -> int:
        """The number of events that were not relayed, counted once for each of their routes."""
        return self._lost.total()

    def start(self) -> None:
        """Begin to connect and return at once."""
        self._supervised.start()
        self._worker = asyncio.create_task(self._send_waiting(), name="relay")

    async def stop(self) -> None:
        """End the connection for good. Waiting events are not sent."""
        tasks = [*self._calls] if self._worker is None else [self._worker, *self._calls]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._waiting.clear()
        await self._supervised.stop()
        self._answers.close()

    async def on_event(
        self, api: str, target: str, arguments: Payload, account: str | None = None
    ) -> None:
        """Queue one event of the hub `api` if a route receives it and its arguments fit.

        It does not wait for the other gateway. An event for which the queue has no room is dropped.
        """
        if self._tables.reads_json(api, target, arguments):
            await transcode(arguments, "json")
        match self._tables.route_event(api, target, arguments):
            case Delivery():
                await self._queue(api, target, arguments)
            case refused:
                self._events.not_forwarded(api, refused)

    async def _queue(self, api: str, target: str, arguments: Payload) -> None:
        protocol_name = self._connection.hub_protocol.name
        await transcode(arguments, protocol_name)
        try:
            form = arguments.form(protocol_name).copy()  # the original keeps the whole frame alive
        except TranscodingError as exc:
            self._events.unwritable(api, target, exc)
            return
        routes = self._tables.routes_of(api, target)
        each, deadline = memoryview(form).nbytes + CALL_SIZE, self._clock.time() + CONNECT_WAIT
        size = each * len(routes)
        if self._size and self._size + size > MAXIMUM_WAITING_SIZE:
            for route in routes:
                self._log_lost(route, f"more than {MAXIMUM_WAITING_SIZE} bytes wait")
            return
        copy = Payload({protocol_name: form})
        self._size += size
        self._waiting.extend(_WaitingCall(route, copy, each, deadline) for route in routes)
        self._arrived.set()

    async def _send_waiting(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            await self._slots.acquire()
            call = self._waiting.popleft()
            try:
                if self.status.state is not HubState.CONNECTED:
                    await self._supervised.wait(call.deadline)
            except HubUnavailable:
                self._log_lost(call.route, "the other gateway is not connected")
                self._end(call)
                continue
            # Tasks first run in the order of their creation, so the order of events is kept.
            task = asyncio.create_task(self._send(call))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _send(self, call: _WaitingCall) -> None:
        key, info = self._route_arguments[call.route.api, call.route.key]
        invocation = self._connection.invoke(
            RECEIVE, key, info, call.arguments, HANDLER_STATE, result_type=msgspec.Raw
        )
        try:
            await within(self._answers, invocation)
        except _FAILURES as exc:
            # The other gateway may have received the event, so it is not sent again.
            self._log_lost(call.route, _reason(exc))
            refused = refusal(exc) if isinstance(exc, HubException) else None
            if refused is not None:  # a new connection reads the key again
                await self._supervised.renew(refused)
        else:
            self._events.forwarded(call.route.api, call.route.receive_method or "")
        finally:
            self._end(call)

    def _end(self, call: _WaitingCall) -> None:
        self._size -= call.size
        self._slots.release()

    def _log_lost(self, route: HubRoute, reason: str) -> None:
        self._lost[route.api] += 1
        level = self._thinning.level((route.api, reason))
        text = "hub %r: event %r not relayed (%d so far): %s"
        log.log(level, text, route.api, route.receive_method, self._lost[route.api], reason)


class RelayTarget:
    """The other gateway of an orchestration with `relay`. There is no connection until `start`."""

    def __init__(self, orchestrator: Orchestrator, tables: RoutingTables) -> None:
        self._orchestrator = orchestrator
        self._tables = tables
        self._gateway: OtherGateway | None = None

    @property
    def status(self) -> HubStatus | None:
        """The state of the connection; None before `start`."""
        return None if self._gateway is None else self._gateway.status

    @property
    def lost(self) -> int:
        """See `OtherGateway.lost`."""
        return 0 if self._gateway is None else self._gateway.lost

    def start(self) -> OnEvent:
        """Build the connection, begin to connect, and return the function that takes events.

        Raises `OrchestrationError`.
        """
        self._gateway = OtherGateway(self._tables, build_relay_connection(self._orchestrator))
        self._gateway.start()
        return self._gateway.on_event

    async def stop(self) -> None:
        """See `OtherGateway.stop`. It takes at most `DISCONNECT_TIMEOUT` seconds."""
        if self._gateway is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(DISCONNECT_TIMEOUT):
                    await self._gateway.stop()


def route_arguments(hub: DownstreamHub, route: HubRoute) -> tuple[Payload, Payload]:
    """The first two arguments of `RECEIVE`, as a relay of the original sends them.

    The types are null. The original sends names of .NET types, which it does not read itself.
    """
    return (
        _payload({"api": route.api, "key": route.key, "receiveKey": hub.receive_key}),
        _payload(
            {
                "invokeMethod": route.invoke_method,
                "receiveMethod": route.receive_method,
                "receiveGroup": route.receive_group,
                "broadcastType": _NUMBERS[route.broadcast_type],
                "receiveParameterTypes": None,
            }
        ),
    )


def _payload(members: Mapping[str, object]) -> Payload:
    return Payload({"json": msgspec.Raw(msgspec.json.encode(members))})


def _reason(error: Exception) -> str:
    """Why a call failed, without texts of the other gateway, which may quote an argument."""
    match error:
        case HubException():
            return "the other gateway answered with an error"
        case TimeoutError():
            return f"the other gateway did not answer within {ANSWER_TIMEOUT:g} seconds"
        case MessageTooLargeError():
            return f"{error.size} bytes are more than the {error.limit} bytes of a message"
        case ConnectionClosed() | NotConnectedError():
            return "the connection to the other gateway was lost"
        case _:
            return "the event cannot be written"
