"""Calls of ``cancellable`` methods: their client cancels them or disconnects (S-27)."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from protocol import Hub, HubOptions, hub_method
from tests.support.hub_messages import CLOSE, call, event, failure, result
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness

CANCELLED = "An unexpected error occurred invoking '{}' on the server."
DETAILS = " OperationCanceledException: The operation was canceled."


def cancel(id: str = "1") -> dict[str, Any]:
    return {"type": 5, "invocationId": id}


class CancelHub(Hub):
    world: "World"

    async def _wait(self, name: str) -> str:
        journal = self.world.journal
        journal.append(f"+{name}")
        try:
            await self.world.gate.get()
            journal.append(f"-{name}")
        except asyncio.CancelledError:
            await asyncio.sleep(0)  # a cleanup that waits
            journal.append(f"!{name}")
            raise
        return name

    @hub_method(cancellable=True)
    async def wait(self, name: str) -> str:
        return await self._wait(name)

    @hub_method(cancellable=True)
    def wait_indirectly(self, name: str) -> Awaitable[str]:
        return self._wait(name)

    @hub_method
    async def insist(self, name: str) -> str:
        return await self._wait(name)

    @hub_method(cancellable=True)
    async def ignore(self) -> str:
        try:
            await self.world.gate.get()
        except asyncio.CancelledError:
            pass
        return "ignored"

    @hub_method(cancellable=True)
    async def fail_in_cleanup(self) -> None:
        try:
            await self.world.gate.get()
        finally:
            raise LookupError("secret")

    @hub_method(cancellable=True)
    async def cancel_itself(self) -> None:
        raise asyncio.CancelledError

    @hub_method(cancellable=True)
    async def read(self, items: AsyncIterator[int]) -> str:
        async for _ in items:
            pass
        return await self._wait("read")

    @hub_method(cancellable=True)
    def add(self, left: int, right: int) -> int:
        return left + right


class World:
    """A server of CancelHub, and the starts (+), ends (-) and cancellations (!) of its calls."""

    def __init__(self, serve: MakeServer, **options: Any) -> None:
        self.gate: asyncio.Queue[None] = asyncio.Queue()
        self.journal: list[str] = []
        self.harness: ServerHarness = serve(
            CancelHub, HubOptions(**options), hub_factory=self._make
        )

    def _make(self) -> CancelHub:
        hub = CancelHub()
        hub.world = self
        return hub


@pytest.mark.parametrize("target", ["Wait", "WaitIndirectly"])
@pytest.mark.parametrize("detailed", [False, True])
async def test_a_call_that_its_client_cancels(
    serve: MakeServer, caplog: pytest.LogCaptureFixture, target: str, detailed: bool
) -> None:
    """S-27, S-7: it is answered once, and not logged; the next call is served."""
    world = World(serve, enable_detailed_errors=detailed)
    client = await world.harness.connect()
    with caplog.at_level(logging.WARNING):
        assert await client.ask(call(target, "a")) == []
        text = CANCELLED.format(target) + DETAILS * detailed
        assert await client.ask(cancel()) == [failure(text)]
    assert caplog.records == []
    assert world.journal == ["+a", "!a"]
    assert await client.ask(cancel(), cancel("7"), call("Add", 1, 1)) == [result(2)]


async def test_a_call_that_is_cancelled_in_the_same_read(serve: MakeServer) -> None:
    """S-27: its method does not begin."""
    world = World(serve)
    client = await world.harness.connect()
    assert await client.ask(call("Wait", "a"), cancel()) == [failure(CANCELLED.format("Wait"))]
    assert world.journal == []


async def test_a_call_that_is_cancelled_while_it_waits_for_a_slot(serve: MakeServer) -> None:
    """S-27, P-2: it is answered in its turn, without running."""
    world = World(serve)
    client = await world.harness.connect()
    messages = (
        call("Insist", "a"),
        call("Wait", "b", id="2"),
        cancel("2"),
        call("Add", 1, 1, id="3"),
    )
    assert await client.ask(*messages) == []
    world.gate.put_nowait(None)
    assert await client.take() == [
        result("a"),
        failure(CANCELLED.format("Wait"), "2"),
        result(2, "3"),
    ]
    assert world.journal == ["+a", "-a"]


async def test_only_the_calls_of_that_id_are_cancelled(serve: MakeServer) -> None:
    """S-27"""
    world = World(serve, maximum_parallel_invocations_per_client=3)
    client, other = await world.harness.connect(), await world.harness.connect()
    await client.ask(call("Wait", "a"), call("Wait", "b", id="2"), event("Wait", "c"))
    await other.ask(call("Wait", "d", id="2"))
    assert await client.ask(cancel("2")) == [failure(CANCELLED.format("Wait"), "2")]
    assert world.journal == ["+a", "+b", "+c", "+d", "!b"]


async def test_an_ordinary_method_is_not_cancelled(serve: MakeServer) -> None:
    """S-27"""
    world = World(serve)
    client = await world.harness.connect()
    assert await client.ask(call("Insist", "a"), cancel()) == []
    world.gate.put_nowait(None)
    assert await client.take() == [result("a")]


async def test_a_cancelled_id_does_not_affect_the_next_call(serve: MakeServer) -> None:
    """S-27: nor does a cancellation that comes too late."""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(call("Wait", "a"), cancel())
    assert await client.ask(call("Wait", "b")) == []
    world.gate.put_nowait(None)
    assert await client.take() == [result("b")]
    assert await client.ask(cancel(), call("Wait", "c", id="2")) == []
    assert world.journal == ["+b", "-b", "+c"]


async def test_a_second_cancellation_does_not_disturb_the_cleanup(serve: MakeServer) -> None:
    """S-27"""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(call("Wait", "a"))
    assert await client.ask(cancel(), cancel()) == [failure(CANCELLED.format("Wait"))]
    assert world.journal == ["+a", "!a"]


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("Ignore", result("ignored")),
        ("FailInCleanup", failure(CANCELLED.format("FailInCleanup") + " LookupError: secret")),
    ],
)
async def test_a_method_that_is_cancelled_ends_as_it_likes(
    serve: MakeServer, target: str, answer: Any
) -> None:
    """S-7, S-27"""
    client = await World(serve, enable_detailed_errors=True).harness.connect()
    await client.ask(call(target))
    assert await client.ask(cancel()) == [answer]
    assert await client.ask(call("Add", 1, 1)) == [result(2)]


async def test_a_cancellation_of_the_methods_own(serve: MakeServer) -> None:
    """S-7"""
    client = await World(serve, enable_detailed_errors=True).harness.connect()
    assert await client.ask(call("CancelItself")) == [
        failure(CANCELLED.format("CancelItself") + " CancelledError: ")
    ]


async def test_a_call_with_an_upload_is_cancelled(serve: MakeServer) -> None:
    """S-27, U-6: while it reads, and afterwards."""
    world = World(serve)
    client = await world.harness.connect()
    text = failure(CANCELLED.format("Read"))
    reading = call("Read", streamIds=["s"])
    end = {"type": 3, "invocationId": "s"}
    await client.ask(reading)
    assert await client.ask(cancel()) == [text]
    await client.ask(reading, end)
    assert world.journal == ["+read"]
    assert await client.ask(cancel()) == [text]
    assert await client.ask(reading, cancel()) == [text]
    assert world.journal == ["+read", "!read"]


# ---- the client has disconnected


async def leave(client: MemoryClient) -> None:
    client.vanish()


async def finish(client: MemoryClient) -> None:
    client.transport.finish()


async def close(client: MemoryClient) -> None:
    client.send(CLOSE)


@pytest.mark.parametrize("end", [leave, finish, close])
@pytest.mark.parametrize(
    "message",
    [call("Wait", "read"), event("Wait", "read"), event("Read", streamIds=["s"])],
    ids=["call", "without an id", "with an upload"],
)
async def test_a_call_whose_client_has_gone(
    serve: MakeServer, end: Callable[[MemoryClient], Awaitable[None]], message: Any
) -> None:
    """S-27"""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(message, {"type": 3, "invocationId": "s"})
    assert world.journal == ["+read"]
    await end(client)
    assert await client.has_ended()
    assert world.journal == ["+read", "!read"]
    assert client.connection.ended.done()


async def test_an_ordinary_method_runs_on_when_its_client_has_gone(serve: MakeServer) -> None:
    """S-27, L-4"""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(call("Insist", "a"))
    client.vanish()
    assert await client.has_ended()
    assert not client.connection.ended.done()
    world.gate.put_nowait(None)
    await client.take()
    assert world.journal == ["+a", "-a"]
    assert client.connection.ended.done()


async def test_calls_that_wait_when_their_client_leaves(serve: MakeServer) -> None:
    """S-27, L-4: those of ordinary methods run, those that are cancellable do not."""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(call("Wait", "a"), call("Wait", "b", id="2"), call("Insist", "c", id="3"))
    client.transport.finish()
    await client.take()
    assert world.journal == ["+a", "!a", "+c"]
    world.gate.put_nowait(None)
    assert await client.has_ended()


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_cancellable_is_a_bool(value: Any) -> None:
    """S-27"""
    with pytest.raises(TypeError, match=r"^cancellable is a bool, not "):
        hub_method(cancellable=value)
