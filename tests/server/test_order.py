"""Order and number of a connection's running calls (section P)."""

import asyncio
from typing import Any

import pytest

from protocol import Hub, HubOptions, hub_method
from tests.support.hub_messages import CLOSE, PING, call, event, failure, result
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness


class GateHub(Hub):
    """Calls that begin and end when the test says so. ``journal`` contains what happened."""

    journal: list[str]
    gates: dict[str, asyncio.Event]

    @hub_method
    async def hold(self, name: str) -> str:
        self.journal.append(f"+{name}")
        await self.gates.setdefault(name, asyncio.Event()).wait()
        self.journal.append(f"-{name}")
        return name

    @hub_method
    def quick(self, name: str) -> str:
        self.journal.append(name)
        return name


class Gates:
    def __init__(self, serve: MakeServer, slots: int = 1) -> None:
        self.journal: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        options = HubOptions(maximum_parallel_invocations_per_client=slots)
        self.harness: ServerHarness = serve(GateHub, options, hub_factory=self._make)

    def _make(self) -> GateHub:
        hub = GateHub()
        hub.journal, hub.gates = self.journal, self.gates
        return hub

    async def connect(self) -> MemoryClient:
        return await self.harness.connect()

    def open(self, name: str) -> None:
        self.gates.setdefault(name, asyncio.Event()).set()


async def test_calls_do_not_overlap(serve: MakeServer) -> None:
    """P-2: with one slot a call begins when the one before it has ended; answers in order."""
    gates = Gates(serve)
    client = await gates.connect()
    calls = [call("Hold", "a"), call("Quick", "b", id="2"), call("Hold", "c", id="3")]
    assert await client.ask(*calls) == []
    assert gates.journal == ["+a"]
    gates.open("a")
    assert await client.take() == [result("a"), result("b", "2")]
    assert gates.journal == ["+a", "-a", "b", "+c"]
    gates.open("c")
    assert await client.take() == [result("c", "3")]


async def test_calls_in_separate_pieces_keep_their_order(serve: MakeServer) -> None:
    """P-1: order is that of arrival, however the calls arrived."""
    gates = Gates(serve)
    client = await gates.connect()
    assert await client.ask(call("Hold", "a")) == []
    for number in range(2, 6):
        client.send(call("Quick", str(number), id=str(number)))
        await gates.harness.clock.settle()
    gates.open("a")
    assert await client.take() == [
        result("a"),
        *(result(str(number), str(number)) for number in range(2, 6)),
    ]


async def test_calls_without_an_id_take_the_slot_too(serve: MakeServer) -> None:
    """P-2: the order is the same for calls without an answer."""
    gates = Gates(serve)
    client = await gates.connect()
    assert await client.ask(event("Hold", "a"), call("Quick", "b")) == []
    gates.open("a")
    assert await client.take() == [result("b")]
    assert gates.journal == ["+a", "-a", "b"]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param(
            call("Nobody", id="2"),
            failure(
                "Failed to invoke 'Nobody' due to an error on the server."
                " HubException: Method does not exist.",
                "2",
            ),
            id="unknown method",
        ),
        pytest.param(
            call("Quick", 1, id="2"),
            failure("Failed to invoke 'Quick' due to an error on the server.", "2"),
            id="binding error",
        ),
        pytest.param(
            {"type": 4, "invocationId": "2", "target": "Quick", "arguments": ["x"]},
            failure(
                "The client attempted to invoke the non-streaming 'Quick' method with a streaming"
                " invocation.",
                "2",
            ),
            id="P-3 streaming invocation",
        ),
    ],
)
async def test_what_needs_no_slot(serve: MakeServer, message: Any, answer: Any) -> None:
    """P-2, P-3: answered beside a running call, but not past a waiting one."""
    gates = Gates(serve)
    client = await gates.connect()
    assert await client.ask(call("Hold", "a"), message) == [answer]
    assert await client.ask(call("Hold", "b", id="3"), message) == []
    gates.open("a")
    assert await client.take() == [result("a"), answer]
    gates.open("b")
    assert await client.take() == [result("b", "3")]


async def test_a_close_passes_a_running_call(serve: MakeServer) -> None:
    """S-24: a Close does not wait behind a running call, whose answer is dropped then."""
    gates = Gates(serve)
    client = await gates.connect()
    assert await client.ask(call("Hold", "a"), CLOSE) == [CLOSE]
    assert await client.has_ended()
    gates.open("a")
    await gates.harness.clock.settle()
    assert gates.journal == ["+a", "-a"]


async def test_a_close_waits_behind_a_waiting_call(serve: MakeServer) -> None:
    """S-24: it waits if a call before it waits for a slot."""
    gates = Gates(serve)
    client = await gates.connect()
    assert await client.ask(call("Hold", "a"), call("Hold", "b", id="2"), CLOSE) == []
    gates.open("a")
    assert await client.take() == [result("a"), CLOSE]
    assert gates.journal == ["+a", "-a", "+b"]
    gates.open("b")


@pytest.mark.parametrize("slots", [2, 3])
async def test_several_slots(serve: MakeServer, slots: int) -> None:
    """P-2: this number of calls run at once; a free slot is used by the next call in order."""
    gates = Gates(serve, slots)
    client = await gates.connect()
    names = ["a", "b", "c", "d", "e"]
    for position, name in enumerate(names):
        client.send(call("Hold", name, id=str(position)))
    assert await client.take() == []
    assert gates.journal == [f"+{name}" for name in names[:slots]]
    gates.open(names[slots - 1])
    assert await client.take() == [result(names[slots - 1], str(slots - 1))]
    assert gates.journal[-1] == f"+{names[slots]}"
    for name in names:
        gates.open(name)
    assert len(await client.take()) == len(names) - 1
    assert [entry for entry in gates.journal if entry[0] == "+"] == [f"+{name}" for name in names]


async def test_slots_are_taken_in_one_piece(serve: MakeServer) -> None:
    """P-2: calls that came in one piece start side by side."""
    gates = Gates(serve, 2)
    client = await gates.connect()
    calls = [call("Hold", name, id=name) for name in ("a", "b", "c")]
    assert await client.ask(*calls) == []
    assert gates.journal == ["+a", "+b"]
    gates.open("b")
    assert await client.take() == [result("b", "b")]
    assert gates.journal[2:] == ["-b", "+c"]
    for name in ("a", "c"):
        gates.open(name)


async def test_slots_are_each_client_s_own(serve: MakeServer) -> None:
    """P-6: a call that hangs delays only its own connection."""
    gates = Gates(serve)
    slow, quick = await gates.connect(), await gates.connect()
    assert await slow.ask(call("Hold", "a"), call("Quick", "b", id="2")) == []
    assert await quick.ask(call("Quick", "c")) == [result("c")]
    gates.open("a")


async def test_messages_behind_a_running_call(serve: MakeServer) -> None:
    """P-2: the reader goes on beside a running call, so pings arm the client timeout (K-3)."""
    gates = Gates(serve)
    client = await gates.connect()
    assert await client.ask(call("Hold", "a"), PING) == []
    await gates.harness.clock.advance(31)
    assert [message for message in await client.take() if message != PING] == [
        {
            "type": 7,
            "error": "Connection closed with an error.",
            "allowReconnect": True,
        }
    ]
    gates.open("a")


async def test_many_calls_at_once(serve: MakeServer) -> None:
    """P-1: a burst is answered completely and in order."""
    gates = Gates(serve)
    client = await gates.connect()
    calls = [call("Quick", str(number), id=str(number)) for number in range(500)]
    answers = await client.ask(*calls)
    assert answers == [result(str(number), str(number)) for number in range(500)]
