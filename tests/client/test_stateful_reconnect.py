"""A client connection continues on another socket when its socket is lost (section SR)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HandshakeError,
    HubConnection,
    HubConnectionState,
    HubMessage,
    MessagePackHubProtocol,
    ServerTimeoutError,
)
from protocol.client.retry import retry_delays
from protocol.messages import Ack, Sequence
from tests.support.client_harness import ClientHarness, refusal
from tests.support.failing_protocol import FailingProtocol
from tests.support.hub_messages import CLOSE, HANDSHAKE, PING
from tests.support.memory_peer import MemoryPeer

DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTED = HubConnectionState.CONNECTED
RECONNECTING = HubConnectionState.RECONNECTING

NOT_RESUMED = "The connection was lost, and could not be resumed: "


def ack(number: int) -> dict[str, int]:
    return {"type": 8, "sequenceId": number}


def sequence(number: int) -> dict[str, int]:
    return {"type": 9, "sequenceId": number}


def news(number: int) -> dict[str, Any]:
    return {"type": 1, "target": "News", "arguments": [number]}


def sent(number: int) -> dict[str, Any]:
    return {"type": 1, "target": "X", "arguments": [number]}


@pytest.fixture
def harness(harness: ClientHarness) -> ClientHarness:
    harness.is_stateful = True
    return harness


class Events:
    """Counts callbacks, and records what the handler of News gets."""

    def __init__(self, connection: HubConnection) -> None:
        self.callbacks: list[str] = []
        self.heard: list[int] = []
        connection.on("News", self.heard.append)
        connection.on_closed(lambda error: self.callbacks.append(f"closed: {error}"))
        connection.on_reconnecting(lambda error: self.callbacks.append(f"reconnecting: {error}"))
        connection.on_reconnected(lambda name: self.callbacks.append(f"reconnected: {name}"))


async def lose(harness: ClientHarness) -> None:
    """Cuts the socket, and lets the client open another."""
    harness.server.vanish()
    await harness.clock.settle()


# ---- the resumption


async def test_a_resumption(harness: ClientHarness) -> None:
    """SR-5, SR-11, SR-13, SR-17: unacknowledged messages are sent again behind the Sequence, both
    ways, and each is handled once. There is no handshake, no Ping and no callback."""
    connection = await harness.started()
    events = Events(connection)
    calling = asyncio.create_task(connection.invoke("A"))
    await asyncio.sleep(0)
    await connection.send("X", 1)
    await connection.send("X", 2)
    (call, *_) = await harness.server.ask(news(1), news(2))
    assert await harness.server.ask(ack(1)) == []
    lost_at = harness.clock.time()
    await lose(harness)
    assert harness.reopened == [lost_at]
    assert await harness.server.take() == [sequence(2), sent(1), sent(2)]
    result = {"type": 3, "invocationId": call["invocationId"], "result": 7}
    harness.server.send(sequence(2), news(2), news(3), result)
    assert await calling == 7
    assert events.heard == [1, 2, 3]
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-1")
    assert events.callbacks == []
    assert len(harness.attempts) == 1


async def test_every_resumption_sends_again(harness: ClientHarness) -> None:
    """SR-13: until the Ack. Without such messages, the Sequence has the number of the next one."""
    connection = await harness.started()
    await connection.send("X", 1)
    await harness.server.take()
    for _ in range(3):
        await lose(harness)
        assert await harness.server.ask(sequence(1)) == [sequence(1), sent(1)]
    await harness.server.ask(ack(1))
    await lose(harness)
    assert await harness.server.take() == [sequence(2)]


async def test_calls_while_there_is_no_socket(harness: ClientHarness) -> None:
    """SR-13: they are sent behind the Sequence. Ids of calls go on (C-6)."""
    connection = await harness.started()
    gate = asyncio.Event()
    first = asyncio.create_task(connection.invoke("A"))
    await harness.server.take()
    harness.answers.append(lambda _: gate.set())
    harness.server.vanish()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await connection.send("X", 1)
    second = asyncio.create_task(connection.invoke("B"))
    cancelled = asyncio.create_task(connection.invoke("C"))
    await asyncio.sleep(0)
    cancelled.cancel()
    await gate.wait()
    records = await harness.server.take()
    assert [(it["type"], it.get("invocationId")) for it in records] == [
        (9, None),
        (1, "1"),
        (1, None),
        (1, "2"),
        (1, "3"),
        (5, "3"),
    ]
    harness.server.send(sequence(1))
    for number in ("2", "1"):
        harness.server.send({"type": 3, "invocationId": number, "result": number})
    assert [await first, await second] == ["1", "2"]


async def test_streams_and_questions(harness: ClientHarness) -> None:
    """SR-17: streams both ways go on, and so do handlers that answer the hub."""
    connection = await harness.started()
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @connection.on("Ask")
    async def ask() -> int:
        return await answer

    more: asyncio.Queue[int] = asyncio.Queue()

    async def items() -> AsyncIterator[int]:
        while (item := await more.get()) >= 0:
            yield item

    stream = connection.stream("Count")
    first = asyncio.create_task(anext(stream))
    calling = asyncio.create_task(connection.invoke("Up", items()))
    more.put_nowait(1)
    await harness.server.ask(
        {"type": 1, "invocationId": "q", "target": "Ask", "arguments": []},
        {"type": 2, "invocationId": "1", "item": 10},
    )
    assert await first == 10
    await harness.server.ask(ack(9))
    await lose(harness)
    answer.set_result(5)
    more.put_nowait(2)
    more.put_nowait(-1)
    records = await harness.server.ask(
        sequence(2),
        {"type": 2, "invocationId": "1", "item": 10},
        {"type": 2, "invocationId": "1", "item": 11},
        {"type": 3, "invocationId": "1"},
        {"type": 3, "invocationId": "3", "result": 3},
    )
    assert records[0] == sequence(4)
    assert {"type": 3, "invocationId": "q", "result": 5} in records
    assert {"type": 2, "invocationId": "2", "item": 2} in records
    assert [it async for it in stream] == [11]
    assert await calling == 3


async def test_messagepack(harness: ClientHarness) -> None:
    """SR-6, SR-13: Ack and Sequence in MessagePack; an unfinished message is sent again whole."""
    connection = harness.connection(hub_protocol=MessagePackHubProtocol())
    heard: list[int] = []
    connection.on("News", heard.append)
    await connection.start()
    await harness.server.arrived()
    event = bytes.fromhex("0c 96 01 80 c0 a4 4e657773 91 01 90".replace(" ", ""))
    harness.server.send_bytes(event + event[:6])
    await lose(harness)
    assert await harness.server.arrived() == bytes.fromhex("03920901")
    harness.server.send_bytes(bytes.fromhex("03920902") + event)
    await harness.clock.advance(1)
    assert await harness.server.arrived() == bytes.fromhex("03920802")
    assert heard == [1, 1]


async def test_messages_that_wait_when_the_socket_is_lost(harness: ClientHarness) -> None:
    """SR-5: a handler is slow. What is not handled at the resumption is taken from the server's
    repetition."""
    connection = await harness.started()
    heard: list[int] = []
    gate = asyncio.Event()

    @connection.on("News")
    async def hear(number: int, _: str) -> None:
        await gate.wait()
        heard.append(number)

    def large(number: int) -> dict[str, Any]:
        return {"type": 1, "target": "News", "arguments": [number, "x" * 600_000]}

    for number in range(1, 5):
        harness.server.send(large(number))
        await harness.clock.settle()
    await lose(harness)
    harness.server.send(sequence(1), *map(large, range(1, 6)))
    await harness.clock.settle()
    gate.set()
    await harness.clock.settle()
    assert heard == [1, 2, 3, 4, 5]


async def test_one_log_line_a_minute(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """SR-17: a resumption is visible in the log only."""
    caplog.set_level(logging.INFO)
    await harness.started()
    for _ in range(3):
        await lose(harness)
        await harness.server.ask(sequence(1))
    texts = [record.getMessage() for record in caplog.records]
    assert texts == ["A connection was lost, and continues on a new socket."]


# ---- Acks


async def test_acks(harness: ClientHarness) -> None:
    """SR-6, SR-2: one second after a counted message, and none if nothing new was received."""
    connection = await harness.started()
    timers = len(harness.clock.timers())
    harness.server.send(PING)
    await harness.clock.advance(2)
    assert await harness.server.take() == []
    harness.server.send(news(1))
    await harness.clock.advance(0.5)
    harness.server.send(news(2), PING, {"type": 3, "invocationId": "99"})
    await harness.clock.advance(0.4)
    assert await harness.server.take() == []
    await harness.clock.advance(0.1)
    assert await harness.server.take() == [ack(3)]
    await harness.clock.advance(10)
    assert await harness.server.take() == []
    assert len(harness.clock.timers()) == timers  # an idle connection has no timer for Acks
    assert connection.state is CONNECTED


async def test_the_last_ack_is_sent_again(harness: ClientHarness) -> None:
    """SR-6: on the new socket, because it may be lost."""
    await harness.started()
    harness.server.send(news(1))
    await harness.clock.advance(1)
    assert await harness.server.take() == [ack(1)]
    await lose(harness)
    assert await harness.server.ask(sequence(2)) == [sequence(1)]
    await harness.clock.advance(1)
    assert await harness.server.take() == [ack(1)]
    await harness.clock.advance(5)
    assert await harness.server.take() == []


async def test_many_bytes_are_acknowledged_at_once(harness: ClientHarness) -> None:
    """SR-6: a server whose buffer is full can go on."""
    await harness.started(stateful_reconnect_buffer_size=200)
    assert await harness.server.ask(news(1)) == []
    assert await harness.server.ask(news(2), news(3)) == [ack(1)]


async def test_sockets_that_are_lost_sooner(harness: ClientHarness) -> None:
    """SR-6: each new socket would put off an Ack whose timer began anew."""
    await harness.started()
    harness.server.send(news(1))
    await harness.clock.advance(0.6)
    await lose(harness)
    assert await harness.server.ask(sequence(2)) == [sequence(1)]
    await harness.clock.advance(0.4)
    assert await harness.server.take() == [ack(1)]


# ---- the buffer


async def test_a_full_buffer(harness: ClientHarness) -> None:
    """SR-8: the message that exceeds the limit is sent. Later calls wait for Acks, in order."""
    connection = await harness.started(stateful_reconnect_buffer_size=100)
    sends = [asyncio.create_task(connection.send("X", number, "x" * 40)) for number in range(4)]
    assert [it["arguments"][0] for it in await harness.server.take()] == [0, 1]
    assert [it.done() for it in sends] == [True, True, False, False]
    assert [it["arguments"][0] for it in await harness.server.ask(ack(1))] == [2]
    assert [it.done() for it in sends] == [True, True, True, False]
    assert await harness.server.ask(ack(1)) == []
    assert [it["arguments"][0] for it in await harness.server.ask(ack(99))] == [3]
    await asyncio.gather(*sends)
    assert await harness.server.ask(ack(99)) == []


async def test_no_ack_for_too_long(harness: ClientHarness) -> None:
    """SR-8: after 10 s the connection is lost, and callers get the reason."""
    connection = await harness.started(retry_delays([1]), stateful_reconnect_buffer_size=10)
    events = Events(connection)
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.clock.settle()
    waiting = asyncio.create_task(connection.send("X", 1))
    for _ in range(9):
        await harness.clock.advance(1)
        harness.server.send(PING, ack(0))
    await harness.clock.advance(0.9)
    assert connection.state is CONNECTED
    await harness.clock.advance(0.1)
    text = (
        "The server did not acknowledge messages within 10 seconds, and the buffer of stateful "
        "reconnect is full."
    )
    outcomes = await asyncio.gather(calling, waiting, return_exceptions=True)
    assert str(outcomes[0]) == text
    assert str(outcomes[1].__cause__) == text  # type: ignore[union-attr]
    assert (await harness.server.take())[2:] == []
    await harness.clock.advance(1)
    assert events.callbacks == [f"reconnecting: {text}", "reconnected: id-2"]
    assert harness.near_ends[0].ended == "closed"


async def test_an_ack_behind_items_that_the_program_has_not_taken(harness: ClientHarness) -> None:
    """SR-8: the 10 s stand still while the client handles no received messages."""
    connection = await harness.started(stateful_reconnect_buffer_size=10)

    async def items() -> AsyncIterator[int]:
        yield 1
        yield 2

    stream = connection.stream("X", items())
    first = asyncio.create_task(anext(stream))
    (call,) = await harness.server.take()
    for _ in range(40):
        item = {"type": 2, "invocationId": call["invocationId"], "item": "x" * 100_000}
        harness.server.send(item)
        await harness.clock.settle()
    harness.server.send(ack(99))
    await first
    await harness.clock.advance(100)
    assert connection.state is CONNECTED
    assert harness.near_ends[0].unread > 0
    for _ in range(39):
        await anext(stream)
    assert [it["item"] for it in await harness.server.take() if it["type"] == 2] == [1]


async def test_a_full_buffer_when_the_socket_is_lost(harness: ClientHarness) -> None:
    """SR-8, SR-13: the messages in the buffer are sent again, and the others wait on."""
    connection = await harness.started(stateful_reconnect_buffer_size=60)
    sends = [asyncio.create_task(connection.send("X", number)) for number in range(4)]
    await harness.clock.settle()
    await lose(harness)
    assert await harness.server.take() == [sequence(1), sent(0), sent(1)]
    assert await harness.server.ask(sequence(1), ack(2)) == [sent(2), sent(3)]
    await asyncio.gather(*sends)


async def test_answers_to_a_server_that_acknowledges_nothing(harness: ClientHarness) -> None:
    """SR-8: answers are held back, too. The bytes of held answers are limited."""
    connection = await harness.started(stateful_reconnect_buffer_size=10)
    events = Events(connection)
    connection.on("Ask", lambda: "x" * 1000)
    for number in range(1200):
        harness.server.send(
            {"type": 1, "invocationId": str(number), "target": "Ask", "arguments": []}
        )
        await harness.clock.settle()
        if number == 500:
            assert connection.state is CONNECTED
    assert connection.state is DISCONNECTED
    assert len(events.callbacks) == 1


async def test_uploads_wait_for_acks(harness: ClientHarness) -> None:
    """SR-8: an upload takes no further item from its source while the buffer is full."""
    connection = await harness.started(stateful_reconnect_buffer_size=100)
    taken: list[int] = []

    async def items() -> AsyncIterator[str]:
        for number in range(5):
            taken.append(number)
            yield "x" * 30

    await connection.send("Up", items())
    await harness.server.take()
    assert len(taken) < 5
    for number in range(2, 8):
        await harness.server.ask(ack(number))
    assert taken == [0, 1, 2, 3, 4]


async def test_uploads_wait_for_a_server_that_does_not_read(harness: ClientHarness) -> None:
    """The message buffer has room, but the transport has none."""
    connection = await harness.started(stateful_reconnect_buffer_size=10_000_000)
    taken: list[int] = []

    async def items() -> AsyncIterator[str]:
        for number in range(40):
            taken.append(number)
            yield "x" * 10_000

    harness.server.transport.pause_reading()
    await connection.send("Up", items())
    await harness.clock.settle()
    assert 13 <= len(taken) <= 15  # 128 KiB, and the item that waits
    harness.server.transport.resume_reading()
    await harness.clock.settle()
    assert len(taken) == 40


# ---- what ends the connection


def close_message(server: MemoryPeer) -> None:
    server.send({"type": 7, "allowReconnect": True})
    server.vanish()


def violate(server: MemoryPeer) -> None:
    server.transport.violate("bad frame")


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda server: server.transport.finish(), "The server ended the connection."),
        (violate, "bad frame"),
        (close_message, "The server closed the connection."),
        (lambda server: server.send(sequence(2)), "Sequence ID greater than"),
    ],
    ids=["SR-9 Close frame", "SR-9 violation", "SR-18 Close message", "SR-14 Sequence"],
)
async def test_ends_that_are_not_resumed(harness: ClientHarness, act: Any, reason: str) -> None:
    """SR-9, SR-14, SR-18: the reconnect policy decides."""
    connection = await harness.started(retry_delays([1]))
    events = Events(connection)
    act(harness.server)
    await harness.clock.settle()
    assert harness.reopened == []
    assert connection.state is RECONNECTING
    assert events.callbacks[0].startswith(f"reconnecting: {reason}")
    await harness.clock.advance(1)
    assert connection.connection_id == "id-2"


async def test_a_sequence_that_is_too_high(harness: ClientHarness) -> None:
    """SR-14: on the new socket: messages would be missing."""
    connection = await harness.started()
    events = Events(connection)
    await lose(harness)
    await harness.server.ask(sequence(5))
    text = "Sequence ID greater than amount of messages we've received."
    assert events.callbacks == [f"closed: {text}"]
    assert harness.near_ends[-1].ended == "closed"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (refusal("no such connection"), "no such connection"),
        (LookupError("s3cret"), "LookupError."),
        (asyncio.CancelledError(), "CancelledError."),
    ],
    ids=["refused", "token factory", "cancelled inside"],
)
@pytest.mark.parametrize("policy", [None, retry_delays([1])], ids=["no policy", "policy"])
async def test_a_resumption_that_fails(
    harness: ClientHarness, failure: BaseException, reason: str, policy: Any
) -> None:
    """SR-11: one attempt. Then the connection is lost, and calls fail with the reason."""
    connection = await harness.started(policy)
    events = Events(connection)
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.answers.append(failure)
    await lose(harness)
    assert len(harness.reopened) == 1
    with pytest.raises(ConnectionClosed) as caught:
        await calling
    assert str(caught.value) == NOT_RESUMED + reason
    if policy is None:
        assert events.callbacks == [f"closed: {NOT_RESUMED}{reason}"]
        return
    assert connection.state is RECONNECTING
    await harness.clock.advance(1)
    assert events.callbacks == [f"reconnecting: {NOT_RESUMED}{reason}", "reconnected: id-2"]
    assert await harness.server.take() == [{**HANDSHAKE, "version": 2}, PING]
    assert all(end.ended for end in harness.near_ends[:-1])


async def test_a_close_that_was_not_handled_yet(harness: ClientHarness) -> None:
    """SR-18, C-15: a slow handler delays the server's Close beyond the loss of the socket. If the
    server refuses the resumption, the Close counts, which allows no reconnect."""
    connection = await harness.started(retry_delays([1]))
    gate = asyncio.Event()
    connection.on("News", lambda _: gate.wait())
    large = {"type": 1, "target": "News", "arguments": ["x" * 600_000]}
    harness.server.send(large, large, large, CLOSE)
    await harness.clock.settle()
    harness.answers.append(refusal())
    await lose(harness)
    gate.set()
    await harness.clock.advance(5)
    assert (connection.state, len(harness.attempts)) == (DISCONNECTED, 1)


async def test_sockets_that_are_lost_at_once(harness: ClientHarness) -> None:
    """SR-11: after five sockets without a received byte, the connection is lost."""
    connection = await harness.started()
    events = Events(connection)
    await harness.server.ask(PING)
    for _ in range(5):
        await lose(harness)
        assert connection.state is CONNECTED
    await lose(harness)
    assert events.callbacks == ["closed: The server ended the connection."]
    assert len(harness.reopened) == 5


async def test_sockets_without_progress(harness: ClientHarness) -> None:
    """SR-11: on each socket both ends send the same messages again. Then the socket is lost, as by
    a proxy that refuses one of these messages."""
    connection = await harness.started()
    events = Events(connection)
    await connection.send("X", 1)
    await harness.server.ask(news(1))
    for _ in range(5):
        await lose(harness)
        assert await harness.server.ask(sequence(1), news(1), ack(0)) == [sequence(1), sent(1)]
        assert connection.state is CONNECTED
    await lose(harness)
    assert events.callbacks == ["closed: The server ended the connection."]
    assert (events.heard, len(harness.reopened)) == ([1], 5)


@pytest.mark.parametrize("progress", ["a message", "an Ack", "a second"])
async def test_sockets_with_progress(harness: ClientHarness, progress: str) -> None:
    """SR-11: any number of such sockets continues the connection."""
    connection = await harness.started()
    for number in range(1, 9):
        await connection.send("X", number)
        await lose(harness)
        await harness.server.ask(sequence(number if progress == "a message" else 1))
        if progress == "a message":
            await harness.server.ask(news(number))
        elif progress == "an Ack":
            await harness.server.ask(ack(number))
        else:
            await harness.clock.advance(1)
    assert (connection.state, len(harness.reopened)) == (CONNECTED, 8)


async def test_a_loss_in_the_handshake(harness: ClientHarness) -> None:
    """H-12: the start fails, and is not resumed."""
    connection = harness.connection()
    harness.answers.append(lambda server: server.vanish())
    with pytest.raises(HandshakeError):
        await connection.start()
    assert harness.reopened == []


@pytest.mark.parametrize("kind", [Ack, Sequence])
async def test_a_hub_protocol_that_fails(harness: ClientHarness, kind: type[HubMessage]) -> None:
    """SR-6, SR-13: the connection ends, and all sockets are closed."""
    connection = harness.connection(hub_protocol=FailingProtocol(kind))
    await connection.start()
    events = Events(connection)
    await harness.server.ask(news(1))
    if kind is Sequence:
        await lose(harness)
    else:
        await harness.clock.advance(1)
    assert events.callbacks == ["closed: Writing failed: LookupError"]
    assert all(end.ended for end in harness.near_ends)
    assert harness.clock.leftovers() == []


# ---- stops and timeouts while there is no socket


async def without_socket(harness: ClientHarness, connection: HubConnection) -> Events:
    """Loses the socket. The next socket is not opened."""
    events = Events(connection)
    harness.before_connecting = asyncio.Event().wait
    await lose(harness)
    assert connection.state is CONNECTED
    return events


@pytest.mark.parametrize("has_call", [False, True])
async def test_stop_without_a_socket(harness: ClientHarness, has_call: bool) -> None:
    """C-17: the attempt to open a socket ends at once, and calls fail."""
    connection = await harness.started(retry_delays([1]))
    events = await without_socket(harness, connection)
    calling = asyncio.create_task(connection.invoke("X")) if has_call else None
    await asyncio.sleep(0)
    await connection.stop()
    assert events.callbacks == ["closed: None"]
    assert connection.state is DISCONNECTED
    if calling is not None:
        with pytest.raises(ConnectionClosed):
            await calling
    assert all(end.ended for end in harness.near_ends)
    assert harness.clock.leftovers() == []


@pytest.mark.parametrize("ticks", range(8))
async def test_stop_at_any_moment_of_a_resumption(harness: ClientHarness, ticks: int) -> None:
    """C-17: nothing stays open."""
    connection = await harness.started(retry_delays([1]))
    events = Events(connection)
    harness.server.vanish()
    for _ in range(ticks):
        await asyncio.sleep(0)
    await connection.stop()
    await harness.clock.settle()
    assert events.callbacks == ["closed: None"]
    assert all(end.ended for end in harness.near_ends)
    assert harness.clock.leftovers() == []


async def test_the_server_timeout_without_a_socket(harness: ClientHarness) -> None:
    """K-2: an attempt to open a socket that takes too long."""
    connection = await harness.started(server_timeout=5.0)
    events = await without_socket(harness, connection)
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.clock.advance(4.9)
    assert connection.state is CONNECTED
    await harness.clock.advance(0.1)
    with pytest.raises(ServerTimeoutError):
        await calling
    assert len(events.callbacks) == 1
    assert harness.clock.leftovers() == []


async def test_keep_alive_on_a_new_socket(harness: ClientHarness) -> None:
    """K-2, K-4: both times start again with the new socket."""
    connection = await harness.started()
    await harness.clock.advance(14)
    await lose(harness)
    assert await harness.server.ask(sequence(1)) == [sequence(1)]
    await harness.clock.advance(14.9)
    assert await harness.server.take() == []
    await harness.clock.advance(0.1)
    assert await harness.server.take() == [PING]
    await harness.clock.advance(14.9)
    assert connection.state is CONNECTED
    await harness.clock.advance(0.2)
    assert connection.state is DISCONNECTED


async def test_duplicates_are_a_sign_of_life(harness: ClientHarness) -> None:
    """SR-5, K-4: they restart the server timeout, as all other messages do."""
    connection = await harness.started()
    events = Events(connection)
    await harness.server.ask(news(1), news(2))
    await lose(harness)
    harness.server.send(sequence(1))
    for number in (1, 2):
        await harness.clock.advance(29)
        harness.server.send(news(number))
    await harness.clock.advance(29)
    assert connection.state is CONNECTED
    assert events.heard == [1, 2]
    await harness.clock.advance(1)
    assert connection.state is DISCONNECTED


async def test_a_program_that_is_cancelled_while_it_waits(harness: ClientHarness) -> None:
    """SR-8: a call that is cancelled while the buffer is full is not sent."""
    connection = await harness.started(stateful_reconnect_buffer_size=10)
    await connection.send("X", 1)
    waiting = asyncio.create_task(connection.invoke("Y"))
    assert await harness.server.take() == [sent(1)]
    waiting.cancel()
    assert await harness.server.ask(ack(1)) == []
    await connection.send("X", 2)
    assert await harness.server.take() == [sent(2)]
