"""invoke and send: what goes out, what comes back, and every way to fail (C-6 … C-11, R-3)."""

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

from .client_lab import CLOSE, PING, REQUEST, ClientLab


class Point(msgspec.Struct):
    x: int
    y: int = 0


def call(target: str, arguments: Any, id: str | None = None) -> dict[str, Any]:
    wanted = {} if id is None else {"invocationId": id}
    return {"type": 1, **wanted, "target": target, "arguments": arguments}


def completion(id: str = "1", **outcome: Any) -> dict[str, Any]:
    return {"type": 3, "invocationId": id, **outcome}


async def test_invoke(client_lab: ClientLab) -> None:
    """C-6, C-7: type 1 with a decimal id from 1; the target as written; results out of order."""
    connection = await client_lab.started()
    calls = [asyncio.create_task(connection.invoke("adD", n, str(n))) for n in range(3)]
    assert await client_lab.server.take() == [
        call("adD", [0, "0"], "1"),
        call("adD", [1, "1"], "2"),
        call("adD", [2, "2"], "3"),
    ]
    client_lab.server.send(completion("3", result=2), completion("1", result=0))
    client_lab.server.send(completion("2", result=1))
    assert await asyncio.gather(*calls) == [0, 1, 2]


async def test_send(client_lab: ClientLab) -> None:
    """C-7: type 1 without an id; does not wait for anything, uses up no id."""
    connection = await client_lab.started()
    await connection.send("Notify", {"A_b": None})
    asyncio.get_running_loop().call_soon(client_lab.server.send, completion(result=1))
    assert await connection.invoke("X") == 1
    assert await client_lab.server.take() == [
        call("Notify", [{"A_b": None}]),
        call("X", [], "1"),
    ]


async def test_arguments(client_lab: ClientLab) -> None:
    """J-14: members in camelCase, Raw as it is."""
    connection = await client_lab.started()

    class Person(msgspec.Struct):
        first_name: str

    await connection.send("X", Person("Ann"), Raw(b'{"A_b": 1.50}'), [1.5, True], None)
    await client_lab.clock.settle()
    assert client_lab.server.transport.take() == (
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
    client_lab: ClientLab, result_type: Any, outcome: dict[str, Any], expected: Any
) -> None:
    """C-9, C-25: converted to the type asked for."""
    connection = await client_lab.started()
    calling = asyncio.create_task(connection.invoke("X", result_type=result_type))
    await client_lab.server.take()
    client_lab.server.send(completion(**outcome))
    got = await calling
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize("text", ["boo", "Ünchanged 'text'\n\"as\" it is ", " "])
async def test_errors_of_the_hub(client_lab: ClientLab, text: str) -> None:
    """C-9: HubException, whose text is the hub's, unchanged."""
    connection = await client_lab.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.server.take()
    client_lab.server.send(completion(error=text))
    with pytest.raises(HubException) as caught:
        await calling
    assert str(caught.value) == text
    await connection.send("Y")
    assert (await client_lab.server.take())[-1] == call("Y", [])


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
    client_lab: ClientLab, result_type: Any, outcome: dict[str, Any], name: str
) -> None:
    """C-11: fails this call, not the connection."""
    connection = await client_lab.started()
    calling = asyncio.create_task(connection.invoke("X", result_type=result_type))
    await client_lab.server.take()
    client_lab.server.send(completion(**outcome))
    with pytest.raises(HubException, match=f"Error trying to deserialize result to {name}"):
        await calling
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.server.take()
    client_lab.server.send(completion("2", result=1))
    assert await calling == 1


@pytest.mark.parametrize("argument", [object(), float("nan"), Raw(b'"\x1e"')])
@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_arguments_that_cannot_be_written(
    client_lab: ClientLab, method: str, argument: object
) -> None:
    """J-21: our caller's fault; nothing is sent, the connection is fine."""
    connection = await client_lab.started()
    with pytest.raises(LocalProtocolError):
        await getattr(connection, method)("X", argument)
    await connection.send("Y")
    assert await client_lab.server.take() == [call("Y", [])]


async def test_a_result_type_that_is_none(client_lab: ClientLab) -> None:
    """A type no result can be read into is told before anything is sent."""
    connection = await client_lab.started()
    with pytest.raises(TypeError):
        await connection.invoke("X", result_type=asyncio.Event)
    assert await client_lab.server.take() == []


@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_messages_above_the_limit(client_lab: ClientLab, method: str) -> None:
    """F-4: size and limit are those of the whole frame; at the limit it goes."""
    connection = await client_lab.started(maximum_send_message_size=100)
    with pytest.raises(MessageTooLargeError) as caught:
        await getattr(connection, method)("X", "x" * 100)
    assert caught.value.limit == 100
    assert await client_lab.server.take() == []
    empty = len(json.dumps(call("X", [""]), separators=(",", ":"))) + 1
    await connection.send("X", "x" * (100 - empty))
    assert len(await client_lab.server.take()) == 1
    with pytest.raises(MessageTooLargeError) as caught:
        await connection.send("X", "x" * (101 - empty))
    assert caught.value.size == 101


async def test_a_loss_ends_all_calls(client_lab: ClientLab) -> None:
    """R-3, C-16: each gets an exception of its own with the reason; later calls are refused."""
    connection = await client_lab.started()
    calls = [asyncio.create_task(connection.invoke("X")) for _ in range(3)]
    await client_lab.server.take()
    client_lab.server.send({"type": 7, "error": "boo"})
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ConnectionClosed}
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert {str(outcome) for outcome in outcomes} == {
        "The server closed the connection with the following error: boo"
    }
    with pytest.raises(NotConnectedError):
        await connection.invoke("X")


@pytest.mark.parametrize("invitation", [True, False])
async def test_whether_to_come_back(client_lab: ClientLab, invitation: bool) -> None:
    """L-5: ConnectionClosed tells whether the server invited to connect again."""
    connection = await client_lab.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.server.take()
    client_lab.server.send({"type": 7, "allowReconnect": invitation})
    with pytest.raises(ConnectionClosed) as caught:
        await calling
    assert caught.value.allow_reconnect is invitation


async def test_stop_ends_all_calls(client_lab: ClientLab) -> None:
    """C-17: at once, whatever the server does."""
    connection = await client_lab.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.server.take()
    await connection.stop()
    with pytest.raises(ConnectionClosed, match=r"The connection was stopped\.") as caught:
        await calling
    assert not caught.value.allow_reconnect


async def test_answers_before_the_end_count(client_lab: ClientLab) -> None:
    """S-20: a completion that stands before the Close is one."""
    connection = await client_lab.started()
    calls = [asyncio.create_task(connection.invoke("X")) for _ in range(2)]
    await client_lab.server.take()
    client_lab.server.send(completion(result=1), CLOSE, completion("2", result=2))
    assert await calls[0] == 1
    with pytest.raises(ConnectionClosed):
        await calls[1]


async def test_what_was_sent_before_stop_leaves(client_lab: ClientLab) -> None:
    """C-17: the Close comes behind it."""
    connection = await client_lab.started()
    for number in range(3):
        await connection.send("X", number)
    await connection.stop()
    assert await client_lab.server.take() == [*(call("X", [n]) for n in range(3)), CLOSE]


async def test_cancelling_a_call(client_lab: ClientLab) -> None:
    """C-8, S-27: the wait ends, CancelInvocation is sent once, a late answer is dropped."""
    connection = await client_lab.started()
    calling = asyncio.create_task(connection.invoke("X"))
    assert await client_lab.server.take() == [call("X", [], "1")]
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await client_lab.server.take() == [{"type": 5, "invocationId": "1"}]
    client_lab.server.send(completion(result=1))
    assert await client_lab.server.take() == []
    await connection.send("Y")
    assert await client_lab.server.take() == [call("Y", [])]


async def test_a_call_in_a_timeout(client_lab: ClientLab) -> None:
    """C-8: there is none of our own; asyncio's does it."""
    connection = await client_lab.started(server_timeout=1000, keep_alive_interval=1000)

    async def impatient() -> None:
        async with asyncio.timeout(3):
            await connection.invoke("X")

    calling = asyncio.create_task(impatient())
    await client_lab.clock.advance(3)
    with pytest.raises(TimeoutError):
        await calling
    assert (await client_lab.server.take())[-1] == {"type": 5, "invocationId": "1"}


async def test_cancelling_a_call_after_the_end(client_lab: ClientLab) -> None:
    """C-8: nothing can be sent any more, and nothing is."""
    connection = await client_lab.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.server.take()
    client_lab.server.vanish()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await client_lab.clock.settle()
    assert client_lab.clock.leftovers() == []


async def test_callers_wait_for_a_server_that_does_not_read(client_lab: ClientLab) -> None:
    """C-21: above a mebibyte callers wait; memory is bounded, order kept."""
    connection = await client_lab.started()
    client_lab.server.transport.pause_reading()
    sent: list[int] = []

    async def flood() -> None:
        for number in range(20):
            await connection.send("X", number, "x" * 256 * 1024)
            sent.append(number)

    flooding = asyncio.create_task(flood())
    await client_lab.clock.settle()
    assert 4 <= len(sent) <= 6
    assert client_lab.near_ends[0].buffered < 1.6 * 1024 * 1024
    for _ in range(20):
        client_lab.server.transport.resume_reading()
        await asyncio.sleep(0)
        client_lab.server.transport.pause_reading()
        await client_lab.clock.settle()
    await flooding
    client_lab.server.transport.resume_reading()
    messages = await client_lab.server.take()
    assert [message["arguments"][0] for message in messages] == list(range(20))


@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_the_end_while_callers_wait(client_lab: ClientLab, method: str) -> None:
    """C-21, R-3: who still waits for room has sent nothing."""
    connection = await client_lab.started()
    client_lab.server.transport.pause_reading()
    await connection.send("X", "x" * 1024 * 1024)
    waiting = asyncio.create_task(getattr(connection, method)("Y"))
    await client_lab.clock.settle()
    assert not waiting.done()
    client_lab.server.vanish()
    client_lab.near_ends[0].abort()
    with pytest.raises(NotConnectedError):
        await waiting


async def test_a_handler_may_call(client_lab: ClientLab) -> None:
    """CR-8: an async handler that waits for an answer does not keep the reader from it."""
    connection = await client_lab.started()
    heard: list[Any] = []

    @connection.on("News")
    async def ask_back() -> None:
        heard.append(await connection.invoke("Back"))

    client_lab.server.send(call("News", []))
    assert await client_lab.server.take() == [call("Back", [], "1")]
    client_lab.server.send(completion(result=7))
    await client_lab.clock.settle()
    assert heard == [7]


async def test_first_bytes(client_lab: ClientLab) -> None:
    """C-1, H-13: the handshake request alone, then one Ping."""
    await client_lab.connection().start()
    assert await client_lab.server.take() == [REQUEST, PING]


async def test_an_item_for_an_ordinary_call(client_lab: ClientLab) -> None:
    """C-10: it fails the call, whose completion is then nobody's; C-11: others are dropped."""
    connection = await client_lab.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.server.take()
    client_lab.server.send({"type": 2, "invocationId": "7", "item": 1})
    client_lab.server.send({"type": 2, "invocationId": "1", "item": 1}, completion(result=1))
    with pytest.raises(LocalProtocolError, match="called as streams"):
        await calling
    asyncio.get_running_loop().call_soon(client_lab.server.send, completion("2", result=2))
    assert await connection.invoke("X") == 2
