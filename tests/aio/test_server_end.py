"""How connections end, what clients and OnDisconnected are told (L-4, L-5, S-20, S-24, S-26)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from protocol import Hub, HubException, HubOptions, RemoteProtocolError, hub_method
from protocol.aio.connection import HubConnectionContext
from protocol.aio.lifetime import DefaultHubLifetimeManager

from .conftest import MakeServer
from .server_lab import (
    CLOSE,
    GOODBYE,
    HANDSHAKE,
    RawClient,
    ServerLab,
    call,
    invocation,
    result,
)

CLOSED = "Connection closed with an error."


def closed(details: str = "") -> dict[str, Any]:
    return {"type": 7, "error": CLOSED + details, "allowReconnect": True}


class EndingHub(Hub):
    """``ended`` collects what OnDisconnected is told."""

    ended: list[Exception | None]
    release: asyncio.Event
    served: list[str]

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ended.append(error)

    @hub_method
    def echo(self, value: Any) -> Any:
        return value

    @hub_method
    def serve(self, name: str) -> None:
        self.served.append(name)

    @hub_method
    async def hold(self) -> str:
        await self.release.wait()
        return "held"

    @hub_method
    async def abort(self) -> str:
        await self.clients.caller.send("Before")
        self.context.abort()
        await self.clients.caller.send("After")
        return "dropped"

    @hub_method
    async def until_aborted(self) -> None:
        await self.context.connection_aborted.wait()
        self.ended.append(LookupError("seen"))


class Endings:
    def __init__(self, serve: MakeServer, options: HubOptions | None = None) -> None:
        self.ended: list[Exception | None] = []
        self.release = asyncio.Event()
        self.served: list[str] = []
        self.lab: ServerLab = serve(EndingHub, options, hub_factory=self._make)

    def _make(self) -> EndingHub:
        hub = EndingHub()
        hub.ended, hub.release, hub.served = self.ended, self.release, self.served
        return hub


Cause = Callable[[ServerLab, RawClient], Any]


@pytest.mark.parametrize(
    ("cause", "message", "error"),
    [
        pytest.param(lambda _, client: client.send(CLOSE), CLOSE, None, id="S-24 client's Close"),
        pytest.param(
            lambda _, client: client.send({"type": 7, "allowReconnect": True}),
            CLOSE,
            None,
            id="S-24 its allowReconnect is ignored",
        ),
        pytest.param(
            lambda _, client: client.send({"type": 7, "error": "oops"}),
            CLOSE,
            HubException("oops"),
            id="S-24 client's Close with an error",
        ),
        pytest.param(
            lambda _, client: client.send({"type": 7, "error": ""}),
            CLOSE,
            HubException(""),
            id="S-24 client's Close with an empty error",
        ),
        pytest.param(
            lambda _, client: client.send({"type": 1, "target": 42, "arguments": []}),
            closed(" InvalidDataException: Expected 'target' to be of type String."),
            RemoteProtocolError("Expected 'target' to be of type String."),
            id="S-20 protocol error",
        ),
        pytest.param(
            lambda _, client: client.send({"type": 1, "target": "Echo", "arguments": {}}),
            closed(" InvalidDataException: Expected 'arguments' to be of type Array."),
            RemoteProtocolError("Expected 'arguments' to be of type Array."),
            id="J-3 arguments of another kind",
        ),
        pytest.param(
            lambda _, client: client.send({"type": 1, "target": "Nobody", "arguments": {}}),
            closed(" InvalidDataException: Expected 'arguments' to be of type Array."),
            RemoteProtocolError("Expected 'arguments' to be of type Array."),
            id="J-3 also for an unknown method",
        ),
        pytest.param(
            lambda _, client: client.send(call("Echo", "x" * 40_000)),
            closed(
                " InvalidDataException: The maximum message size of 32768B was exceeded. "
                "The message size can be configured in AddHubOptions."
            ),
            RemoteProtocolError(
                "The maximum message size of 32768B was exceeded. "
                "The message size can be configured in AddHubOptions."
            ),
            id="S-20 oversize",
        ),
        pytest.param(
            lambda lab, _: asyncio.create_task(lab.server.close()),
            GOODBYE,
            None,
            id="L-6 shutdown",
        ),
    ],
)
async def test_close_messages(
    serve: MakeServer, cause: Cause, message: Any, error: Exception | None
) -> None:
    """L-4, L-5: the Close message of each cause, and OnDisconnected's argument."""
    endings = Endings(serve, HubOptions(enable_detailed_errors=True))
    client = await endings.lab.connect()
    task = cause(endings.lab, client)
    assert await client.take() == [message]
    assert await client.has_ended()
    assert client.transport.peer.ended == "closed"
    assert [(type(it), str(it)) for it in endings.ended] == [(type(error), str(error))]
    assert endings.lab.server.context.connection_count == 0
    if task is not None:
        await task


async def test_details_are_kept(serve: MakeServer) -> None:
    """S-20: without detailed errors a client learns that, not why."""
    client = await Endings(serve).lab.connect()
    assert await client.ask({"type": 3}) == [closed()]


async def test_a_client_that_vanishes(serve: MakeServer) -> None:
    """L-4, TW-8: the end of the stream is an orderly end."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    client.vanish()
    assert await client.has_ended()
    assert endings.ended == [None]


async def test_the_stream_ends_inside_a_message(serve: MakeServer) -> None:
    """F-3: then it is none."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    client.send_bytes(b'{"type":1,')
    client.vanish()
    assert await client.has_ended()
    (error,) = endings.ended
    assert isinstance(error, RemoteProtocolError)
    assert str(error) == "Connection terminated while reading a message."


async def test_a_violation_of_the_transport(serve: MakeServer) -> None:
    """TW-13, L-4: no farewell, and OnDisconnected gets the reason."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    client.transport.violate("bad frame")
    assert await client.take() == []
    assert await client.has_ended()
    (error,) = endings.ended
    assert (type(error).__name__, str(error)) == ("TransportViolationError", "bad frame")


async def test_a_violation_before_the_handshake(serve: MakeServer) -> None:
    """TW-13: nobody was connected, nobody is told."""
    endings = Endings(serve)
    client = await endings.lab.open()
    client.transport.violate("bad frame")
    assert await client.take() == []
    assert await client.has_ended()
    assert endings.ended == []


async def test_a_transport_that_fails(serve: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """TW-6: whatever goes wrong, the connection ends, and is told and forgotten."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    client.transport.fail(LookupError("bug"))
    assert await client.has_ended()
    assert len(endings.ended) == 1
    assert endings.lab.server.context.connection_count == 0
    assert "A connection failed unexpectedly." in caplog.text


async def test_messages_before_a_fault_are_served(serve: MakeServer) -> None:
    """S-20: what stands before the bad message counts, its answer included."""
    client = await Endings(serve).lab.connect()
    answers = await client.ask(call("Echo", 1), call("Echo", 2, id="2"), {"type": 3}, call("Echo"))
    assert answers == [result(1), result(2, "2"), closed()]


@pytest.mark.parametrize(
    ("records", "end"),
    [
        pytest.param([call("Echo", "x" * 100_000)], closed(), id="S-20 oversize"),
        pytest.param([call("Echo", "x" * 30_000)] * 3 + [{"type": 3}], closed(), id="S-20 fault"),
        pytest.param([call("Echo", "x" * 30_000)] * 3 + [CLOSE], CLOSE, id="S-24 Close"),
    ],
)
async def test_large_pieces_that_end_the_connection(
    serve: MakeServer, records: list[Any], end: Any
) -> None:
    """TG-8: a piece above the bound of the inbox, which ends the connection by itself."""
    client = await Endings(serve).lab.connect()
    client.send(*records)
    assert (await client.take())[-1] == end
    assert await client.has_ended()


async def test_messages_before_the_end_are_served(serve: MakeServer) -> None:
    """L-1: a client may send and leave; all of it runs before OnDisconnected."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    client.send(call("Hold"), call("Serve", "a"), call("Serve", "b"))
    client.vanish()
    await endings.lab.clock.advance(5)
    assert endings.ended == []
    endings.release.set()
    assert await client.has_ended()
    assert endings.ended == [None]
    assert endings.served == ["a", "b"]


async def test_nothing_behind_a_close_counts(serve: MakeServer) -> None:
    """S-26: messages behind a Close in the same bytes are not executed."""
    ran: list[str] = []

    class RecordingHub(Hub):
        @hub_method
        def record(self, name: str) -> None:
            ran.append(name)

    client = await serve(RecordingHub).connect()
    assert await client.ask(call("Record", "a"), CLOSE, call("Record", "b")) == [result(), CLOSE]
    assert await client.has_ended()
    assert ran == ["a"]


async def test_abort(serve: MakeServer) -> None:
    """S-26: what was sent before arrives, then a Close; all that is written later is dropped."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    answers = await client.ask(call("Abort"), call("Echo", "behind", id="2"))
    assert answers == [invocation("Before"), CLOSE]
    assert await client.has_ended()
    assert endings.ended == [None]


async def test_abort_from_outside_of_a_call(serve: MakeServer) -> None:
    """S-26: any code that holds the context may; twice is once."""
    contexts: list[Any] = []

    class OpenHub(Hub):
        async def on_connected(self) -> None:
            contexts.append(self.context)

    client = await serve(OpenHub).connect()
    contexts[0].abort()
    contexts[0].abort()
    assert await client.take() == [CLOSE]
    assert await client.has_ended()


async def test_a_running_call_learns_of_the_end(serve: MakeServer) -> None:
    """L-1: ``connection_aborted`` is set before OnDisconnected is called."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    client.send(call("UntilAborted"), CLOSE)
    assert await client.has_ended()
    assert sorted(map(repr, endings.ended)) == ["LookupError('seen')", "None"]


async def test_calls_that_wait_for_the_end(serve: MakeServer) -> None:
    """L-1: a call that lasts until its client is gone does not keep the connection alive, though
    another waits behind it for the slot."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    client.send(call("UntilAborted"), call("UntilAborted"))
    await endings.lab.clock.settle()
    client.vanish()
    assert await client.has_ended()
    assert None in endings.ended


async def test_a_running_call_is_not_interrupted(serve: MakeServer) -> None:
    """L-1: it ends when it wants to; its answer goes nowhere."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    assert await client.ask(call("Hold"), CLOSE) == [CLOSE]
    assert await client.has_ended()
    endings.release.set()
    assert await client.take() == []


async def test_answers_on_their_way_are_not_lost(serve: MakeServer) -> None:
    """TW-14: what was sent before the end leaves before the Close."""
    context = (endings := Endings(serve)).lab.server.context
    client = await endings.lab.connect()
    for number in range(100):
        await context.clients.all.send("News", number)
    closing = asyncio.create_task(endings.lab.server.close())
    assert await client.take() == [*(invocation("News", n) for n in range(100)), GOODBYE]
    await closing


@pytest.mark.parametrize("error", [LookupError("secret"), HubException("x")])
async def test_on_disconnected_fails(serve: MakeServer, error: Exception) -> None:
    """TW-6: the client gets its Close all the same, the transport ends as failed."""

    class FailingHub(Hub):
        async def on_disconnected(self, _: Exception | None) -> None:
            raise error

    lab = serve(FailingHub)
    client = await lab.connect()
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()
    assert client.transport.peer.ended == "failed"
    assert lab.server.context.connection_count == 0


async def test_on_disconnected_that_is_cancelled_from_within(serve: MakeServer) -> None:
    """TW-6: a cancellation of its own is a failure as any other; nothing of the client is left."""

    class CancelledHub(Hub):
        async def on_disconnected(self, _: Exception | None) -> None:
            never = asyncio.get_running_loop().create_future()
            never.cancel()
            await never

    lab = serve(CancelledHub)
    client = await lab.connect()
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()
    assert client.transport.peer.ended == "failed"
    assert lab.server.context.connection_count == 0


async def test_no_hub_for_on_disconnected(serve: MakeServer) -> None:
    """S-17: a factory that fails at the end leaves nothing behind either."""
    broken = False

    def make() -> Hub:
        if broken:
            raise LookupError("no database")
        return EndingHub()

    lab = serve(EndingHub, hub_factory=make)
    client = await lab.connect()
    broken = True
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()
    assert lab.server.context.connection_count == 0


async def test_a_lifetime_manager_that_cannot_forget(serve: MakeServer) -> None:
    """TW-6: the transport is ended whatever else fails."""

    class BrokenLifetime(DefaultHubLifetimeManager):
        async def on_disconnected(self, connection: HubConnectionContext) -> None:
            await super().on_disconnected(connection)
            raise LookupError("no backplane")

    client = await serve(Hub, lifetime=BrokenLifetime()).connect()
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()


async def test_the_caller_of_serve_is_cancelled(serve: MakeServer) -> None:
    """HubServer.serve: the connection is served to its end all the same."""
    endings = Endings(serve)
    client = await endings.lab.connect()
    client.serving.cancel()
    assert await client.ask(call("Echo", 1)) == [result(1)]
    assert await client.ask(CLOSE) == [CLOSE]
    assert client.transport.peer.ended == "closed"
    assert endings.ended == [None]


async def test_shutdown_ends_everybody(serve: MakeServer) -> None:
    """L-6: a Close with allowReconnect to each, also to one in the handshake; then nothing runs."""
    endings = Endings(serve)
    clients = [await endings.lab.connect() for _ in range(3)]
    silent = await endings.lab.open()
    closing = asyncio.create_task(endings.lab.server.close())
    for client in clients:
        assert await client.take() == [GOODBYE]
        assert await client.has_ended()
    assert await silent.take() == []
    assert await silent.has_ended()
    await closing
    assert endings.ended == [None, None, None]


async def test_shutdown_does_not_wait_for_ever(serve: MakeServer) -> None:
    """L-6: for an OnDisconnected that hangs, ten seconds and no longer."""
    release = asyncio.Event()

    class HangingHub(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            await release.wait()

    lab = serve(HangingHub)
    client = await lab.connect()
    closing = asyncio.create_task(lab.server.close())
    await lab.clock.advance(9.9)
    assert not closing.done()
    await lab.clock.advance(0.2)
    assert closing.done()
    release.set()
    assert await client.has_ended()


async def test_connections_that_come_during_shutdown(serve: MakeServer) -> None:
    """L-6: they are ended at once, whether or not they speak, and no clock is left running."""
    endings = Endings(serve)
    await endings.lab.server.close()
    silent, talking = await endings.lab.open(), await endings.lab.open()
    talking.send(HANDSHAKE, call("Echo", 1))
    assert await silent.has_ended()
    assert await talking.has_ended()
    assert result(1) not in await talking.take()
    assert endings.lab.clock.leftovers() == []
