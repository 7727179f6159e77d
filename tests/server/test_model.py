"""The server behaves like the model in ``order_model``, which has no tasks (section P).

Clients send any messages in any pieces, and calls wait in any order.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from protocol import Hub, HubOptions, hub_method
from protocol.aio.transport import TransportLimits
from protocol.testing import LoopClock
from tests.support.hub_messages import CLOSE, CLOSE_AND_RECONNECT, joined
from tests.support.server_harness import MemoryClient, ServerHarness
from tests.support.task_age import age

from .order_model import Kind, Message, ModelServer, Outcome

pytestmark = pytest.mark.slow

_OFTEN = ("call",) * 6 + ("unknown", "misfit", "stream", "ping")


class ModelHub(Hub):
    world: "World"

    async def on_connected(self) -> None:
        if self.world.connects != "at once":
            await self.world.connected.wait()
        if self.world.connects == "fails":
            raise LookupError("refused")

    async def on_disconnected(self, error: Exception | None) -> None:
        self.world.told.append("None" if error is None else type(error).__name__)

    @hub_method
    async def wait(self, number: str) -> str:
        message = self.world.calls[number]
        self.world.begin(message)
        try:
            for _ in range(message.yields):
                await asyncio.sleep(0)
            for gate in message.gates:
                await self.world.gate(gate).wait()
        except asyncio.CancelledError:
            self.world.end(message)
            raise
        return self._end(message)

    @hub_method
    def act(self, number: str) -> str:
        message = self.world.calls[number]
        self.world.begin(message)
        return self._end(message)

    def _end(self, message: Message) -> str:
        self.world.end(message)
        if message.outcome == "failure":
            raise LookupError("as agreed")
        if message.outcome == "abort":
            self.context.abort()
        return str(message.number)


class World:
    """The real server, driven as the model is."""

    def __init__(
        self, clock: LoopClock, slots: int, connects: str, limits: TransportLimits
    ) -> None:
        self.connects = connects
        self.connected = asyncio.Event()
        self.calls: dict[str, Message] = {}
        self.journal: list[str] = []
        self.told: list[str] = []
        self.sent: list[Any] = []
        self.running = 0
        self.most = 0
        self._gates: dict[str, asyncio.Event] = {}
        options = HubOptions(maximum_parallel_invocations_per_client=slots)
        self.harness = ServerHarness(
            clock, ModelHub, options, hub_factory=self._make, limits=limits
        )

    def _make(self) -> ModelHub:
        hub = ModelHub()
        hub.world = self
        return hub

    def gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    def begin(self, message: Message) -> None:
        self.journal.append(f"+{message.number}")
        self.running += 1
        self.most = max(self.most, self.running)

    def end(self, message: Message) -> None:
        self.journal.append(f"-{message.number}")
        self.running -= 1

    async def look(self, client: MemoryClient) -> None:
        self.sent += await client.take()


def messages(slots: int, may_yield: bool) -> st.SearchStrategy[list[Message]]:
    """Up to a dozen, most of them calls, numbered."""

    @st.composite
    def one(draw: st.DrawFn) -> Message:
        kind = draw(st.sampled_from(_OFTEN * 5 + get_args(Kind)))
        if kind != "call":
            return Message(kind, 0, has_id=kind == "stream" or draw(st.booleans()))
        is_async = draw(st.booleans())
        gates = draw(st.sampled_from((0, 1, 1, 2))) if is_async else 0
        outcome = draw(st.sampled_from(("value",) * 12 + ("failure",) * 3 + get_args(Outcome)))
        yields = draw(st.sampled_from((0, 0, 0, 1, 5))) if is_async and may_yield else 0
        return Message(
            "call",
            0,
            ("?",) * gates,
            outcome,
            is_async,
            yields,
            draw(st.sampled_from((True, True, False))),
        )

    def number(drawn: list[Message]) -> list[Message]:
        return [
            Message(
                it.kind,
                place,
                tuple(f"{place}.{gate}" for gate in range(len(it.gates))),
                it.outcome,
                it.is_async,
                it.yields,
                it.has_id,
            )
            for place, it in enumerate(drawn)
        ]

    return st.lists(one(), min_size=6, max_size=20).map(number)


def arranged(sent: list[Any], slots: int) -> list[Any]:
    """What was sent in one step, refusals behind answers where calls run beside each other.

    A refusal needs no slot: behind a call that was waiting it may leave before or after the answer
    with which another slot ends in the same turn of the loop.
    """
    if slots == 1:
        return sent

    def place(message: Any) -> int:
        text = message.get("error", "")
        is_refusal = text.startswith("Failed to invoke") or "non-streaming" in text
        return 2 if message["type"] == 7 else int(is_refusal)

    return sorted(sent, key=place)


Draw = Callable[[Any], Any]


def play(example: Callable[[Draw, LoopClock], Awaitable[None]], draw: Draw) -> None:
    """Runs one example in a loop of its own, without the logs of the faults that it causes."""

    async def run() -> None:
        with LoopClock() as clock:
            await example(draw, clock)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
        asyncio.run(run())


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_like_a_server_without_tasks(data: st.DataObject) -> None:
    """P-1, P-2, P-3, S-20, S-24, S-26, TW-14, L-2…L-5: starts, ends and answers in their order,
    never more than there are slots at once, and nothing left at the end."""
    play(compare, data.draw)


async def compare(draw: Draw, clock: LoopClock) -> None:
    slots = draw(st.integers(1, 3))
    connects = draw(st.sampled_from(("at once",) * 6 + ("waits", "waits", "fails")))
    way = draw(st.sampled_from(("finish", "violate", "abort", "shut down", "vanish")))
    limits = TransportLimits(
        # A server that does not read notices no violation, and does not get bytes sent before the
        # connection is cut.
        application_max_buffer_size=draw(st.sampled_from((65536, 65536, 200)))
        if way not in ("violate", "vanish")
        else 65536,
        transport_max_buffer_size=draw(st.sampled_from((65536, 65536, 64))),
    )
    planned = draw(messages(slots, slots == 1 and way not in ("finish", "vanish")))
    world = World(clock, slots, connects, limits)
    world.calls = {str(message.number): message for message in planned}
    model = ModelServer(slots, connects != "at once")
    client = await world.harness.connect()
    stream = joined(*(message.record() for message in planned))
    ends = [end + 1 for end, byte in enumerate(stream) if byte == 0x1E]
    sent = complete = seen = 0
    is_over = False
    closing: asyncio.Task[None] | None = None
    all_gates = [gate for message in planned for gate in message.gates]

    def connect() -> None:
        world.connected.set()
        model.connect(connects == "waits")

    last = draw(st.integers(0, 40))  # of the client
    for turn in range(last + 5):
        acts = [] if is_over or sent == len(stream) else ["send"] * 3
        acts += ["open"] * (len(model.awaited) * 2) + ["open early"] * bool(all_gates)
        acts += ["connect"] * (model.connecting and 2)
        match "end" if turn == last else draw(st.sampled_from(acts or [""])):
            case "send":
                size = draw(st.integers(1, 50) | st.integers(100, 400) | st.integers(400, 2000))
                client.send_bytes(stream[sent : sent + size])
                sent = min(sent + size, len(stream))
                arrived = sum(end <= sent for end in ends)
                model.receive(planned[complete:arrived])
                complete = arrived
            case "open":
                gates = draw(st.lists(st.sampled_from(model.awaited), min_size=1, unique=True))
                for gate in gates:
                    world.gate(gate).set()
                model.open(gates)
            case "open early":
                gate = draw(st.sampled_from(all_gates))
                world.gate(gate).set()
                model.open([gate])
            case "connect":
                connect()
            case "end":
                is_over = True
                match way:
                    case "finish" | "vanish":
                        inside = sent > (ends[complete - 1] if complete else 0)
                        (client.transport.finish if way == "finish" else client.vanish)()
                        model.finish(inside)
                    case "violate":
                        client.transport.violate("broken")
                        model.end("TransportViolationError", None)
                    case "abort":
                        (connection,) = world.harness.server._connections or (None,)
                        if connection is not None:
                            connection.connection.abort()
                        model.end("None", CLOSE)
                    case _:
                        closing = asyncio.create_task(world.harness.server.close())
                        model.end("None", CLOSE_AND_RECONNECT)
            case _:
                continue
        await world.look(client)
        assert world.journal == model.journal
        if way != "vanish" or not is_over:
            assert arranged(world.sent[seen:], slots) == arranged(model.sent[seen:], slots)
            seen = len(world.sent)
        assert world.told == model.told
    event(f"{len(model.journal) // 6 * 6} or more starts and ends")

    if model.connecting:
        connect()
    for gate in all_gates:
        world.gate(gate).set()
    model.open(all_gates)
    await world.look(client)
    assert world.journal == model.journal
    if way != "vanish" or not is_over:
        assert arranged(world.sent[seen:], slots) == arranged(model.sent[seen:], slots)
    assert world.told == model.told
    assert world.most <= slots
    assert world.running == 0
    await world.harness.close()
    if closing is not None:
        await closing
    assert client.connection.closed.done()
    await clock.settle()
    assert clock.leftovers() == []
    assert clock.unhandled == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_is_lost(data: st.DataObject) -> None:
    """P-1, TG-8: whoever cancels tasks that methods have run in, and however a client reads,
    at any moment: every call starts, in order, and every one is answered once."""
    play(disturb, data.draw)


async def disturb(draw: Draw, clock: LoopClock) -> None:
    slots = draw(st.integers(1, 3))
    limits = TransportLimits(
        application_max_buffer_size=draw(st.sampled_from((65536, 200))),
        transport_max_buffer_size=draw(st.sampled_from((65536, 100))),
    )
    planned = [
        message
        for message in draw(messages(slots, True))
        if message.outcome != "abort" and message.kind not in ("close", "garbage")
    ]
    world = World(clock, slots, "at once", limits)
    world.calls = {str(message.number): message for message in planned}
    client = await world.harness.connect()
    stream = joined(*(message.record() for message in planned))
    gates = [gate for message in planned for gate in message.gates]
    paused = False
    for _ in range(draw(st.integers(5, 40))):
        match draw(st.sampled_from(("send", "send", "open", "cancel", "read"))):
            case "send":
                size = draw(st.integers(1, 50) | st.integers(100, 2000))
                client.send_bytes(stream[:size])
                stream = stream[size:]
            case "open" if gates:
                world.gate(draw(st.sampled_from(gates))).set()
            case "cancel":
                tasks = sorted(connection_tasks(), key=age)
                if tasks:
                    draw(st.sampled_from(tasks)).cancel()
            case "read":
                paused = not paused
                (client.transport.pause_reading if paused else client.transport.resume_reading)()
            case _:
                continue
        for _ in range(draw(st.integers(0, 3))):
            await asyncio.sleep(0)
    client.transport.resume_reading()
    client.send_bytes(stream)
    for gate in gates:
        world.gate(gate).set()
    await world.look(client)
    started = [int(entry[1:]) for entry in world.journal if entry[0] == "+"]
    assert started == [message.number for message in planned if message.kind == "call"]
    answered = sorted(int(message["invocationId"]) for message in world.sent)
    assert answered == [it.number for it in planned if it.has_id and it.kind != "ping"]
    assert world.most <= slots
    assert world.told == []
    assert len(connection_tasks()) <= slots + 1
    closing = asyncio.create_task(world.harness.server.close())
    await world.look(client)
    assert world.sent[-1] == CLOSE_AND_RECONNECT
    await closing
    assert clock.leftovers() == []
    assert clock.unhandled == []


def connection_tasks() -> list[asyncio.Task[Any]]:
    """Those in which methods run."""
    return [
        task
        for task in asyncio.all_tasks()
        if getattr(task.get_coro(), "__qualname__", "").startswith("HubDispatcher.")
    ]
