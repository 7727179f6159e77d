"""Filters around hub methods and events: their order, changes and errors (S-29)."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from protocol import Hub, HubException, HubFilter, HubInvocation, HubOptions, hub_method
from protocol.server.hub import HubMethodTable
from tests.support.hub_messages import CLOSE, call, completion, event, failure, item, result
from tests.support.server_harness import MakeServer

from .endings import CLOSED


class Service:
    """Passed to hub methods by the server."""


class FilteredHub(Hub):
    """Records calls and events in ``journal``."""

    journal: list[str]

    async def on_connected(self) -> None:
        self.journal.append("connected")

    def on_disconnected(self, error: Exception | None) -> Any:  # plain functions work, too
        self.journal.append(f"disconnected {error}")

    @hub_method
    async def add(self, left: int, right: int = 5) -> int:
        self.journal.append("add")
        return left + right

    @hub_method
    def plain(self, text: str) -> str:
        self.journal.append("plain")
        return text

    @hub_method
    def serve(self, text: str, service: Service) -> str:
        return f"{text} {type(service).__name__}"

    @hub_method
    async def fail(self) -> None:
        raise HubException("no")

    @hub_method(authorize=True)
    def secret(self) -> str:
        return "secret"

    @hub_method
    async def count(self, stop: int) -> AsyncIterator[int]:
        try:
            for number in range(stop):
                yield number
        finally:
            self.journal.append("counted")

    @hub_method
    async def total(self, start: int, numbers: AsyncIterator[int], factor: int = 1) -> int:
        return start + factor * sum([number async for number in numbers])

    @hub_method(cancellable=True)
    async def wait(self) -> None:
        await asyncio.Event().wait()

    @hub_method
    async def ask(self) -> Any:
        return await self.clients.caller.invoke("Answer")


class Noting(HubFilter):
    """Notes when it is entered and left."""

    def __init__(self, name: str, journal: list[str]) -> None:
        self.name = name
        self.journal = journal

    async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
        self.journal.append(f"+{self.name} {invocation.method_name}{tuple(invocation.arguments)}")
        try:
            return await call_next(invocation)
        except HubException as error:
            self.journal.append(f"!{self.name} {error}")
            raise
        finally:
            self.journal.append(f"-{self.name}")

    async def on_connected(self, hub: Hub, call_next: Any) -> None:
        self.journal.append(f"+{self.name} {hub.context.connection_id}")
        await call_next(hub)
        self.journal.append(f"-{self.name}")

    async def on_disconnected(self, hub: Hub, error: Exception | None, call_next: Any) -> None:
        self.journal.append(f"+{self.name} {error}")
        await call_next(hub, error)
        self.journal.append(f"-{self.name}")


class Changing(HubFilter):
    """Doubles the first argument, and negates the result."""

    async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
        first, *rest = invocation.arguments
        changed = dataclasses.replace(invocation, arguments=[2 * first, *rest])
        return -(await call_next(changed))


class Refusing(HubFilter):
    """Refuses every call."""

    async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
        raise HubException(f"{invocation.context.connection_id} may not")


class Answering(HubFilter):
    """Returns a result without calling the hub."""

    async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
        return "answered"


class Asking(HubFilter):
    """Asks the client for a result before each call."""

    async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
        allowed = await invocation.hub.clients.caller.invoke("Allow", result_type=bool)
        return await call_next(invocation) if allowed else None


class Streaming(HubFilter):
    """Doubles the items of the first stream, in either direction."""

    async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
        if invocation.uploads:
            uploads = [self._doubled(invocation.uploads[0])]
            return await call_next(dataclasses.replace(invocation, uploads=uploads))
        return self._doubled(await call_next(invocation))

    async def _doubled(self, items: AsyncIterator[int]) -> AsyncIterator[int]:
        async for each in items:
            yield 2 * each


class Filtered:
    """A server of that hub with filters."""

    def __init__(self, serve: MakeServer, *filters: HubFilter, **options: Any) -> None:
        self.journal: list[str] = []
        for each in filters:
            if isinstance(each, Noting):
                each.journal = self.journal
        hub_options = HubOptions(filters=filters, services={Service: Service}, **options)
        self.harness = serve(FilteredHub, hub_options, hub_factory=self._make)

    def _make(self) -> FilteredHub:
        hub = FilteredHub()
        hub.journal = self.journal
        return hub

    def take(self) -> list[str]:
        """The entries of the journal since the last call."""
        entries = self.journal[:]
        self.journal.clear()
        return entries


def noting(name: str) -> Noting:
    return Noting(name, [])


async def test_order(serve: MakeServer) -> None:
    """S-29: the first filter is the outermost, around calls and events."""
    filtered = Filtered(serve, noting("a"), noting("b"))
    client = await filtered.harness.connect()
    assert filtered.take() == ["+a c1", "+b c1", "connected", "-b", "-a"]
    assert await client.ask(call("Add", 1, 2)) == [result(3)]
    assert filtered.take() == ["+a Add(1, 2)", "+b Add(1, 2)", "add", "-b", "-a"]
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()
    assert filtered.take() == ["+a None", "+b None", "disconnected None", "-b", "-a"]


async def test_errors_pass_through(serve: MakeServer) -> None:
    """S-29, S-8: an inner filter sees the error of the method first."""
    filtered = Filtered(serve, noting("a"), noting("b"))
    client = await filtered.harness.connect()
    filtered.take()
    text = "An unexpected error occurred invoking 'Fail' on the server. HubException: no"
    assert await client.ask(call("Fail")) == [failure(text)]
    assert filtered.take() == ["+a Fail()", "+b Fail()", "!b no", "-b", "!a no", "-a"]


@pytest.mark.parametrize(
    ("filters", "message", "answer"),
    [
        pytest.param([Changing()], call("Add", 1, 2), result(-4), id="arguments and result"),
        pytest.param([Changing()], call("Add", 1), result(-7), id="a default value"),
        pytest.param([Changing(), Changing()], call("Add", 1, 2), result(6), id="twice"),
        pytest.param([Answering()], call("Plain", "x"), result("answered"), id="without the hub"),
        pytest.param([noting("a")], call("Serve", "x"), result("x Service"), id="services"),
        pytest.param([HubFilter()], call("Plain", "x"), result("x"), id="a filter of nothing"),
        pytest.param(
            [Refusing()],
            call("Plain", "x"),
            failure(
                "An unexpected error occurred invoking 'Plain' on the server. HubException: c1 may "
                "not"
            ),
            id="refused",
        ),
        pytest.param(
            [Changing()],
            call("Plain", "x"),
            failure("An unexpected error occurred invoking 'Plain' on the server."),
            id="an error of the filter",
        ),
    ],
)
async def test_answers(
    serve: MakeServer, filters: list[HubFilter], message: Any, answer: Any
) -> None:
    """S-29, S-7, S-8: what the outermost filter returns or raises is the answer."""
    client = await Filtered(serve, *filters).harness.connect()
    assert await client.ask(message) == [answer]
    assert await client.ask(event("Plain", "y"), call("Add", 0, 0, id="9")) != []


@pytest.mark.parametrize(
    "message", [call("Nobody"), call("Add", "x"), call("Add"), call("Secret")], ids=str
)
async def test_refused_calls_reach_no_filter(serve: MakeServer, message: Any) -> None:
    """S-29: arguments are bound, and the caller is authorized, before the filters run."""
    filtered = Filtered(serve, noting("a"))
    client = await filtered.harness.connect()
    filtered.take()
    (answer,) = await client.ask(message)
    assert "error" in answer
    assert filtered.take() == []


async def test_a_filter_runs_in_the_slot_of_its_call(serve: MakeServer) -> None:
    """S-29, P-2: with one slot, the filters of a call run before the next call."""
    gate = asyncio.Event()

    class Holding(HubFilter):
        async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
            await gate.wait()
            return await call_next(invocation)

    filtered = Filtered(serve, noting("a"), Holding())
    client = await filtered.harness.connect()
    filtered.take()
    assert await client.ask(call("Plain", "x"), call("Plain", "y", id="2")) == []
    assert filtered.take() == ["+a Plain('x',)"]
    gate.set()
    assert await client.take() == [result("x"), result("y", "2")]


async def test_client_results_in_and_below_filters(serve: MakeServer) -> None:
    """S-29, P-4: a filter, or a method below filters, asks the client; the slot is given up."""
    filtered = Filtered(serve, noting("a"), Asking())
    client = await filtered.harness.connect()
    (allow,) = await client.ask(call("Ask"))
    assert allow["target"] == "Allow"
    # The other call asks the client, too.
    assert len(await client.ask(call("Add", 1, 2, id="2"))) == 1
    (question,) = await client.ask(result(True, allow["invocationId"]))
    assert question["target"] == "Answer"
    assert await client.ask(result("so", question["invocationId"])) == [result("so")]


async def test_streams(serve: MakeServer) -> None:
    """S-29, P-3: a filter gets the stream that the method returns, and those of the client."""
    filtered = Filtered(serve, noting("a"), Streaming())
    client = await filtered.harness.connect()
    filtered.take()
    answers = await client.ask({**call("Count", 2), "type": 4})
    assert answers == [item(0), item(2), completion()]
    assert filtered.take() == ["+a Count(2,)", "-a", "counted"]
    upload = [item(3, "u"), item(4, "u"), completion("u")]
    assert await client.ask(call("Total", 1, id="2", streamIds=["u"]), *upload) == [result(15, "2")]
    assert filtered.take() == ["+a Total(1,)", "-a"]


class Passing(HubFilter):
    """Passes other arguments and streams than the client has sent."""

    def __init__(self, arguments: Sequence[Any], uploads: Sequence[Any]) -> None:
        self._arguments = arguments
        self._uploads = uploads

    async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
        changed = dataclasses.replace(invocation, arguments=self._arguments, uploads=self._uploads)
        return await call_next(changed)


@pytest.mark.parametrize(
    ("arguments", "uploads", "text"),
    [
        (
            (),
            1,
            "Total takes 1 to 2 arguments and 1 streams from the client; it got 0 and 1.",
        ),
        ((1, 2, 3), 1, "it got 3 and 1."),
        ((1,), 0, "it got 1 and 0."),
        ((1,), 2, "it got 1 and 2."),
    ],
)
async def test_a_filter_that_passes_other_numbers(
    serve: MakeServer, arguments: Sequence[Any], uploads: int, text: str
) -> None:
    """S-29: a TypeError, and no argument takes the place of another."""
    streams = [numbers()] * uploads
    harness = Filtered(serve, Passing(arguments, streams), enable_detailed_errors=True).harness
    client = await harness.connect()
    (answer,) = await client.ask(call("Total", 1, id="1", streamIds=["u"]), completion("u"))
    assert answer["error"].endswith(text)


async def numbers() -> AsyncIterator[int]:
    yield 1


async def test_a_stream_that_is_refused(serve: MakeServer) -> None:
    """S-29, S-15: as one whose method fails before it returns its stream."""
    client = await Filtered(serve, Refusing()).harness.connect()
    (answer,) = await client.ask({**call("Count", 2), "type": 4})
    assert answer["error"].endswith("invoking 'Count' on the server. HubException: c1 may not")


async def test_a_call_that_is_cancelled(serve: MakeServer) -> None:
    """S-29, S-27: the filters around a method are cancelled with it."""
    filtered = Filtered(serve, noting("a"))
    client = await filtered.harness.connect()
    filtered.take()
    assert await client.ask(call("Wait")) == []
    (answer,) = await client.ask({"type": 5, "invocationId": "1"})
    assert "error" in answer
    assert filtered.take() == ["+a Wait()", "-a"]


async def test_a_filter_refuses_a_connection(serve: MakeServer) -> None:
    """S-29, L-3: its exception is treated as one of OnConnected; OnDisconnected is not called."""

    class Gate(HubFilter):
        async def on_connected(self, hub: Hub, call_next: Any) -> None:
            raise HubException("closed today")

    filtered = Filtered(serve, noting("a"), Gate())
    client = await filtered.harness.open()
    answers = await client.ask({"protocol": "json", "version": 1})
    assert answers == [{}, {"type": 7, "error": f"{CLOSED} HubException: closed today"}]
    assert await client.has_ended()
    assert filtered.take() == ["+a c1"]


async def test_a_filter_changes_the_error_of_the_end(serve: MakeServer) -> None:
    """S-29, L-4."""

    class Naming(HubFilter):
        async def on_disconnected(self, hub: Hub, error: Any, call_next: Any) -> None:
            await call_next(hub, HubException("renamed"))

    filtered = Filtered(serve, Naming())
    client = await filtered.harness.connect()
    client.vanish()
    assert await client.has_ended()
    assert filtered.take() == ["connected", "disconnected renamed"]


async def test_events_of_a_hub_that_has_none(serve: MakeServer) -> None:
    """S-29: filters run around the events of the base class."""

    class QuietHub(Hub):
        pass

    each = noting("a")
    client = await serve(QuietHub, HubOptions(filters=[each])).connect()
    client.vanish()
    assert await client.has_ended()
    assert each.journal == ["+a c1", "-a", "+a None", "-a"]


@pytest.mark.parametrize("filters", [[], [HubFilter()]])
def test_a_method_without_filters_is_called_directly(filters: list[HubFilter]) -> None:
    """S-29: filters that are not there cost nothing."""
    table = HubMethodTable(FilteredHub, {Service: Service}, filters)
    assert table._methods["add"].function is FilteredHub.add


@pytest.mark.parametrize("wrong", [[HubFilter], [5], HubFilter(), "filters"])
def test_wrong_filters(wrong: Any) -> None:
    with pytest.raises(TypeError, match="filters"):
        HubOptions(filters=wrong)
