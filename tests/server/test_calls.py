"""The answers to calls, and what hub methods see (section S)."""

from collections.abc import Callable
from typing import Any

import pytest

from protocol import Hub, HubOptions, hub_method
from tests.support.hub_messages import PING, call, event, failure, result
from tests.support.server_harness import MakeServer

from .calls_hub import CallsHub


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param(call("Add", 1, 2), result(3), id="plain"),
        pytest.param(call("AddLater", 1, 2, id="x y"), result(3, "x y"), id="async, any id"),
        pytest.param(call("HandedOn"), result(3), id="awaitable of a plain method"),
        pytest.param(call("Nothing"), result(None), id="S-18 void is null"),
        pytest.param(
            call("Echo", {"A_b": [1, "ü", None]}), result({"A_b": [1, "ü", None]}), id="any"
        ),
        pytest.param(call("Raw", {"A": 1.50}), result({"A": 1.5}), id="raw"),
        pytest.param(call("Mirror", {"X": 1, "y": 2}), result({"x": 2, "y": 1}), id="struct"),
        pytest.param(
            call("Greet", {"firstName": "Ann", "unknown": 1}),
            result({"firstName": "Hello Ann", "age": None}),
            id="dataclass",
        ),
        pytest.param(call("aDD", 1, 2), result(3), id="S-1 ignoring case"),
        pytest.param(call("renamed"), result("renamed"), id="S-1 own name"),
        pytest.param(
            call("Add", 1, 2, headers={"traceparent": "00-1"}), result(3), id="C-7 headers"
        ),
        pytest.param(call("Add", 1, 2, unknown={"a": []}), result(3), id="J-1 unknown property"),
    ],
)
async def test_results(serve: MakeServer, message: Any, answer: Any) -> None:
    """S-1, S-18, J-14: a call is answered with its result."""
    client = await serve(CallsHub).connect()
    assert await client.ask(message) == [answer]


@pytest.mark.parametrize(
    "message",
    [
        event("Add", 1, 2),
        call("Add", 1, 2, id=""),
        event("Nobody"),
        event("Add"),
        event("Crash"),
        event("Refuse", "x"),
        event("Add", 1, 2, streamIds=["s"]),
        event("Give", "object"),
    ],
    ids=lambda message: f"{message['target']}{message['arguments']}",
)
async def test_without_an_id_nothing_is_answered(serve: MakeServer, message: Any) -> None:
    """S: a call without an invocationId gets no answer, whatever happens."""
    client = await serve(CallsHub).connect()
    assert await client.ask(message, call("Echo", "next")) == [result("next")]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"type": 2, "invocationId": "9", "item": 1}, id="S-25 item of no stream"),
        pytest.param({"type": 3, "invocationId": "9", "result": 1}, id="S-25 completion"),
        pytest.param({"type": 3, "invocationId": "9", "error": "x"}, id="S-25 error"),
        pytest.param({"type": 5, "invocationId": "9"}, id="S-27 cancel of nothing"),
        pytest.param({"type": 8, "sequenceId": 1}, id="S-23 ack"),
        pytest.param({"type": 9, "sequenceId": 1}, id="S-23 sequence"),
        pytest.param({"type": 99, "x": 1}, id="S-22 unknown type"),
        pytest.param({"type": 0}, id="S-22 type 0"),
        pytest.param(PING, id="K-5 ping"),
    ],
)
async def test_messages_that_ask_for_nothing(serve: MakeServer, message: Any) -> None:
    """S-22, S-23, S-25, S-27, K-5: they are ignored; messages after them are handled."""
    client = await serve(CallsHub).connect()
    assert await client.ask(message, call("Echo", 1)) == [result(1)]


async def test_records_in_any_slices(serve: MakeServer) -> None:
    """LA-1: the message boundaries of the transport have no meaning."""
    client = await serve(CallsHub).connect()
    for byte in b'{"type":1,"invocationId":"1","target":"Echo","arguments":["\xc3\xbc"]}\x1e':
        client.send_bytes(bytes([byte]))
    assert await client.take() == [result("ü")]


async def test_each_call_has_a_hub_of_its_own(serve: MakeServer) -> None:
    """S-28: each call has a new instance; ``items`` exist as long as the connection."""

    class StatefulHub(Hub):
        count = 0

        @hub_method
        def increase(self) -> list[int]:
            self.count += 1
            self.context.items["n"] = self.context.items.get("n", 0) + 1
            return [self.count, self.context.items["n"]]

    harness = serve(StatefulHub)
    one, other = await harness.connect(), await harness.connect()
    assert await one.ask(call("Increase"), call("Increase")) == [result([1, 1]), result([1, 2])]
    assert await other.ask(call("Increase")) == [result([1, 1])]


async def test_what_a_method_sees_of_its_caller(serve: MakeServer) -> None:
    """TG-11: the connection, its request, and the end of it."""
    seen: list[Any] = []

    class ContextHub(Hub):
        @hub_method
        def look(self) -> None:
            context = self.context
            seen.extend(
                [
                    context.connection_id,
                    context.user,
                    context.user_identifier,
                    context.http_request.query("A"),
                    context.http_request.query("blank"),
                    context.http_request.query("none"),
                    context.connection_aborted.is_set(),
                ]
            )

    client = await serve(ContextHub).connect(query="a=1&a=2&blank=")
    await client.ask(call("Look"))
    assert seen == ["c1", None, None, "1", "", None, False]


Service = Callable[[], Any]


async def test_parameters_that_no_client_sends(serve: MakeServer) -> None:
    """S-2: a service is made for each call and not counted among the arguments."""

    class Clock:
        pass

    class Store:
        pass

    made: list[object] = []

    def make(kind: type[Any]) -> Service:
        def give() -> Any:
            made.append(kind())
            return made[-1]

        return give

    class ServiceHub(Hub):
        @hub_method
        def use(self, clock: Clock, number: int, store: Store, text: str) -> list[Any]:
            return [type(clock) is Clock, number, type(store) is Store, text]

    options = HubOptions(
        services={Clock: make(Clock), Store: make(Store)}, enable_detailed_errors=True
    )
    client = await serve(ServiceHub, options).connect()
    assert await client.ask(call("Use", 1, "x")) == [result([True, 1, True, "x"])]
    assert await client.ask(call("Use", 1, "x")) == [result([True, 1, True, "x"])]
    assert len({id(service) for service in made}) == 4
    assert await client.ask(call("Use", 1)) == [
        failure(
            "Failed to invoke 'Use' due to an error on the server. InvalidDataException: "
            "Invocation provides 1 argument(s) but target expects 2."
        )
    ]
