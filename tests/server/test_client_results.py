"""Client results: what the hub method receives, and which calls run meanwhile (CR, P-4)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from protocol import (
    ConnectionClosed,
    DefaultHubLifetimeManager,
    Hub,
    HubException,
    HubOptions,
    Int32,
    LocalProtocolError,
    NotConnectedError,
    SingleClientProxy,
    hub_method,
)
from tests.support.hub_messages import CLOSE, call, completion, failure, result
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness

from .calls_hub import Point
from .endings import closed

DETAILED = HubOptions(enable_detailed_errors=True)


class AskHub(Hub):
    """A hub whose methods ask the caller or another client for results."""

    gate: asyncio.Event
    left_behind: list[asyncio.Task[Any]]

    @hub_method
    async def ask(self, question: str) -> Any:
        return await self.clients.caller.invoke("Answer", question)

    @hub_method
    async def ask_other(self, connection_id: str) -> Any:
        return await self.clients.client(connection_id).invoke("Answer")

    @hub_method
    async def ask_briefly(self) -> Any:
        return await self.clients.caller.invoke("Answer", timeout=5)

    @hub_method
    async def ask_twice(self) -> tuple[Any, Any]:
        caller = self.clients.caller
        return await asyncio.gather(caller.invoke("Answer", 1), caller.invoke("Answer", 2))

    @hub_method
    async def ask_then_hold(self) -> str:
        await self.clients.caller.invoke("Answer")
        await self.gate.wait()
        return "held"

    @hub_method
    async def leave_behind(self) -> None:
        async def ask_later() -> Any:
            await self.gate.wait()
            return await self.clients.caller.invoke("Answer", "late")

        self.left_behind.append(asyncio.create_task(ask_later()))

    @hub_method
    async def hold(self) -> str:
        await self.context.connection_aborted.wait()
        return "held"

    @hub_method
    def add(self, left: int, right: int) -> int:
        return left + right


class Asking:
    """A server of that hub, and what to wait for."""

    def __init__(self, serve: MakeServer, options: HubOptions | None = None) -> None:
        self.gate = asyncio.Event()
        self.left_behind: list[asyncio.Task[Any]] = []
        self.lifetime = DefaultHubLifetimeManager()
        self.harness: ServerHarness = serve(
            AskHub, options, hub_factory=self._make, lifetime=self.lifetime
        )

    def _make(self) -> AskHub:
        hub = AskHub()
        hub.gate, hub.left_behind = self.gate, self.left_behind
        return hub

    def client(self, client: MemoryClient | str) -> SingleClientProxy:
        """The client through HubContext, for code outside of hubs."""
        id = client if isinstance(client, str) else client.connection_id
        return self.harness.server.context.clients.client(id)

    def has_forgotten_all(self) -> bool:
        connections = [each.connection for each in self.harness.server._connections]
        return not len(self.lifetime._results) and not any(each.results for each in connections)


def question(number: int, *arguments: Any) -> Any:
    return call("Answer", *arguments, id=f"s{number}")


async def outcome(
    harness: ServerHarness, waiting: Coroutine[Any, Any, Any], then: Callable[[], Any]
) -> Any:
    """What ``waiting`` returns, or the exception that it raises, after ``then``."""
    task = asyncio.create_task(waiting)
    await harness.clock.settle()
    assert not task.done()
    then()
    await harness.clock.settle()
    assert task.done()
    return task.exception() or task.result()


# ---- what the hub method receives


async def test_an_answer(serve: MakeServer) -> None:
    """CR-1, CR-2: an Invocation with an id of the server, then one Completion with that id."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    assert await client.ask(call("Ask", "how?")) == [question(1, "how?")]
    assert await client.ask(result("so", "s1")) == [result("so")]
    assert await client.ask(call("Ask", "why?", id="2")) == [question(2, "why?")]
    assert await client.ask(result(None, "s2")) == [result(None, "2")]
    assert asking.has_forgotten_all()


@pytest.mark.parametrize(
    ("answer", "result_type", "expected"),
    [
        pytest.param({"result": 5}, Any, 5, id="anything"),
        pytest.param({"result": 5}, Int32, 5, id="a number"),
        pytest.param({"result": {"x": 1}}, Point, Point(1), id="a struct"),
        pytest.param({"result": None}, str | None, None, id="null"),
        pytest.param({"result": {"b": 1}}, msgspec.Raw, msgspec.Raw(b'{"b": 1}'), id="raw"),
    ],
)
async def test_results(serve: MakeServer, answer: Any, result_type: Any, expected: Any) -> None:
    """CR-5: a result is converted to the type that the caller asks for."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    waiting = asking.client(client).invoke("Answer", result_type=result_type)
    got = await outcome(asking.harness, waiting, lambda: client.send(completion("s1", **answer)))
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("answer", "result_type", "text"),
    [
        pytest.param({"error": "no idea"}, Any, "no idea", id="error"),
        pytest.param({"error": ""}, Any, "", id="empty error"),
        pytest.param(
            {},
            Any,
            "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.",
            id="neither",
        ),
        pytest.param(
            {"result": "x"}, Int32, "Error trying to deserialize result to int. ", id="wrong type"
        ),
        pytest.param(
            {"result": None}, Point, "Error trying to deserialize result to Point. ", id="null"
        ),
    ],
)
async def test_failures(serve: MakeServer, answer: Any, result_type: Any, text: str) -> None:
    """CR-5: each failure is a HubException, so that its text reaches the caller of the method."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    waiting = asking.client(client).invoke("Answer", result_type=result_type)
    error = await outcome(asking.harness, waiting, lambda: client.send(completion("s1", **answer)))
    assert type(error) is HubException
    assert str(error).startswith(text)
    assert text.endswith(". ") or str(error) == text
    assert asking.has_forgotten_all()


async def test_an_unknown_connection(serve: MakeServer) -> None:
    """CR-5."""
    asking = Asking(serve, DETAILED)
    with pytest.raises(NotConnectedError, match=r"^Connection 'nobody' does not exist\.$"):
        await asking.client("nobody").invoke("Answer")
    client = await asking.harness.connect()
    assert await client.ask(call("AskOther", "nobody")) == [
        failure(
            "An unexpected error occurred invoking 'AskOther' on the server. IOException: "
            "Connection 'nobody' does not exist."
        )
    ]


@pytest.mark.parametrize("way", ["lost", "ended", "closed", "aborted", "shut down"])
async def test_a_client_that_goes(serve: MakeServer, way: str) -> None:
    """CR-5: however the connection ends, the caller no longer waits."""
    asking = Asking(serve, DETAILED)
    asked = await asking.harness.connect()
    context = asked.connection.connection
    closing: list[asyncio.Task[None]] = []

    def end() -> None:
        match way:
            case "lost":
                asked.vanish()
            case "ended":
                asked.transport.finish()
            case "closed":
                asked.send(CLOSE)
            case "aborted":
                context.abort()
            case _:
                closing.append(asyncio.create_task(asking.harness.server.close()))

    error = await outcome(asking.harness, asking.client(asked).invoke("Answer"), end)
    assert type(error) is ConnectionClosed
    assert str(error) == "Connection 'c1' disconnected."
    assert asking.has_forgotten_all()


async def test_the_text_for_a_client_that_goes(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """CR-5: .NET's exception is named in detailed errors. The log has a warning, no traceback."""
    asking = Asking(serve, DETAILED)
    client, asked = await asking.harness.connect(), await asking.harness.connect()
    client.send(call("AskOther", asked.connection_id))
    assert await asked.take() == [question(1)]
    asked.vanish()
    assert await client.take() == [
        failure(
            "An unexpected error occurred invoking 'AskOther' on the server. IOException: "
            "Connection 'c2' disconnected."
        )
    ]
    (line,) = [each for each in caplog.records if each.levelname in ("WARNING", "ERROR")]
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert line.getMessage().endswith(".AskOther: failed: a connection that it uses has ended")


async def test_a_client_that_is_going(serve: MakeServer) -> None:
    """CR-5: nothing is sent to a connection that has ended and is still registered."""
    release = asyncio.Event()

    class SlowEndHub(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            await release.wait()

    harness = serve(SlowEndHub)
    client = await harness.connect()
    client.vanish()
    await harness.clock.settle()
    assert harness.server.context.connection_count == 1
    with pytest.raises(ConnectionClosed, match="disconnected"):
        await harness.server.context.clients.client("c1").invoke("Answer")
    release.set()


async def test_an_answer_just_before_the_end(serve: MakeServer) -> None:
    """CR-2: what a client has sent before its end counts."""
    asking = Asking(serve)
    client = await asking.harness.connect()

    def answer_and_end() -> None:
        client.send(result("so", "s1"))
        client.transport.finish()

    waiting = asking.client(client).invoke("Answer")
    assert await outcome(asking.harness, waiting, answer_and_end) == "so"


async def test_the_end_behind_a_call_that_waits(serve: MakeServer) -> None:
    """CR-5: an answer that is received behind a waiting call comes too late; nothing hangs."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    waiting = asyncio.create_task(asking.client(client).invoke("Answer"))
    client.send(call("AskThenHold"))
    await asking.harness.clock.settle()
    client.send(result(1, "s2"), call("Hold", id="2"), call("Hold", id="3"), result(2, "s1"))
    await asking.harness.clock.settle()
    assert not waiting.done()
    client.transport.finish()
    await asking.harness.clock.settle()
    with pytest.raises(ConnectionClosed):
        await waiting
    asking.gate.set()


async def test_a_timeout(serve: MakeServer) -> None:
    """CR-10: .NET's text for a caller that no longer waits; the late answer is ignored (S-25)."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    assert await client.ask(call("AskBriefly")) == [question(1)]
    await asking.harness.clock.advance(4.9)
    assert await client.take() == []
    await asking.harness.clock.advance(0.1)
    assert await client.take() == [
        failure(
            "An unexpected error occurred invoking 'AskBriefly' on the server. HubException: "
            "Invocation canceled by the server."
        )
    ]
    assert asking.has_forgotten_all()
    late = [result("late", "s1"), call("Add", 4, 5, id="9")]
    assert await client.ask(*late) == [result(9, "9")]


async def test_without_a_timeout(serve: MakeServer) -> None:
    """CR-9, CR-10: the call waits as long as the connection lives."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    waiting = asyncio.create_task(asking.client(client).invoke("Answer"))
    await asking.harness.clock.advance(100_000)
    assert not waiting.done()
    client.send(result(1, "s1"))
    assert await waiting == 1


async def test_a_manager_whose_wait_times_out(serve: MakeServer) -> None:
    """CR-10: a TimeoutError of the manager itself is not taken for the caller's timeout."""

    class Broken(DefaultHubLifetimeManager):
        async def invoke_connection(self, *_: Any) -> Any:
            raise TimeoutError("the other process")

    harness = serve(AskHub, lifetime=Broken())
    with pytest.raises(TimeoutError, match="the other process"):
        await harness.server.context.clients.client("c1").invoke("Answer", timeout=5)


@pytest.mark.parametrize("answers", [False, True])
async def test_a_caller_that_is_cancelled(serve: MakeServer, answers: bool) -> None:
    """CR-10: nothing is left, also if the answer arrives in the same turn."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    waiting = asyncio.create_task(asking.client(client).invoke("Answer"))
    assert await client.take() == [question(1)]
    waiting.cancel()
    if answers:
        client.send(result(1, "s1"))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert asking.has_forgotten_all()
    assert await client.ask(result(1, "s1"), call("Add", 1, 2)) == [result(3)]


async def test_a_second_answer(serve: MakeServer) -> None:
    """CR-2, S-25: it is ignored, and so is a StreamItem with that id."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    await client.ask(call("Ask", "?"))
    item = {"type": 2, "invocationId": "s1", "item": 1}
    answers = await client.ask(item, result("so", "s1"), result("or so", "s1"), item)
    assert answers == [result("so")]


@pytest.mark.parametrize("answer", [{"result": "I am not c1"}, {"error": "I am not c1"}])
async def test_an_answer_of_another_client(
    serve: MakeServer, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """CR-7: it ends the connection that sent it; the client that was asked can still answer."""
    asking = Asking(serve, DETAILED)
    asked, other = await asking.harness.connect(), await asking.harness.connect()
    waiting = asyncio.create_task(asking.client(asked).invoke("Answer"))
    assert await asked.take() == [question(1)]
    text = "InvalidOperationException: Connection ID 'c2' is not valid for invocation ID 's1'."
    assert await other.ask(completion("s1", **answer)) == [closed(f" {text}")]
    assert await other.has_ended()
    asked.send(result("I am c1", "s1"))
    assert await waiting == "I am c1"
    assert "It answered a call that was sent to another connection." in caplog.text
    assert "c2" not in caplog.text


@pytest.mark.parametrize(
    ("invoke", "error"),
    [
        (lambda it: it.invoke(""), ValueError),
        (lambda it: it.invoke(5), TypeError),
        (lambda it: it.invoke("Answer", object()), LocalProtocolError),
        (lambda it: it.invoke("Answer", result_type=asyncio.Event), TypeError),
    ],
)
async def test_calls_that_cannot_be_made(
    serve: MakeServer, invoke: Callable[[SingleClientProxy], Any], error: type[Exception]
) -> None:
    """CR-1: the caller gets the error, and nothing is sent."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    with pytest.raises(error):
        await invoke(asking.client(client))
    assert await client.take() == []
    assert asking.has_forgotten_all()


async def test_while_connecting(serve: MakeServer) -> None:
    """CR-6: OnConnected may ask no client, because it could wait for its own for ever."""
    errors: list[str] = []

    class EagerHub(Hub):
        async def on_connected(self) -> None:
            for client in (self.clients.caller, self.clients.client("c9")):
                with pytest.raises(LocalProtocolError) as raised:
                    await client.invoke("Answer")
                errors.append(str(raised.value))

    client = await serve(EagerHub).connect()
    text = "Client results inside OnConnectedAsync Hub methods are not allowed."
    assert errors == [text, text]
    assert await client.take() == []


async def test_while_disconnecting(serve: MakeServer) -> None:
    """CR-6: OnDisconnected may ask other clients."""
    answers: list[Any] = []

    class LateHub(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            if self.context.connection_id == "c1":
                answers.append(await self.clients.client("c2").invoke("Answer"))

    harness = serve(LateHub)
    leaving, staying = await harness.connect(), await harness.connect()
    leaving.vanish()
    assert await staying.take() == [question(1)]
    assert await staying.ask(result("bye", "s1")) == []
    assert answers == ["bye"]


# ---- which calls run meanwhile


async def test_the_client_calls_before_it_answers(serve: MakeServer) -> None:
    """P-4: with one slot a method waits for its own client, whose other calls run one by one."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    assert await client.ask(call("Ask", "?"), call("Add", 1, 2, id="2")) == [
        question(1, "?"),
        result(3, "2"),
    ]
    assert await client.ask(call("Hold", id="3"), call("Add", 3, 4, id="4")) == []
    client.send(result("so", "s1"))
    assert await client.take() == []  # after the call that waits for the slot (P-2)
    client.vanish()


async def test_a_call_that_waits_for_the_slot(serve: MakeServer) -> None:
    """P-4: the slot goes to the call that waits for it."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    assert await client.ask(call("AskThenHold"), call("Ask", "?", id="2")) == [
        question(1),
        question(2, "?"),
    ]
    assert await client.ask(result(1, "s1"), result(2, "s2")) == [result(2, "2")]
    asking.gate.set()
    assert await client.take() == [result("held")]


async def test_a_slot_is_not_taken_back(serve: MakeServer) -> None:
    """P-4: after the answer the call continues beside others, which still run one at a time."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    await client.ask(call("AskThenHold"))
    client.send(result(None, "s1"), call("Hold", id="2"), call("Add", 1, 2, id="3"))
    assert await client.take() == []
    asking.gate.set()
    assert await client.take() == [result("held")]
    client.send(call("Add", 1, 2, id="4"))
    assert await client.take() == []  # the call that has ended does not release a second slot
    client.vanish()


@pytest.mark.parametrize("slots", [1, 3])
async def test_several_questions_of_one_call(serve: MakeServer, slots: int) -> None:
    """P-4: tasks of the method give up its slot, and only once."""
    options = HubOptions(maximum_parallel_invocations_per_client=slots)
    asking = Asking(serve, options)
    client = await asking.harness.connect()
    assert await client.ask(call("AskTwice")) == [question(1, 1), question(2, 2)]
    holds = [call("Hold", id=f"h{number}") for number in range(slots)]
    assert await client.ask(*holds, call("Add", 1, 2, id="9")) == []
    client.vanish()
    assert [message["invocationId"] for message in await client.take()] == []


@pytest.mark.parametrize("slots", [1, 3])
async def test_answers_in_any_order(serve: MakeServer, slots: int) -> None:
    """P-2, P-4: completions come in the order in which the methods end."""
    options = HubOptions(maximum_parallel_invocations_per_client=slots)
    client = await Asking(serve, options).harness.connect()
    calls = [call("Ask", str(number), id=str(number)) for number in range(1, 5)]
    assert await client.ask(*calls) == [question(number, str(number)) for number in range(1, 5)]
    for number in (3, 1, 4, 2):
        assert await client.ask(result(number, f"s{number}")) == [result(number, str(number))]


async def test_a_task_that_a_call_has_left_behind(serve: MakeServer) -> None:
    """P-4: it has no slot, so it gives up none: a later call keeps its own."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    assert await client.ask(call("LeaveBehind")) == [result()]
    client.send(call("Hold", id="2"))
    await asking.harness.clock.settle()
    asking.gate.set()
    assert await client.take() == [question(1, "late")]
    assert await client.ask(call("Add", 1, 2, id="3")) == []  # the slot is still taken
    client.vanish()
    await asking.harness.clock.settle()
    assert isinstance(asking.left_behind[0].exception(), ConnectionClosed)


async def test_calls_without_a_slot_are_bounded(serve: MakeServer) -> None:
    """P-4: a client that never answers cannot start any number of methods."""
    asking = Asking(serve, HubOptions(maximum_client_results_per_connection=2))
    client = await asking.harness.connect()
    await client.ask(call("Ask", "1", id="1"), call("Ask", "2", id="2"))
    assert await client.ask(call("Ask", "3", id="3"), call("Add", 1, 2, id="4")) == [
        failure(
            "An unexpected error occurred invoking 'Ask' on the server. HubException: 2 calls of "
            "the connection have asked a client for a result and still run, and no more are "
            "allowed.",
            "3",
        ),
        result(3, "4"),
    ]
    assert await client.ask(result("so", "s1")) == [result("so")]
    assert await client.ask(call("Ask", "5", id="5")) == [question(3, "5")]


async def test_methods_that_wait_at_a_shutdown(serve: MakeServer) -> None:
    """L-6: they get the error at once, and no task is left."""
    asking = Asking(serve)
    client = await asking.harness.connect()
    await client.ask(call("Ask", "1"), call("Ask", "2", id="2"))
    await asking.harness.server.close()
    assert await client.has_ended()
    assert asking.has_forgotten_all()


async def test_a_manager_without_client_results(serve: MakeServer) -> None:
    """CR-1: an answer is ignored, and asking raises NotImplementedError."""
    from protocol import HubLifetimeManager

    class Plain(DefaultHubLifetimeManager):
        invoke_connection = HubLifetimeManager.invoke_connection
        set_connection_result = HubLifetimeManager.set_connection_result

    harness = serve(AskHub, DETAILED, lifetime=Plain())
    client = await harness.connect()
    assert await client.ask(result(1, "s1"), call("Ask", "?")) == [
        failure(
            "An unexpected error occurred invoking 'Ask' on the server. NotImplementedError: "
            "Plain does not support client return values."
        )
    ]
