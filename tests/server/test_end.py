"""How connections end: the Close message, and OnDisconnected (L-4, L-5, S-20, S-24, S-26)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from protocol import Hub, HubException, HubOptions, RemoteProtocolError, hub_method
from tests.support.hub_messages import CLOSE, CLOSE_AND_RECONNECT, call, event, result
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness

from .endings import Endings, closed

Cause = Callable[[ServerHarness, MemoryClient], Any]


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
            lambda harness, _: asyncio.create_task(harness.server.close()),
            CLOSE_AND_RECONNECT,
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
    client = await endings.harness.connect()
    task = cause(endings.harness, client)
    assert await client.take() == [message]
    assert await client.has_ended()
    assert client.transport.peer.ended == "closed"
    (ended,) = endings.ended
    assert isinstance(ended, type(error))
    assert str(ended) == str(error)
    assert endings.harness.server.context.connection_count == 0
    if task is not None:
        await task


async def test_details_are_kept(serve: MakeServer) -> None:
    """S-20: without detailed errors the Close has no details."""
    client = await Endings(serve).harness.connect()
    assert await client.ask({"type": 3}) == [closed()]


async def test_a_client_that_vanishes(serve: MakeServer) -> None:
    """L-4, TW-8: the end of the stream is an orderly end."""
    endings = Endings(serve)
    client = await endings.harness.connect()
    client.vanish()
    assert await client.has_ended()
    assert endings.ended == [None]


async def test_the_stream_ends_inside_a_message(serve: MakeServer) -> None:
    """F-3: then it is none."""
    endings = Endings(serve)
    client = await endings.harness.connect()
    client.send_bytes(b'{"type":1,')
    client.vanish()
    assert await client.has_ended()
    (error,) = endings.ended
    assert isinstance(error, RemoteProtocolError)
    assert str(error) == "Connection terminated while reading a message."


async def test_a_violation_of_the_transport(serve: MakeServer) -> None:
    """TW-13, L-4: no Close is sent, and OnDisconnected gets the error."""
    endings = Endings(serve)
    client = await endings.harness.connect()
    client.transport.violate("bad frame")
    assert await client.take() == []
    assert await client.has_ended()
    (error,) = endings.ended
    assert (type(error).__name__, str(error)) == ("TransportViolationError", "bad frame")


async def test_a_violation_before_the_handshake(serve: MakeServer) -> None:
    """TW-13: in the handshake OnDisconnected is not called."""
    endings = Endings(serve)
    client = await endings.harness.open()
    client.transport.violate("bad frame")
    assert await client.take() == []
    assert await client.has_ended()
    assert endings.ended == []


async def test_a_transport_that_fails(serve: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """TW-6: whatever fails, the connection ends, OnDisconnected is called, and it is removed."""
    endings = Endings(serve)
    client = await endings.harness.connect()
    client.transport.fail(LookupError("bug"))
    assert await client.has_ended()
    assert len(endings.ended) == 1
    assert endings.harness.server.context.connection_count == 0
    assert "A connection failed unexpectedly." in caplog.text


@pytest.mark.parametrize("last", [CLOSE, {"type": 3}])
async def test_the_worker_that_meets_the_end(serve: MakeServer, last: dict[str, Any]) -> None:
    """It handles the messages after its call, and ends with the connection."""
    client = await Endings(serve).harness.connect()
    client.send(call("Echo", 1), last)
    assert await client.has_ended()
    assert client.connection.ended.done()


async def test_messages_before_a_fault_are_served(serve: MakeServer) -> None:
    """S-20: messages before the bad one are handled and answered."""
    client = await Endings(serve).harness.connect()
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
    """TG-8: a piece above the limit of unread bytes that itself ends the connection."""
    client = await Endings(serve).harness.connect()
    client.send(*records)
    assert (await client.take())[-1] == end
    assert await client.has_ended()


async def test_messages_before_the_end_are_served(serve: MakeServer) -> None:
    """L-1: the calls of a client that has ended its stream run before OnDisconnected."""
    endings = Endings(serve)
    client = await endings.harness.connect()
    client.send(call("Hold"), call("Serve", "a"), call("Serve", "b"))
    client.vanish()
    await endings.harness.clock.advance(5)
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
    """S-26: messages sent before arrive, then a Close; messages sent later are dropped."""
    endings = Endings(serve)
    client = await endings.harness.connect()
    answers = await client.ask(call("Abort"), call("Echo", "behind", id="2"))
    assert answers == [event("Before"), CLOSE]
    assert await client.has_ended()
    assert endings.ended == [None]


async def test_abort_from_outside_of_a_call(serve: MakeServer) -> None:
    """S-26: any code with the context may abort; a second call does nothing."""
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
    client = await endings.harness.connect()
    client.send(call("UntilAborted"), CLOSE)
    assert await client.has_ended()
    assert sorted(map(repr, endings.ended)) == ["LookupError('seen')", "None"]


async def test_calls_that_wait_for_the_end(serve: MakeServer) -> None:
    """L-1: a call that lasts until its client is gone does not keep the connection alive, though
    another waits behind it for the slot."""
    endings = Endings(serve)
    client = await endings.harness.connect()
    client.send(call("UntilAborted"), call("UntilAborted"))
    await endings.harness.clock.settle()
    client.vanish()
    assert await client.has_ended()
    assert None in endings.ended


async def test_a_running_call_is_not_interrupted(serve: MakeServer) -> None:
    """L-1: it is not cancelled; its answer is dropped."""
    endings = Endings(serve)
    client = await endings.harness.connect()
    assert await client.ask(call("Hold"), CLOSE) == [CLOSE]
    assert await client.has_ended()
    endings.release.set()
    assert await client.take() == []


async def test_answers_on_their_way_are_not_lost(serve: MakeServer) -> None:
    """TW-14: messages sent before the end are sent before the Close."""
    context = (endings := Endings(serve)).harness.server.context
    client = await endings.harness.connect()
    for number in range(100):
        await context.clients.all.send("News", number)
    closing = asyncio.create_task(endings.harness.server.close())
    assert await client.take() == [*(event("News", n) for n in range(100)), CLOSE_AND_RECONNECT]
    await closing
