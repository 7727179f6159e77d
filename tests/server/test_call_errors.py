"""The exact errors of calls that fail (S-4 … S-17)."""

import logging
from typing import Any

import pytest

from protocol import Hub, HubOptions, hub_method
from protocol.testing import LoopClock
from tests.support.hub_messages import HANDSHAKE, call, failure, result
from tests.support.server_harness import MakeServer

from .calls_hub import CallsHub

DETAILED = HubOptions(enable_detailed_errors=True)
NOT_BOUND = (
    "InvalidDataException: Error binding arguments. Make sure that the types of the provided "
    "values match the types of the hub method being invoked."
)


@pytest.mark.parametrize(
    ("message", "text", "details"),
    [
        pytest.param(
            call("Nobody"),
            "Failed to invoke 'Nobody' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="S-4",
        ),
        pytest.param(
            call("hidden"),
            "Failed to invoke 'hidden' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="S-4 not marked",
        ),
        pytest.param(
            call("on_connected"),
            "Failed to invoke 'on_connected' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="S-4 of the base class",
        ),
        pytest.param(
            call(""),
            "Failed to invoke '' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="J-5 empty target",
        ),
        pytest.param(
            call("add", 1),
            "Failed to invoke 'Add' due to an error on the server.",
            " InvalidDataException: Invocation provides 1 argument(s) but target expects 2.",
            id="S-5 too few",
        ),
        pytest.param(
            call("ADD", 1, 2, "x"),
            "Failed to invoke 'Add' due to an error on the server.",
            " InvalidDataException: Invocation provides 3 argument(s) but target expects 2.",
            id="S-5 too many",
        ),
        pytest.param(
            call("Add", "x"),
            "Failed to invoke 'Add' due to an error on the server.",
            f" {NOT_BOUND}",
            id="S-6 binds before it counts",
        ),
        pytest.param(
            call("Add", 1, "2"),
            "Failed to invoke 'Add' due to an error on the server.",
            f" {NOT_BOUND}",
            id="S-6",
        ),
        pytest.param(
            call("Mirror", {"y": 1}),
            "Failed to invoke 'Mirror' due to an error on the server.",
            f" {NOT_BOUND}",
            id="S-6 missing member",
        ),
        pytest.param(
            call("crash"),
            "An unexpected error occurred invoking 'Crash' on the server.",
            " LookupError: secret",
            id="S-7",
        ),
        pytest.param(
            call("BeCancelled"),
            "An unexpected error occurred invoking 'BeCancelled' on the server.",
            " CancelledError: ",
            id="S-7 a cancellation of the method's own",
        ),
        pytest.param(
            call("Refuse", "x"),
            "An unexpected error occurred invoking 'Refuse' on the server. HubException: x",
            "",
            id="S-8",
        ),
        pytest.param(
            call("Refuse", ""),
            "An unexpected error occurred invoking 'Refuse' on the server. HubException: ",
            "",
            id="S-8 empty",
        ),
        pytest.param(
            call("RefuseByKind"),
            "An unexpected error occurred invoking 'RefuseByKind' on the server."
            " RefusedException: no",
            "",
            id="S-8 derived",
        ),
        pytest.param(
            {"type": 4, "invocationId": "1", "target": "add", "arguments": [1, 2]},
            "The client attempted to invoke the non-streaming 'Add' method with a streaming"
            " invocation.",
            "",
            id="S-11",
        ),
        pytest.param(
            {"type": 4, "invocationId": "1", "target": "add", "arguments": [1]},
            "Failed to invoke 'Add' due to an error on the server.",
            " InvalidDataException: Invocation provides 1 argument(s) but target expects 2.",
            id="S-5 before S-11",
        ),
        pytest.param(
            {"type": 4, "invocationId": "1", "target": "Nobody", "arguments": []},
            "Failed to invoke 'Nobody' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="S-4 before S-11",
        ),
        pytest.param(
            call("Add", 1, 2, streamIds=["s"]),
            "An unexpected error occurred invoking 'Add' on the server."
            " HubException: Client sent 1 stream(s), Hub method expects 0.",
            "",
            id="S-12",
        ),
    ],
)
@pytest.mark.parametrize("detailed", [False, True])
async def test_errors(
    serve: MakeServer, message: Any, text: str, details: str, detailed: bool
) -> None:
    """S-4 … S-12: the exact error, with details only if enabled or of a HubException."""
    client = await serve(CallsHub, DETAILED if detailed else None).connect()
    assert await client.ask(message) == [failure(text + details if detailed else text)]
    assert await client.ask(call("Add", 1, 1)) == [result(2)]


async def test_what_is_logged(serve: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """S-7, S-8: a HubException is an answer; any other exception is an ERROR in the log."""
    client = await serve(CallsHub).connect()
    await client.ask(call("Refuse", "x"), call("Add", "x"), call("Nobody"), call("Crash"))
    (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
    assert record.getMessage() == "Hub method 'CallsHub.Crash' failed."
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


async def test_failures_do_not_fill_the_log(
    serve: MakeServer, clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """S-7: one line a minute, whichever client calls the method."""
    server = serve(CallsHub, HubOptions(client_timeout_interval=1000.0))
    for client in (await server.connect(), await server.connect()):
        await client.ask(call("Crash"), call("Crash"))
    assert [record.getMessage() for record in caplog.records] == [
        "Hub method 'CallsHub.Crash' failed."
    ]
    await clock.advance(60)
    await client.ask(call("Crash"))
    assert len(caplog.records) == 2


async def test_failures_of_events_do_not_fill_the_log(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """L-3."""

    class Refusing(Hub):
        async def on_connected(self) -> None:
            raise LookupError

    server = serve(Refusing)
    for _ in range(3):
        await (await server.open()).ask(HANDSHAKE)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert lines == ["Refusing.on_connected failed."]


@pytest.mark.parametrize("what", ["object", "nan", "cyclic", "separator"])
async def test_results_that_cannot_be_written(serve: MakeServer, what: str) -> None:
    """J-21, done better: the call fails, the connection does not end."""
    client = await serve(CallsHub).connect()
    assert await client.ask(call("Give", what), call("Echo", 1, id="2")) == [
        failure("An unexpected error occurred invoking 'Give' on the server."),
        result(1, "2"),
    ]


@pytest.mark.parametrize(
    "arguments", ['["\\ud800",1]', "[1,2,]", "[1,[2]"], ids=["surrogate", "comma", "bracket"]
)
async def test_arguments_that_are_broken_inside(serve: MakeServer, arguments: str) -> None:
    """J-8, S-21: a lone surrogate or a trailing comma fails the call; other broken JSON closes."""
    client = await serve(CallsHub).connect()
    message = f'{{"type":1,"invocationId":"1","target":"Add","arguments":{arguments}}}'
    (answer,) = await client.ask(message)
    if arguments == "[1,[2]":
        assert answer["type"] == 7
    else:
        assert answer == failure("Failed to invoke 'Add' due to an error on the server.")


@pytest.mark.parametrize("arguments", ['["\\ud800"]', "[1,]"])
async def test_an_unknown_method_with_broken_arguments(serve: MakeServer, arguments: str) -> None:
    """J-8, S-4: the error says that the method does not exist."""
    client = await serve(CallsHub).connect()
    message = f'{{"type":1,"invocationId":"1","target":"Nobody","arguments":{arguments}}}'
    assert await client.ask(message) == [
        failure(
            "Failed to invoke 'Nobody' due to an error on the server."
            " HubException: Method does not exist."
        )
    ]


async def test_a_factory_that_fails(serve: MakeServer) -> None:
    """S-17: answered as S-7; the slot is free again."""
    broken = False

    def make() -> Hub:
        if broken:
            raise LookupError("no database")
        return CallsHub()

    client = await serve(CallsHub, hub_factory=make).connect()
    broken = True
    assert await client.ask(call("Add", 1, 2)) == [
        failure("An unexpected error occurred invoking 'Add' on the server.")
    ]
    broken = False
    assert await client.ask(call("Add", 1, 2)) == [result(3)]


async def test_a_service_that_cannot_be_had(serve: MakeServer) -> None:
    """S-2, S-7: its failure is the call's."""

    class Store:
        pass

    def fail() -> Store:
        raise LookupError("none left")

    class ServiceHub(Hub):
        @hub_method
        def use(self, store: Store) -> None: ...

    client = await serve(ServiceHub, HubOptions(services={Store: fail})).connect()
    assert await client.ask(call("Use")) == [
        failure("An unexpected error occurred invoking 'Use' on the server.")
    ]


class DeepHub(Hub):
    @hub_method
    def deep(self) -> list[Any]:
        value: list[Any] = []
        for _ in range(100_000):
            value = [value]
        return value


async def test_a_result_too_deep_to_write_does_not_fill_the_log(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """J-21: the call fails, and the log does not repeat each level."""
    client = await serve(DeepHub).connect()
    failed = "An unexpected error occurred invoking 'Deep' on the server."
    assert await client.ask(call("Deep")) == [failure(failed)]
    formatted = logging.Formatter().format(caplog.records[-1])
    assert "RecursionError: maximum recursion depth exceeded" in formatted
    assert len(formatted) < 2000
