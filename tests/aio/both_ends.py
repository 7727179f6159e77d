"""A client and a server of this library on one memory link, and calls of every kind between them.

``World`` makes the calls that a test plans, and records when user code at both ends starts and
ends. With ``Gate`` a test decides when this code continues.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

from protocol import (
    ConnectionClosed,
    Hub,
    HubConnection,
    HubException,
    HubOptions,
    NotConnectedError,
    hub_method,
)
from protocol.aio.transport import TransportLimits
from protocol.client.hub_connection import Connected
from protocol.client.options import HubConnectionOptions
from protocol.json.protocol import JsonHubProtocol
from protocol.server.connection import ServerConnection
from protocol.server.http_request import HttpRequestData
from protocol.server.hub_server import HubServer
from protocol.testing import LoopClock, MemoryTransport

Kind = Literal[
    "add", "wait", "cancellable", "download", "collect", "send", "echo", "ask", "no stream"
]
Failure = Literal["", "hub", "client"]


@dataclass(frozen=True)
class Plan:
    """A call.

    Each of its streams has ``size`` items. With ``waits``, both ends wait at a gate before each
    item. ``failure`` is the end whose code raises after the items. The client leaves the loop over
    a stream after ``take`` items.
    """

    kind: Kind
    size: int = 3
    waits: bool = False
    failure: Failure = ""
    take: int | None = None
    closes: bool = True
    """Whether the client closes a stream when it leaves the loop, instead of only dropping it."""
    padding: int = 0


class Gate:
    """A gate at which code waits for a permission. An open gate lets all code pass."""

    def __init__(self) -> None:
        self._permissions = asyncio.Semaphore(0)
        self._is_open = False

    async def passed(self) -> None:
        if not self._is_open:
            await self._permissions.acquire()

    def permit(self, count: int) -> None:
        for _ in range(count):
            self._permissions.release()

    def open(self) -> None:
        self._is_open = True
        self.permit(10)  # more than the number of tasks that wait at a gate


class StallingTransport(MemoryTransport):
    """One end of a link. While it ``is_stalled``, it receives no bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._is_stalled = False
        self._program_pauses = False

    def pause_reading(self) -> None:
        self._program_pauses = True
        super().pause_reading()

    def resume_reading(self) -> None:
        self._program_pauses = False
        self._apply()

    def stall(self, is_stalled: bool) -> None:
        self._is_stalled = is_stalled
        self._apply()

    def _apply(self) -> None:
        if self._program_pauses or self._is_stalled:
            super().pause_reading()
        else:
            super().resume_reading()


@dataclass
class Link:
    """One connection: the transports of client and server, and the server's end of it."""

    near: StallingTransport
    far: StallingTransport
    server_end: ServerConnection


class EveryHub(Hub):
    """A hub whose methods act by the plan with the number of the call."""

    world: "World"

    @hub_method
    async def add(self, number: int) -> int:
        with self.world.noted("method"):
            self.world.fail_at("hub", number)
            return number

    @hub_method
    async def wait(self, number: int) -> int:
        with self.world.noted("method"):
            await self.world.gate(number, "hub").passed()
            self.world.fail_at("hub", number)
            return number

    @hub_method(cancellable=True)
    async def cancellable(self, number: int) -> int:
        return await self.wait(number)

    @hub_method
    async def download(self, number: int) -> AsyncIterator[str]:
        with self.world.noted("stream"):
            for item in self.world.items(number):
                await self.world.pace("hub", number)
                yield item
            self.world.fail_at("hub", number)

    @hub_method
    async def collect(self, number: int, items: AsyncIterator[str]) -> list[str]:
        with self.world.noted("method"):
            received = self.world.received.setdefault(number, [])
            async for item in items:
                await self.world.pace("hub", number)
                received.append(item)
            self.world.fail_at("hub", number)
            return received

    @hub_method
    async def echo(self, number: int, items: AsyncIterator[str]) -> AsyncIterator[str]:
        with self.world.noted("stream"):
            async for item in items:
                await self.world.pace("hub", number)
                yield item
            self.world.fail_at("hub", number)

    @hub_method
    async def ask(self, number: int) -> int:
        with self.world.noted("method"):
            answer: int = await self.clients.caller.invoke("Answer", number, result_type=int)
            self.world.fail_at("hub", number)
            return answer


class Noted:
    """Counts a start and an end of user code of one kind, around its block."""

    def __init__(self, world: "World", kind: str) -> None:
        self._world = world
        self._kind = kind

    def __enter__(self) -> None:
        self._world.running[self._kind] += 1

    def __exit__(self, *_: object) -> None:
        self._world.running[self._kind] -= 1


class World:
    """The client and the server, which run from ``start`` to ``finish``."""

    def __init__(
        self,
        clock: LoopClock,
        options: HubOptions | None = None,
        limits: TransportLimits | None = None,
        client_options: HubConnectionOptions | None = None,
    ) -> None:
        self.clock = clock
        self.links: list[Link] = []
        self.plans: list[Plan] = []
        self.tasks: list[asyncio.Task[Any]] = []
        """The tasks of the client's calls, by number. They return what ``perform`` returns."""
        self.running: Counter[str] = Counter()
        """How many handlers and methods have started and not ended, by kind."""
        self.received: dict[int, list[str]] = {}
        """The items that the hub has received in each ``collect``."""
        self.server = HubServer(EveryHub, options, hub_factory=self._make_hub)
        self.connection = HubConnection(
            self._connect,
            JsonHubProtocol(),
            client_options or HubConnectionOptions(),
            lambda _: 0.0,
        )
        self.connection.on("Answer", self._answer)
        self._limits = limits or TransportLimits()
        self._gates: dict[tuple[int, str], Gate] = {}
        self._are_open = False

    def _make_hub(self) -> EveryHub:
        hub = EveryHub()
        hub.world = self
        return hub

    async def _connect(self) -> Connected:
        await asyncio.sleep(0)  # a real connector has to wait, too
        near, far = StallingTransport(), StallingTransport()
        near.peer, far.peer = far, near
        far.limits = self._limits
        connection_id = f"c{len(self.links) + 1}"
        request = HttpRequestData("GET", "/hub", "", {}, "127.0.0.1")
        server_end = self.server.open(far, connection_id, request, None)
        self.links.append(Link(near, far, server_end))
        return Connected(near, connection_id)

    async def start(self) -> None:
        await self.server.start()
        await self.connection.start()

    async def finish(self) -> None:
        """Stops the client and then the server, and opens all gates.

        If a stop is cancelled, it is repeated.
        """
        for act in (self.connection.stop, self.server.close):
            while True:
                ending = asyncio.create_task(act())
                await self.clock.settle()
                self.open_gates()
                await self.clock.settle()
                while not ending.done():
                    await self.clock.advance(5)
                if not ending.cancelled():
                    break
            ending.result()

    # ---- user code

    def items(self, number: int) -> list[str]:
        plan = self.plans[number]
        return [f"{number}.{place}" + "x" * plan.padding for place in range(plan.size)]

    def noted(self, kind: str) -> Noted:
        return Noted(self, kind)

    def gate(self, number: int, end: str) -> Gate:
        gate = self._gates.get((number, end))
        if gate is None:
            gate = self._gates[number, end] = Gate()
            if self._are_open:
                gate.open()
        return gate

    def open_gates(self) -> None:
        self._are_open = True
        for gate in self._gates.values():
            gate.open()

    async def pace(self, end: str, number: int) -> None:
        if self.plans[number].waits:
            await self.gate(number, end).passed()

    def fail_at(self, end: Failure, number: int) -> None:
        if self.plans[number].failure == end:
            raise HubException("as planned")

    async def _answer(self, number: int) -> int:
        with self.noted("handler"):
            await self.pace("client", number)
            self.fail_at("client", number)
            return number

    async def _upload(self, number: int) -> AsyncIterator[str]:
        with self.noted("upload"):
            for item in self.items(number):
                await self.pace("client", number)
                yield item
            self.fail_at("client", number)

    # ---- calls

    def call_all(self, plans: Iterable[Plan]) -> None:
        """Starts calls of the client."""
        for plan in plans:
            self.plans.append(plan)
            number = len(self.tasks)
            self.tasks.append(asyncio.get_running_loop().create_task(self.perform(number)))

    async def perform(self, number: int) -> Any:
        """Returns the result of a call, or its items.

        If the call fails it returns the error and the items before it.
        """
        connection, plan = self.connection, self.plans[number]
        taken: list[str] = []
        try:
            match plan.kind:
                case "collect":
                    return await connection.invoke("Collect", number, self._upload(number))
                case "send":
                    return await connection.send("Collect", number, self._upload(number))
                case "download" | "no stream" | "echo":
                    await self._take(number, taken)
                    return taken
                case _:
                    return await connection.invoke(plan.kind, number)
        except (HubException, ConnectionClosed, NotConnectedError) as error:
            return type(error), taken

    async def _take(self, number: int, taken: list[str]) -> None:
        plan = self.plans[number]
        target = "Add" if plan.kind == "no stream" else plan.kind
        arguments = [self._upload(number)] if plan.kind == "echo" else []
        stream = self.connection.stream(target, number, *arguments, item_type=str)
        if plan.closes:
            async with aclosing(stream):
                await self._iterate(number, stream, taken)
        else:
            iteration = self._iterate(number, stream, taken)
            del stream
            await iteration

    async def _iterate(self, number: int, stream: Any, taken: list[str]) -> None:
        plan = self.plans[number]
        if plan.take == 0:
            return
        async for item in stream:
            await self.pace("client", number)
            taken.append(item)
            if len(taken) == plan.take:
                return

    # ---- the end

    def open_entries(self) -> dict[str, int]:
        """The contents of the tables and buffers of both ends, except for empty ones."""
        counts: Counter[str] = Counter(self.running)
        counts["server connections"] = len(self.server._connections)
        events, keeper = self.connection._events, self.connection._keeper
        if events is not None:
            counts["event bytes"] = events._size
            counts["results"] = len(events._results) + len(events._cancelled_results)
            counts["waiting callers"] = events.pauses.callers
        if keeper is not None and keeper._connection is not None:
            connection = keeper._connection
            counts["client calls"] = len(connection._peer.calls)
            counts["download bytes"] = connection._messages._downloads._size
            counts["downloads"] = len(connection._messages._downloads._filled)
            counts["uploading"] = len(connection.calls._uploading)
            counts["client pump"] = connection._pump._waiting_size
        for link in self.links:
            context, dispatcher = link.server_end.connection, link.server_end._dispatcher
            counts["results"] += len(context.results)
            counts["server tasks"] += len(dispatcher.tasks)
            counts["server pump"] += link.server_end._pump._waiting_size
            counts["open transports"] += (link.near.ended is None) + (link.far.ended is None)
            counts["drains"] += len(link.near._drained) + len(link.far._drained)
            invoker = dispatcher._invoker
            if invoker is not None:
                counts["server streams"] += len(invoker._streams._calls)
                counts["server stream ids"] += len(invoker._streams._streamed)
                counts["cancellable calls"] += len(invoker._cancellable._calls)
                counts["server uploads"] += len(invoker._uploads._open)
        return {name: count for name, count in counts.items() if count}
