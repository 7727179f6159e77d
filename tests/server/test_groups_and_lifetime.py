"""From the handshake to the first call: the order of events, and their failures (H, L-1 … L-3)."""

import asyncio
import logging
from typing import Any

import pytest

from protocol import Hub, HubException, HubOptions, hub_method
from protocol.server.connection_context import HubConnectionContext
from protocol.server.lifetime import DefaultHubLifetimeManager
from tests.support.hub_messages import (
    CLOSE,
    CLOSE_AND_RECONNECT,
    HANDSHAKE,
    PING,
    call,
    event,
    result,
)
from tests.support.server_harness import MakeServer

CLOSED_WITH_ERROR = {"type": 7, "error": "Connection closed with an error."}


class EchoHub(Hub):
    @hub_method
    def echo(self, value: Any) -> Any:
        return value


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        pytest.param(HANDSHAKE, {}, id="H-2"),
        pytest.param({"version": 1, "protocol": "json", "x": [1]}, {}, id="H-1 any order, unknown"),
        pytest.param({"protocol": "JSON", "version": 1}, {}, id="H-4 ignoring case"),
        pytest.param({"protocol": "json", "version": 2}, {}, id="H-5 version 2"),
        pytest.param({"protocol": "json", "version": 0}, {}, id="H-5 version 0"),
        pytest.param(
            {"protocol": "blazorpack", "version": 1},
            {"error": "The protocol 'blazorpack' is not supported."},
            id="H-6",
        ),
        pytest.param(
            {"protocol": "json", "version": 5},
            {"error": "The server does not support version 5 of the 'json' protocol."},
            id="H-8",
        ),
        pytest.param(
            call("Echo", 1),
            {"error": "An unexpected error occurred during connection handshake."},
            id="H-10 a call",
        ),
        pytest.param(
            "nonsense",
            {"error": "An unexpected error occurred during connection handshake."},
            id="H-10 no JSON",
        ),
        pytest.param(
            {"protocol": "json", "version": 1, "x": "x" * 40_000},
            {"error": "Handshake was canceled."},
            id="H-9 too large",
        ),
    ],
)
async def test_handshake(serve: MakeServer, request_: Any, answer: Any) -> None:
    """H-2: a refusal is one record and the end, no Close message."""
    client = await serve(EchoHub).open()
    assert await client.ask(request_) == [answer]
    assert await client.has_ended() == ("error" in answer)
    if "error" in answer:
        assert client.transport.peer.ended == "closed"


async def test_handshake_in_slices_with_calls_behind_it(serve: MakeServer) -> None:
    """H-3: bytes after the request, in the same read, belong to the hub protocol."""
    client = await serve(EchoHub).open()
    client.send_bytes(b'{"protocol":"json",')
    assert await client.take() == []
    client.send_bytes(
        b'"version":1}\x1e{"type":1,"invocationId":"1","target":"Echo","arguments":[1]}\x1e{"ty'
    )
    assert await client.take() == [{}, result(1)]
    client.send_bytes(b'pe":1,"invocationId":"2","target":"Echo","arguments":[2]}\x1e')
    assert await client.take() == [result(2, "2")]


async def test_a_client_that_leaves_before_the_handshake(serve: MakeServer) -> None:
    """H-11: no answer, no hub, no registration."""
    called: list[str] = []

    class WatchedHub(Hub):
        async def on_connected(self) -> None:
            called.append("connected")

        async def on_disconnected(self, error: Exception | None) -> None:
            called.append("disconnected")

    harness = serve(WatchedHub)
    for piece in (b"", b'{"protocol"'):
        client = await harness.open()
        if piece:
            client.send_bytes(piece)
        client.vanish()
        assert await client.has_ended()
    assert called == []
    assert harness.server.context.connection_count == 0


class JournalLifetime(DefaultHubLifetimeManager):
    def __init__(self, journal: list[str]) -> None:
        super().__init__()
        self._journal = journal

    async def on_connected(self, connection: HubConnectionContext) -> None:
        await super().on_connected(connection)
        self._journal.append("registered")
        await self.send_all("Registered", [])  # reaches the new connection, too

    async def on_disconnected(self, connection: HubConnectionContext) -> None:
        await super().on_disconnected(connection)
        self._journal.append("forgotten")


class OrderHub(Hub):
    journal: list[str]
    gate: asyncio.Event

    async def on_connected(self) -> None:
        self.journal.append("connecting")
        await self.clients.caller.send("Hello")
        await self.gate.wait()
        self.journal.append("connected")

    async def on_disconnected(self, error: Exception | None) -> None:
        aborted = self.context.connection_aborted.is_set()
        self.journal.append(f"disconnected {error!r} {aborted}")

    @hub_method
    def work(self) -> None:
        self.journal.append("work")


class Order:
    def __init__(self, serve: MakeServer) -> None:
        self.journal: list[str] = []
        self.gate = asyncio.Event()
        lifetime = JournalLifetime(self.journal)
        self.harness = serve(OrderHub, hub_factory=self._make, lifetime=lifetime)

    def _make(self) -> OrderHub:
        hub = OrderHub()
        hub.journal, hub.gate = self.journal, self.gate
        return hub


async def test_order_of_a_life(serve: MakeServer) -> None:
    """H-14, L-1, L-2: response, registration, OnConnected, messages, Close, OnDisconnected."""
    order = Order(serve)
    client = await order.harness.open()
    client.send(HANDSHAKE, call("Work"), PING)
    assert await client.take() == [{}, event("Registered"), event("Hello")]
    assert order.journal == ["registered", "connecting"]
    order.gate.set()
    assert await client.take() == [result()]
    assert await client.ask(CLOSE) == [CLOSE]
    assert order.journal == [
        "registered",
        "connecting",
        "connected",
        "work",
        "disconnected None True",
        "forgotten",
    ]
    assert await client.has_ended()


async def test_a_client_that_leaves_during_on_connected(serve: MakeServer) -> None:
    """L-1, L-2: its messages are handled, and OnDisconnected follows OnConnected."""
    order = Order(serve)
    client = await order.harness.open()
    client.send(HANDSHAKE, call("Work"))
    await order.harness.clock.settle()
    client.vanish()
    await order.harness.clock.settle()
    assert order.journal == ["registered", "connecting"]
    order.gate.set()
    assert await client.has_ended()
    assert order.journal[2:] == ["connected", "work", "disconnected None True", "forgotten"]


async def test_broadcasts_arrive_from_the_registration_on(serve: MakeServer) -> None:
    """L-1: visible to others while OnConnected still runs."""
    order = Order(serve)
    client = await order.harness.open()
    await client.ask(HANDSHAKE)
    await order.harness.server.context.clients.all.send("News")
    assert await client.take() == [event("News")]
    order.gate.set()


@pytest.mark.parametrize(
    ("error", "detailed", "text"),
    [
        (LookupError("secret"), False, "Connection closed with an error."),
        (LookupError("x"), True, "Connection closed with an error. LookupError: x"),
        (HubException("full"), False, "Connection closed with an error. HubException: full"),
    ],
)
async def test_on_connected_refuses(
    serve: MakeServer, error: Exception, detailed: bool, text: str
) -> None:
    """L-3: Close with an error and without allowReconnect; OnDisconnected is not called."""
    called: list[object] = []

    class RefusingHub(EchoHub):
        async def on_connected(self) -> None:
            await asyncio.sleep(0)
            raise error

        async def on_disconnected(self, error: Exception | None) -> None:
            called.append(error)

    harness = serve(RefusingHub, HubOptions(enable_detailed_errors=detailed))
    client = await harness.open()
    assert await client.ask(HANDSHAKE, call("Echo", 1)) == [{}, {"type": 7, "error": text}]
    assert await client.has_ended()
    assert called == []
    assert harness.server.context.connection_count == 0


async def test_on_connected_aborts(serve: MakeServer) -> None:
    """S-26: after an abort in OnConnected no message is handled; OnDisconnected is called."""
    called: list[object] = []

    class AbortingHub(EchoHub):
        async def on_connected(self) -> None:
            self.context.abort()

        async def on_disconnected(self, error: Exception | None) -> None:
            called.append(error)

    harness = serve(AbortingHub)
    client = await harness.open()
    assert await client.ask(HANDSHAKE, call("Echo", 1)) == [{}, CLOSE]
    assert await client.has_ended()
    assert called == [None]


async def test_on_connected_that_is_cancelled_from_within(serve: MakeServer) -> None:
    """L-3: the cancellation of a task that it awaits is a failure like any other."""

    class CancelledHub(EchoHub):
        async def on_connected(self) -> None:
            never = asyncio.get_running_loop().create_future()
            never.cancel()
            await never

    harness = serve(CancelledHub)
    client = await harness.open()
    assert await client.ask(HANDSHAKE) == [{}, CLOSED_WITH_ERROR]
    assert await client.has_ended()
    assert harness.server.context.connection_count == 0


@pytest.mark.parametrize("waits", [False, True])
async def test_on_connected_whose_task_is_cancelled(serve: MakeServer, waits: bool) -> None:
    """L-3: whatever has cancelled it, the connection ends and is removed."""

    class CancelledHub(EchoHub):
        async def on_connected(self) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            if waits:
                await asyncio.Event().wait()
            raise asyncio.CancelledError

    harness = serve(CancelledHub)
    client = await harness.open()
    assert await client.ask(HANDSHAKE, call("Echo", 1)) == [{}, CLOSED_WITH_ERROR]
    assert await client.has_ended()
    assert harness.server.context.connection_count == 0


@pytest.mark.parametrize("waits", [False, True])
async def test_on_disconnected_whose_task_is_cancelled(serve: MakeServer, waits: bool) -> None:
    """TW-6: the connection is removed nevertheless."""

    class CancelledHub(EchoHub):
        async def on_disconnected(self, error: Exception | None) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            if waits:
                await asyncio.Event().wait()

    harness = serve(CancelledHub)
    client = await harness.connect()
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()
    assert harness.server.context.connection_count == 0


async def test_a_factory_that_returns_one_instance(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """S-28: two callers would share its context; the second call fails, and the log says why."""
    shared = EchoHub()
    harness = serve(EchoHub, hub_factory=lambda: shared)
    client, other = await harness.connect(), await harness.connect()
    assert await client.ask(call("Echo", 1)) == [result(1)]
    (answer,) = await other.ask(call("Echo", 2))
    assert answer["error"] == "An unexpected error occurred invoking 'Echo' on the server."
    assert "hub_factory returned an instance that has served a call already" in caplog.text


async def test_no_hub_for_on_connected(serve: MakeServer) -> None:
    """S-17, L-3: a factory that raises refuses the connection, which leaves no state."""

    class GreetingHub(Hub):
        async def on_connected(self) -> None:
            raise AssertionError("there is no hub to call this on")

    def fail() -> Hub:
        raise LookupError("no database")

    harness = serve(GreetingHub, hub_factory=fail)
    client = await harness.open()
    assert await client.ask(HANDSHAKE) == [{}, CLOSED_WITH_ERROR]
    assert await client.has_ended()
    assert harness.server.context.connection_count == 0


async def test_a_lifetime_manager_that_cannot_register(serve: MakeServer) -> None:
    """L-3: as when OnConnected fails: the connection is refused, and its transport ended."""

    class BrokenLifetime(DefaultHubLifetimeManager):
        async def on_connected(self, connection: HubConnectionContext) -> None:
            raise LookupError("no backplane")

    client = await serve(EchoHub, lifetime=BrokenLifetime()).open()
    assert await client.ask(HANDSHAKE) == [{}, CLOSED_WITH_ERROR]
    assert await client.has_ended()


async def test_a_failing_hub_is_logged_without_payloads(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """L-3: the log contains the hub's name; the client gets no details."""

    class FailingHub(Hub):
        async def on_connected(self) -> None:
            raise LookupError("inner reason")

    with caplog.at_level(logging.ERROR):
        await (await serve(FailingHub).open()).ask(HANDSHAKE)
    assert [record.getMessage() for record in caplog.records] == ["FailingHub.on_connected failed."]


async def test_connection_count(serve: MakeServer) -> None:
    """L-1: counted from the handshake to the end, by HubContext."""
    harness = serve(EchoHub)
    context = harness.server.context
    await harness.open()
    assert context.connection_count == 0
    clients = [await harness.connect() for _ in range(3)]
    assert context.connection_count == 3
    clients[0].vanish()
    clients[1].send(CLOSE)
    await harness.clock.settle()
    assert context.connection_count == 1


async def test_shutdown_while_on_connected_runs(serve: MakeServer) -> None:
    """L-5, L-6: the Close goes out at once; the end waits for OnConnected and OnDisconnected."""
    order = Order(serve)
    client = await order.harness.open()
    await client.ask(HANDSHAKE)
    closing = asyncio.create_task(order.harness.server.close())
    assert await client.take() == [CLOSE_AND_RECONNECT]
    assert not await client.has_ended()
    order.gate.set()
    assert await client.has_ended()
    await closing
    assert order.journal[2:] == ["connected", "disconnected None True", "forgotten"]
