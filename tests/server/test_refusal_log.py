"""What the log says about calls and connections that are refused: names and types, no values."""

import dataclasses
import datetime as dt
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypedDict

import msgspec
import pytest

from protocol import Byte, Hub, HubException, HubOptions, hub_method
from protocol.testing import LoopClock
from tests.support.hub_messages import HANDSHAKE, PING, call, item
from tests.support.server_harness import MakeServer

SECRET = "s3cret"
NAME = "protocol.server.refusal_log"
WAIT = "ChatHub.WaitUntil: parameter 1 'time'"
SEND_BYTE = "ChatHub.SendByte: parameter 1 'byte'"


class Point(msgspec.Struct):
    x: int
    y: int


@dataclasses.dataclass
class Item:
    item_name: str
    count: int

    def __post_init__(self) -> None:
        if self.count < 0:
            raise LookupError(SECRET)


class Settings(TypedDict):
    size: int


class ChatHub(Hub):
    @hub_method
    def say(self, number: int, text: str = "") -> None: ...

    @hub_method
    def add(self, left: int, right: int) -> None: ...

    @hub_method
    def draw(self, points: list[Point]) -> None: ...

    @hub_method
    def move(self, point: Point | None) -> None: ...

    @hub_method
    def pair(self, pair: tuple[int, Point]) -> None: ...

    @hub_method
    def store(self, item: Item) -> None: ...

    @hub_method
    def set_up(self, settings: Settings) -> None: ...

    @hub_method
    def name_all(self, names: dict[int, str]) -> None: ...

    @hub_method
    def wait_until(self, time: dt.datetime) -> None: ...

    @hub_method
    def send_byte(self, byte: Byte) -> None: ...

    @hub_method
    def choose(self, value: int | str) -> None: ...

    @hub_method
    async def upload(self, numbers: AsyncIterator[int]) -> None:
        async for _ in numbers:
            pass

    @hub_method(authorize=True)
    def shut_down(self) -> None: ...


@pytest.mark.parametrize(
    ("target", "arguments", "line"),
    [
        ("say", [1, 5], "ChatHub.Say: parameter 2 'text': expected str, got int"),
        ("say", [SECRET], "ChatHub.Say: parameter 1 'number': expected int, got str"),
        ("say", [1.5], "ChatHub.Say: parameter 1 'number': expected int, got float"),
        ("say", [None], "ChatHub.Say: parameter 1 'number': expected int, got None"),
        ("say", [], "ChatHub.Say: got 0 arguments, expected 1 to 2"),
        ("add", [1], "ChatHub.Add: got 1 argument, expected 2"),
        ("draw", [{}], "ChatHub.Draw: parameter 1 'points': expected list, got dict"),
        (
            "draw",
            [[{"x": 1, "y": 2}, {"x": 1, "y": SECRET}]],
            "ChatHub.Draw: parameter 1 'points': item 2: field 'y': expected int, got str",
        ),
        (
            "draw",
            [[{"x": 1, SECRET: 2}]],
            "ChatHub.Draw: parameter 1 'points': item 1: missing field 'y'",
        ),
        ("move", [{}], "ChatHub.Move: parameter 1 'point': missing fields 'x', 'y'"),
        ("move", [1], "ChatHub.Move: parameter 1 'point': expected Point or None, got int"),
        ("pair", [[1]], "ChatHub.Pair: parameter 1 'pair': expected 2 items, got 1"),
        ("pair", [[1, []]], "ChatHub.Pair: parameter 1 'pair': item 2: expected Point, got list"),
        ("store", [{"count": 1}], "ChatHub.Store: parameter 1 'item': missing field 'itemName'"),
        (
            "store",
            [{"itemName": SECRET, "count": -1}],
            "ChatHub.Store: parameter 1 'item': Item raised LookupError",
        ),
        ("SetUp", [{}], "ChatHub.SetUp: parameter 1 'settings': missing field 'size'"),
        (
            "NameAll",
            [{"1": 5}],
            "ChatHub.NameAll: parameter 1 'names': a value of the dict: expected str, got int",
        ),
        (
            "NameAll",
            [{SECRET: "a"}],
            "ChatHub.NameAll: parameter 1 'names': a key of the dict does not fit",
        ),
        (
            "WaitUntil",
            [SECRET],
            f"{WAIT}: expected datetime, got a str that is not a valid datetime",
        ),
        (
            "WaitUntil",
            [5],
            f"{WAIT}: expected datetime, got int",
        ),
        (
            "SendByte",
            [256],
            f"{SEND_BYTE}: expected Byte, got an int that is not a valid Byte",
        ),
        (
            "choose",
            [True],
            "ChatHub.Choose: parameter 1 'value': expected int or str, got bool",
        ),
        ("ShutDown", [], "ChatHub.ShutDown: the user is not authorized"),
        ("Sey", [], "ChatHub: a client has called 'Sey' (did you mean 'Say'?)."),
        ("waitun\til", [], "ChatHub: a client has called 'waitun�il' (did you mean 'WaitUntil'?)."),
        (SECRET, [], "ChatHub: a client has called a method that it does not have."),
    ],
)
async def test_a_refused_call(
    serve: MakeServer,
    caplog: pytest.LogCaptureFixture,
    target: str,
    arguments: Sequence[Any],
    line: str,
) -> None:
    """The log names the method, the parameter and the types; the caller gets .NET's text."""
    client = await serve(ChatHub).connect()
    (answer,) = await client.ask(call(target, *arguments))
    assert answer["error"].startswith("Failed to invoke '")
    assert caplog.record_tuples == [(NAME, logging.WARNING, line)]
    assert SECRET not in caplog.text


async def test_an_item_of_a_stream(serve: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """An item from a client that does not fit its stream, too."""
    client = await serve(ChatHub).connect()
    client.send(call("Upload", streamIds=["s"]), item(SECRET, "s"))
    await client.take()
    line = "ChatHub: an item from a client: expected int, got str"
    assert caplog.record_tuples == [(NAME, logging.WARNING, line)]


async def test_once_a_minute(
    serve: MakeServer, clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A method has one WARNING in a minute, on all connections of the hub; other lines are DEBUG.

    Clients choose unknown names, so all of these have one WARNING in a minute together.
    """
    caplog.set_level(logging.DEBUG, NAME)
    harness = serve(ChatHub)
    first, second = await harness.connect(), await harness.connect()
    await first.ask(call("add", 1))
    await second.ask(call("add", 1))
    await second.ask(call("say"))
    await first.ask(call("x"))
    await first.ask(call("y"))
    await clock.advance(59)
    await second.ask(call("add", 1))
    await clock.advance(1)
    await second.ask(call("add", 1))
    levels = [record.levelname for record in caplog.records if record.name == NAME]
    assert levels == ["WARNING", "DEBUG", "WARNING", "WARNING", "DEBUG", "DEBUG", "WARNING"]


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (
            call("say", 1, "x" * 40_000),
            "A message has 40072 bytes, more than the 32768 bytes of maximum_receive_message_size.",
        ),
        ({"type": 1, "target": 5, "arguments": []}, "Expected 'target' to be of type String."),
        (
            {"type": 1, "headers": {SECRET: 5}, "target": "a", "arguments": []},
            "Expected headers to be of type String.",
        ),
        ({"type": 1, "target": "say", "arguments": 5}, "Expected 'arguments' to be of type Array."),
    ],
    ids=["size", "type", "header", "arguments"],
)
async def test_a_connection_that_breaks_a_rule(
    serve: MakeServer, caplog: pytest.LogCaptureFixture, record: Any, line: str
) -> None:
    """The log says why the connection ends; a message over the limit with the option."""
    client = await serve(ChatHub).connect()
    await client.ask(record)
    line = f"ChatHub: a connection was closed: {line}"
    assert caplog.record_tuples == [(NAME, logging.WARNING, line)]


async def test_an_unfinished_message_over_the_limit(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Its size is not known."""
    client = await serve(ChatHub, HubOptions(maximum_receive_message_size=100)).connect()
    client.send_bytes(b"x" * 101)
    await client.take()
    assert "A message has more than the 100 bytes of" in caplog.text


@pytest.mark.parametrize(
    ("request_record", "line"),
    [
        (
            {"protocol": SECRET, "version": 1},
            "The client asks for a hub protocol other than json and messagepack.",
        ),
        ({"protocol": "json"}, "Missing required property 'version'."),
        ("{", "The handshake request is not JSON."),
    ],
    ids=["protocol", "version", "json"],
)
async def test_a_refused_handshake(
    serve: MakeServer, caplog: pytest.LogCaptureFixture, request_record: Any, line: str
) -> None:
    """The log says why, without text of the client."""
    client = await serve(ChatHub).open()
    await client.ask(request_record)
    line = f"ChatHub: a connection was closed: {line}"
    assert caplog.record_tuples == [(NAME, logging.WARNING, line)]


async def test_a_silent_client(
    serve: MakeServer, clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A lost network is usual: it is an INFO."""
    caplog.set_level(logging.INFO, NAME)
    client = await serve(ChatHub).connect()
    client.send(PING)
    await clock.advance(40)
    line = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
    assert caplog.record_tuples == [
        (NAME, logging.INFO, f"ChatHub: a connection was closed: {line}")
    ]


async def test_a_client_without_a_handshake(
    serve: MakeServer, clock: LoopClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients can repeat it at will, so it is one INFO in a minute."""
    caplog.set_level(logging.DEBUG, NAME)
    harness = serve(ChatHub)
    for client in (await harness.open(), await harness.open()):
        client.send_bytes(SECRET.encode())
    await clock.advance(15)
    line = "ChatHub: a connection was closed: no handshake within 15 seconds."
    assert caplog.record_tuples == [(NAME, logging.INFO, line), (NAME, logging.DEBUG, line)]


class ClosedHub(Hub):
    async def on_connected(self) -> None:
        raise HubException(SECRET)


async def test_a_connection_that_the_hub_refuses(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A HubException in on_connected is deliberate: no traceback, and the client gets its text."""
    client = await serve(ClosedHub).open()
    _, close = await client.ask(HANDSHAKE)
    assert close["error"] == f"Connection closed with an error. HubException: {SECRET}"
    line = "ClosedHub.on_connected raised HubException."
    assert caplog.record_tuples == [(NAME, logging.WARNING, line)]
    assert SECRET not in caplog.text
