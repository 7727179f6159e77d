"""invoke and send: the messages, the results, and every way to fail (C-6 … C-11, R-3)."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from protocol import (
    ConnectionClosed,
    HubException,
    LocalProtocolError,
    MessageTooLargeError,
    NotConnectedError,
)
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import CLOSE, HANDSHAKE, PING, call, completion, event


class Point(msgspec.Struct):
    x: int
    y: int = 0


async def test_invoke(harness: ClientHarness) -> None:
    """C-6, C-7: type 1 with a decimal id from 1; the target as written; results out of order."""
    connection = await harness.started()
    calls = [asyncio.create_task(connection.invoke("adD", n, str(n))) for n in range(3)]
    assert await harness.server.take() == [
        call("adD", 0, "0"),
        call("adD", 1, "1", id="2"),
        call("adD", 2, "2", id="3"),
    ]
    harness.server.send(completion("3", result=2), completion("1", result=0))
    harness.server.send(completion("2", result=1))
    assert await asyncio.gather(*calls) == [0, 1, 2]


async def test_headers(harness: ClientHarness) -> None:
    """C-7: they are written only if there are any."""
    connection = await harness.started()
    calls = [asyncio.create_task(connection.invoke("X", headers={"traceparent": "00"}))]

    async def iterate() -> None:
        async for _ in connection.stream("Y", headers={"a": "b"}):
            pass

    await asyncio.sleep(0)
    calls.append(asyncio.create_task(iterate()))
    sent = await harness.server.take()
    assert [message["headers"] for message in sent] == [{"traceparent": "00"}, {"a": "b"}]
    harness.server.send(completion("1", result=None), completion("2"))
    await asyncio.gather(*calls)


async def test_send(harness: ClientHarness) -> None:
    """C-7: type 1 without an id; does not wait for anything, uses up no id."""
    connection = await harness.started()
    await connection.send("Notify", {"A_b": None})
    asyncio.get_running_loop().call_soon(harness.server.send, completion(result=1))
    assert await connection.invoke("X") == 1
    assert await harness.server.take() == [
        event("Notify", {"A_b": None}),
        call("X"),
    ]


async def test_arguments(harness: ClientHarness) -> None:
    """J-14: members in camelCase, Raw as it is."""
    connection = await harness.started()

    class Person(msgspec.Struct):
        first_name: str

    await connection.send("X", Person("Ann"), Raw(b'{"A_b": 1.50}'), [1.5, True], None)
    await harness.clock.settle()
    assert harness.server.transport.take() == (
        b'{"type":1,"target":"X","arguments":[{"firstName":"Ann"},{"A_b": 1.50},[1.5,true],null]}'
        b"\x1e"
    )


@pytest.mark.parametrize(
    ("result_type", "outcome", "expected"),
    [
        pytest.param(Any, {"result": {"A": [1, None]}}, {"A": [1, None]}, id="any"),
        pytest.param(int, {"result": 3}, 3, id="int"),
        pytest.param(float, {"result": 3}, 3.0, id="J-15 int for float"),
        pytest.param(Point, {"result": {"X": 1}}, Point(1), id="J-14 ignoring case"),
        pytest.param(list[Point], {"result": [{"x": 1, "y": 2}]}, [Point(1, 2)], id="list"),
        pytest.param(int | None, {"result": None}, None, id="optional"),
        pytest.param(Any, {"result": None}, None, id="C-25 null"),
        pytest.param(Any, {}, None, id="C-25 void"),
        pytest.param(None, {}, None, id="C-25 void for None"),
        pytest.param(Raw, {"result": {"A_b": 1}}, Raw(b'{"A_b": 1}'), id="raw"),
        pytest.param(Raw, {"result": None}, Raw(b"null"), id="raw null"),
        pytest.param(Raw, {}, Raw(b""), id="raw void"),
        pytest.param(Any, {"result": 1, "headers": {"a": "b"}}, 1, id="C-7 headers"),
        pytest.param(Any, {"error": "", "unknown": 1}, None, id="C-9 an empty error is none"),
    ],
)
async def test_results(
    harness: ClientHarness, result_type: Any, outcome: dict[str, Any], expected: Any
) -> None:
    """C-9, C-25: the result is converted to ``result_type``."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X", result_type=result_type))
    await harness.server.take()
    harness.server.send(completion(**outcome))
    got = await calling
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize("text", ["boo", "Ünchanged 'text'\n\"as\" it is ", " "])
async def test_errors_of_the_hub(harness: ClientHarness, text: str) -> None:
    """C-9: HubException, whose text is the hub's, unchanged."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.server.send(completion(error=text))
    with pytest.raises(HubException) as caught:
        await calling
    assert str(caught.value) == text
    await connection.send("Y")
    assert (await harness.server.take())[-1] == event("Y")


@pytest.mark.parametrize(
    ("result_type", "outcome", "name"),
    [
        (int, {"result": "3"}, "int"),
        (int, {}, "int"),
        (int, {"result": None}, "int"),
        (Point, {"result": {"y": 1}}, "Point"),
        (list[int], {"result": [1, "2"]}, "list"),
    ],
)
async def test_results_of_another_type(
    harness: ClientHarness, result_type: Any, outcome: dict[str, Any], name: str
) -> None:
    """C-11: fails this call, not the connection."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X", result_type=result_type))
    await harness.server.take()
    harness.server.send(completion(**outcome))
    with pytest.raises(HubException, match=f"Error trying to deserialize result to {name}"):
        await calling
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.server.send(completion("2", result=1))
    assert await calling == 1


@pytest.mark.parametrize("argument", [object(), float("nan"), Raw(b'"\x1e"')])
@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_arguments_that_cannot_be_written(
    harness: ClientHarness, method: str, argument: object
) -> None:
    """J-21: an error of the caller; nothing is sent, and the connection stays open."""
    connection = await harness.started()
    with pytest.raises(LocalProtocolError):
        await getattr(connection, method)("X", argument)
    await connection.send("Y")
    assert await harness.server.take() == [event("Y")]


async def test_a_result_type_that_is_none(harness: ClientHarness) -> None:
    """A type that no result can be read into raises before anything is sent."""
    connection = await harness.started()
    with pytest.raises(TypeError):
        await connection.invoke("X", result_type=asyncio.Event)
    assert await harness.server.take() == []


@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_messages_above_the_limit(harness: ClientHarness, method: str) -> None:
    """F-4: the limit is for the whole frame; a frame of exactly the limit is sent."""
    connection = await harness.started(maximum_send_message_size=100)
    with pytest.raises(MessageTooLargeError) as caught:
        await getattr(connection, method)("X", "x" * 100)
    assert caught.value.limit == 100
    assert await harness.server.take() == []
    empty = len(json.dumps(event("X", ""), separators=(",", ":"))) + 1
    await connection.send("X", "x" * (100 - empty))
    assert len(await harness.server.take()) == 1
    with pytest.raises(MessageTooLargeError) as caught:
        await connection.send("X", "x" * (101 - empty))
    assert caught.value.size == 101


async def test_a_loss_ends_all_calls(harness: ClientHarness) -> None:
    """R-3, C-16: each call gets its own exception with the reason; later calls are refused."""
    connection = await harness.started()
    calls = [asyncio.create_task(connection.invoke("X")) for _ in range(3)]
    await harness.server.take()
    harness.server.send({"type": 7, "error": "boo"})
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ConnectionClosed}
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert {str(outcome) for outcome in outcomes} == {
        "The server closed the connection with the following error: boo"
    }
    with pytest.raises(NotConnectedError):
        await connection.invoke("X")


@pytest.mark.parametrize("invitation", [True, False])
async def test_whether_to_come_back(harness: ClientHarness, invitation: bool) -> None:
    """L-5: ConnectionClosed contains whether the server allows a reconnect."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.server.send({"type": 7, "allowReconnect": invitation})
    with pytest.raises(ConnectionClosed) as caught:
        await calling
    assert caught.value.allow_reconnect is invitation


async def test_stop_ends_all_calls(harness: ClientHarness) -> None:
    """C-17: at once, whatever the server does."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    await connection.stop()
    with pytest.raises(ConnectionClosed, match=r"The connection was stopped\.") as caught:
        await calling
    assert not caught.value.allow_reconnect


async def test_answers_before_the_end_count(harness: ClientHarness) -> None:
    """S-20: a completion before the Close is handled."""
    connection = await harness.started()
    calls = [asyncio.create_task(connection.invoke("X")) for _ in range(2)]
    await harness.server.take()
    harness.server.send(completion(result=1), CLOSE, completion("2", result=2))
    assert await calls[0] == 1
    with pytest.raises(ConnectionClosed):
        await calls[1]


async def test_what_was_sent_before_stop_leaves(harness: ClientHarness) -> None:
    """C-17: the Close comes behind it."""
    connection = await harness.started()
    for number in range(3):
        await connection.send("X", number)
    await connection.stop()
    assert await harness.server.take() == [*(event("X", n) for n in range(3)), CLOSE]


async def test_cancelling_a_call(harness: ClientHarness) -> None:
    """C-8, S-27: the wait ends, CancelInvocation is sent once, a late answer is dropped."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X"))
    assert await harness.server.take() == [call("X")]
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await harness.server.take() == [{"type": 5, "invocationId": "1"}]
    harness.server.send(completion(result=1))
    assert await harness.server.take() == []
    await connection.send("Y")
    assert await harness.server.take() == [event("Y")]


async def test_a_call_in_a_timeout(harness: ClientHarness) -> None:
    """C-8: the client has no timeout for calls; asyncio's works."""
    connection = await harness.started(server_timeout=1000, keep_alive_interval=1000)

    async def impatient() -> None:
        async with asyncio.timeout(3):
            await connection.invoke("X")

    calling = asyncio.create_task(impatient())
    await harness.clock.advance(3)
    with pytest.raises(TimeoutError):
        await calling
    assert (await harness.server.take())[-1] == {"type": 5, "invocationId": "1"}


async def test_cancelling_a_call_after_the_end(harness: ClientHarness) -> None:
    """C-8: after the end no CancelInvocation is sent."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.server.vanish()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await harness.clock.settle()
    assert harness.clock.leftovers() == []


async def test_callers_wait_for_a_server_that_does_not_read(harness: ClientHarness) -> None:
    """C-21: above a mebibyte callers wait; memory is bounded, order kept."""
    connection = await harness.started()
    harness.server.transport.pause_reading()
    sent: list[int] = []

    async def flood() -> None:
        for number in range(20):
            await connection.send("X", number, "x" * 256 * 1024)
            sent.append(number)

    flooding = asyncio.create_task(flood())
    await harness.clock.settle()
    assert 4 <= len(sent) <= 6
    assert harness.near_ends[0].buffered < 1.6 * 1024 * 1024
    for _ in range(20):
        harness.server.transport.resume_reading()
        await asyncio.sleep(0)
        harness.server.transport.pause_reading()
        await harness.clock.settle()
    await flooding
    harness.server.transport.resume_reading()
    messages = await harness.server.take()
    assert [message["arguments"][0] for message in messages] == list(range(20))


@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_the_end_while_callers_wait(harness: ClientHarness, method: str) -> None:
    """C-21, R-3: a call that waits for room was not sent."""
    connection = await harness.started()
    harness.server.transport.pause_reading()
    await connection.send("X", "x" * 1024 * 1024)
    waiting = asyncio.create_task(getattr(connection, method)("Y"))
    await harness.clock.settle()
    assert not waiting.done()
    harness.server.vanish()
    harness.near_ends[0].abort()
    with pytest.raises(NotConnectedError):
        await waiting


async def test_a_handler_may_call(harness: ClientHarness) -> None:
    """CR-8: an async handler that waits for an answer does not block reading it."""
    connection = await harness.started()
    heard: list[Any] = []

    @connection.on("News")
    async def ask_back() -> None:
        heard.append(await connection.invoke("Back"))

    harness.server.send(event("News"))
    assert await harness.server.take() == [call("Back")]
    harness.server.send(completion(result=7))
    await harness.clock.settle()
    assert heard == [7]


async def test_first_bytes(harness: ClientHarness) -> None:
    """C-1, H-13: the handshake request alone, then one Ping."""
    await harness.connection().start()
    assert await harness.server.take() == [HANDSHAKE, PING]


async def test_an_item_for_an_ordinary_call(harness: ClientHarness) -> None:
    """C-10: it fails the call, whose completion is then nobody's; C-11: others are dropped."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.server.send({"type": 2, "invocationId": "7", "item": 1})
    harness.server.send({"type": 2, "invocationId": "1", "item": 1}, completion(result=1))
    with pytest.raises(LocalProtocolError, match="called as streams"):
        await calling
    asyncio.get_running_loop().call_soon(harness.server.send, completion("2", result=2))
    assert await connection.invoke("X") == 2
