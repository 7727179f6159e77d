"""Stateful reconnect on the server, on the clock of the test (section SR)."""

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

import pytest

from protocol import Hub, HubMessage, HubOptions, hub_method
from protocol.messages import Ack, Sequence
from protocol.testing import LoopClock
from tests.support.failing_protocol import FailingProtocol
from tests.support.hub_messages import (
    CLOSE,
    PING,
    STATEFUL_HANDSHAKE,
    ack,
    call,
    completion,
    event,
    item,
    result,
    sequence,
    stream_call,
)
from tests.support.server_harness import GAP, MakeServer, ServerHarness, StatefulClient

# A notice of 100 characters is a frame of NOTICE_SIZE bytes.
NOTICE_SIZE: Final = len('{"type":1,"target":"Notice","arguments":[""]}\x1e') + 100


def notice(text: str) -> dict[str, Any]:
    return event("Notice", text)


class Journal:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.go_on = asyncio.Event()


class JournalHub(Hub):
    journal: Journal

    async def on_connected(self) -> None:
        self.journal.lines.append("connected")

    async def on_disconnected(self, error: Exception | None) -> None:
        name = "" if error is None else f" {error.exception_name}: {error}"  # type: ignore[attr-defined]
        self.journal.lines.append(f"disconnected{name}")

    @hub_method
    def echo(self, text: str) -> str:
        self.journal.lines.append(text)
        return text

    @hub_method
    def color(self) -> str | None:
        return self.context.http_request.query("color")

    @hub_method
    async def wait(self) -> str:
        await self.journal.go_on.wait()
        return "waited"

    @hub_method
    async def notify(self, count: int) -> None:
        for number in range(1, count + 1):
            await self.clients.caller.send("Notice", str(number).ljust(100, "."))
            self.journal.lines.append(f"sent {number}")

    @hub_method
    async def report(self, numbers: AsyncIterable[int]) -> None:
        async for number in numbers:
            await self.clients.caller.send("Notice", str(number).ljust(100, "."))
            self.journal.lines.append(f"read {number}")

    @hub_method
    async def ask(self) -> str:
        return await self.clients.caller.invoke("Question", result_type=str)

    @hub_method
    async def join(self) -> None:
        await self.groups.add(self.context.connection_id, "group")

    @hub_method
    async def count(self) -> AsyncIterator[int]:
        yield 1
        await self.journal.go_on.wait()
        yield 2

    @hub_method
    async def total(self, numbers: AsyncIterable[int]) -> int:
        return sum([number async for number in numbers])

    @hub_method
    def abort(self) -> None:
        self.context.abort()


class Scene:
    """A server with the hub above."""

    def __init__(self, serve: MakeServer, **options: Any) -> None:
        self.journal = Journal()
        self.harness: ServerHarness = serve(
            JournalHub, HubOptions(**options), hub_factory=self._make
        )
        self.clients = self.harness.server.context.clients

    def _make(self) -> JournalHub:
        hub = JournalHub()
        hub.journal = self.journal
        return hub

    @property
    def lines(self) -> list[str]:
        """The journal since the last call."""
        lines, self.journal.lines = self.journal.lines, []
        return lines


async def connected(serve: MakeServer, **options: Any) -> tuple[Scene, StatefulClient]:
    scene = Scene(serve, **options)
    client = await scene.harness.connect_stateful("color=red")
    assert scene.lines == ["connected"]
    return scene, client


class TestGap:
    async def test_a_connection_outlives_its_socket(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        """SR-10, SR-13, SR-17: id, groups and calls; all that is sent comes in one piece."""
        scene, client = await connected(serve)
        await client.ask(call("Join"), call("Wait", id="2"))
        client.vanish()
        await clock.advance(GAP - 1)
        scene.journal.go_on.set()
        await scene.clients.group("group").send("Notice", "all")
        await scene.clients.client("c1").send("Notice", "one")
        await clock.settle()
        client.resume()
        await clock.settle()
        assert len(client.transport.peer.pieces) == 1
        assert await client.take() == [
            sequence(1),
            result(id="1"),
            notice("all"),
            notice("one"),
            result("waited", id="2"),
        ]
        assert scene.lines == []

    async def test_it_ends_after_a_time(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-10, TG-10."""
        scene, client = await connected(serve)
        client.vanish()
        await clock.advance(GAP - 0.01)
        assert (scene.lines, client.sockets.can_resume) == ([], True)
        await clock.advance(0.01)
        assert (scene.lines, client.sockets.can_resume) == (["disconnected"], False)

    async def test_each_gap_has_its_own_time(self, clock: LoopClock, serve: MakeServer) -> None:
        scene, client = await connected(serve)
        for _ in range(3):
            client.vanish()
            await clock.advance(GAP - 1)
            client.resume()
            assert await client.take() == [sequence(1)]
        assert await client.ask(call("Echo", "here")) == [result("here")]
        assert scene.lines == ["here"]

    async def test_hub_code_gets_the_new_request(self, serve: MakeServer) -> None:
        """TG-11."""
        _, client = await connected(serve)
        client.vanish()
        client.resume("color=blue")
        assert await client.ask(call("Color")) == [sequence(1), result("blue")]

    async def test_a_question_outlives_it(self, clock: LoopClock, serve: MakeServer) -> None:
        _, client = await connected(serve)
        (question,) = await client.ask(call("Ask"))
        client.vanish()
        await clock.advance(1)
        client.resume()
        assert await client.take() == [sequence(1), question]
        client.send(sequence(2), completion(question["invocationId"], result="yes"))
        assert await client.take() == [result("yes")]

    async def test_streams_outlive_it(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-2: items are counted."""
        scene, client = await connected(serve)
        client.send(stream_call("Count", id="1"), call("Total", id="2", streamIds=["3"]))
        assert await client.ask(item(20, "3")) == [item(1, "1")]
        client.vanish()
        await clock.advance(1)
        scene.journal.go_on.set()
        client.resume()
        assert await client.take() == [sequence(1), item(1, "1"), item(2, "1"), completion("1")]
        client.send(sequence(3), item(20, "3"), item(22, "3"), completion("3"))
        assert await client.take() == [result(42, id="2")]

    async def test_neither_pings_nor_timeouts(self, clock: LoopClock, serve: MakeServer) -> None:
        """K-1, K-3: they begin anew with the new socket."""
        _, client = await connected(serve, keep_alive_interval=2, client_timeout_interval=5)
        assert await client.ask(PING) == []
        await clock.advance(1.5)
        client.vanish()
        await clock.advance(10)
        client.resume()
        assert await client.take() == [sequence(1)]
        await clock.advance(1.9)
        assert await client.take() == []
        await clock.advance(0.2)
        assert await client.take() == [PING]
        await clock.advance(3.1)
        assert (await client.take())[-1]["type"] == CLOSE["type"]

    async def test_the_server_can_end_it(self, serve: MakeServer) -> None:
        scene, client = await connected(serve)
        client.vanish()
        client.connection.connection.abort()
        await client.connection.closed
        assert (scene.lines, client.sockets.can_resume) == (["disconnected"], False)

    async def test_a_shutdown_ends_it(self, serve: MakeServer) -> None:
        """SR-19: without a wait for the client."""
        scene, client = await connected(serve)
        client.vanish()
        await scene.harness.server.close(grace=1)
        assert scene.lines == ["disconnected"]


class TestHandshake:
    async def test_it_continues_on_a_new_socket(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-21."""
        scene = Scene(serve)
        client = await scene.harness.open_stateful()
        client.send_bytes(b'{"protocol":')
        await clock.settle()
        client.vanish()
        await clock.advance(1)
        client.resume()
        client.send_bytes(b'"json","version":2}\x1e')
        assert await client.take() == [{}]

    async def test_a_lower_version_on_a_new_socket(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        """SR-1, SR-21: answers go to the new socket, although it is never exchanged again."""
        client = await Scene(serve).harness.open_stateful()
        client.vanish()
        client.resume()
        client.send({"protocol": "json", "version": 1}, call("Echo", "x"))
        assert await client.take() == [{}, result("x")]

    async def test_its_deadline_stays(self, clock: LoopClock, serve: MakeServer) -> None:
        """H-9."""
        scene = Scene(serve, handshake_timeout=3)
        client = await scene.harness.open_stateful()
        client.vanish()
        await clock.advance(3)
        assert client.connection.closed.done()

    async def test_a_lower_version_switches_it_off(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        """SR-1."""
        scene = Scene(serve)
        client = await scene.harness.open_stateful()
        client.send({"protocol": "json", "version": 1}, call("Echo", "x"))
        assert await client.take() == [{}, result("x")]
        await clock.advance(1.5)
        assert await client.take() == []
        assert not client.sockets.can_resume
        client.vanish()
        await clock.settle()
        assert scene.lines == ["connected", "x", "disconnected"]


class TestEnd:
    @pytest.mark.parametrize("way", ["message", "frame"])
    async def test_a_close_of_the_client(
        self, clock: LoopClock, serve: MakeServer, way: str
    ) -> None:
        """SR-9."""
        scene, client = await connected(serve)
        if way == "message":
            assert await client.ask(CLOSE) == [CLOSE]
        else:
            await client.transport.close()
        await clock.settle()
        assert scene.lines == ["disconnected"]
        assert not client.sockets.can_resume

    async def test_an_abort(self, serve: MakeServer) -> None:
        """SR-19."""
        scene, client = await connected(serve)
        assert await client.ask(call("Abort")) == [CLOSE]
        assert (client.ended, client.sockets.can_resume) == ("closed", False)
        assert scene.lines == ["disconnected"]

    async def test_a_wrong_sequence(self, serve: MakeServer) -> None:
        """SR-14."""
        _, client = await connected(serve, enable_detailed_errors=True)
        (close,) = await client.ask(sequence(2))
        assert close == {
            "type": 7,
            "error": "Connection closed with an error. InvalidOperationException: "
            "Sequence ID greater than amount of messages we've received.",
            "allowReconnect": True,
        }
        assert not client.sockets.can_resume


class TestTakeover:
    async def test_the_new_socket_gets_everything(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        """SR-12: the old one is cut without a Close frame, and is not read any more."""
        scene, client = await connected(serve)
        first = client.transport
        assert await client.ask(call("Echo", "1")) == [result("1")]
        client.resume()
        assert first.peer.ended == "aborted"
        first.write(b'{"type":1,"target":"Echo","arguments":["late"]}\x1e')
        first.flush()
        assert await client.take() == [sequence(1), result("1")]
        assert scene.lines == ["1"]

    async def test_what_was_not_handled_is_received_again(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        """SR-13: calls that wait behind another call, and a part of a message."""
        scene, client = await connected(serve)
        calls = [call("Wait"), call("Echo", "2", id="2"), call("Echo", "3", id="3")]
        client.send(*calls)
        client.send_bytes(b'{"type":1,"tar')
        await clock.settle()
        client.resume()
        client.send(sequence(1), *calls)
        assert await client.take() == [sequence(1)]
        scene.journal.go_on.set()
        assert await client.take() == [result("waited"), result("2", id="2"), result("3", id="3")]
        assert scene.lines == ["2", "3"]

    async def test_paused_reading_starts_again(self, clock: LoopClock, serve: MakeServer) -> None:
        """TG-8: the bytes that had filled the buffer are dropped."""
        scene, client = await connected(serve)
        client.send(call("Wait"))
        client.send(*[event("Echo", "x" * 1000) for _ in range(100)])
        await clock.settle()
        client.send(event("Echo", "unread"))
        await clock.settle()
        assert client.transport.buffered > 0
        client.resume()
        scene.journal.go_on.set()
        assert await client.take() == [sequence(1), result("waited")]
        client.send(sequence(1), *[call("Echo", str(number)) for number in range(3)])
        assert await client.take() == [result("2")]


class TestAcks:
    async def test_an_ack_follows_within_a_second(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        """SR-6: for the last message, and none without messages."""
        _, client = await connected(serve)
        await client.ask(call("Echo", "1"), event("Missing"), PING)
        await clock.advance(0.9)
        assert await client.ask(call("Echo", "3")) == [result("3")]
        await clock.advance(0.2)
        assert await client.take() == [ack(3)]
        await clock.advance(5)
        assert await client.take() == []

    async def test_a_message_that_waits_is_acknowledged_later(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        """SR-6: one call is taken and waits for its slot, the next one is not taken."""
        scene, client = await connected(serve)
        assert await client.ask(call("Wait"), *[event("Echo", "x")] * 2) == []
        await clock.advance(3)
        assert await client.take() == [ack(2)]
        scene.journal.go_on.set()
        assert await client.take() == [result("waited")]
        await clock.advance(1)
        assert await client.take() == [ack(3)]

    async def test_many_bytes_are_acknowledged_at_once(self, serve: MakeServer) -> None:
        """SR-6: a client whose buffer is full can go on."""
        _, client = await connected(serve, stateful_reconnect_buffer_size=1000)
        client.send(event("Echo", "x" * 500))
        assert await client.take() == []
        assert await client.ask(event("Echo", "y")) == []
        client.send(event("Echo", "x" * 500))
        assert await client.take() == [ack(2)]

    async def test_an_ack_may_be_lost(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-6: so the last one is repeated on each socket."""
        _, client = await connected(serve)
        await client.ask(event("Echo", "x"))
        client.vanish()
        await clock.advance(3)
        for _ in range(2):
            client.resume()
            assert await client.take() == [sequence(1)]
            await clock.advance(1)
            assert await client.take() == [ack(1)]

    async def test_sockets_that_are_lost_sooner(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-6: each new socket would put off an Ack whose timer began anew."""
        _, client = await connected(serve)
        await client.ask(event("Echo", "x"))
        records: list[Any] = []
        for _ in range(2):
            await clock.advance(0.6)
            records += await client.take()
            client.vanish()
            client.resume()
        assert records == [sequence(1), ack(1)]


@pytest.mark.parametrize("kind", [Ack, Sequence])
async def test_a_hub_protocol_that_fails(
    clock: LoopClock, serve: MakeServer, kind: type[HubMessage]
) -> None:
    """SR-6, SR-13: the connection ends. Otherwise no timer and no socket would ever end it."""
    scene, client = await connected(serve, supported_protocols=[FailingProtocol(kind)])
    client.send(event("Echo", "x"))
    await clock.settle()
    if kind is Sequence:
        client.resume()
    else:
        await clock.advance(1)
    assert [record["type"] for record in await client.take()] == [7]
    assert client.connection.closed.done()
    assert scene.lines == ["x", "disconnected"]


class TestBuffer:
    async def test_messages_wait_for_an_ack(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-8: the one that fills the buffer is sent; the method waits with the next one."""
        scene, client = await connected(serve, stateful_reconnect_buffer_size=2 * NOTICE_SIZE)
        assert len(await client.ask(call("Notify", 5))) == 3
        assert scene.lines == ["sent 1", "sent 2", "sent 3"]
        assert await client.ask(ack(1)) == []  # at the limit, not below it
        assert len(await client.ask(ack(2))) == 2
        assert scene.lines == ["sent 4", "sent 5"]
        assert await client.ask(ack(5)) == [ack(1), result()]

    async def test_an_ack_behind_calls_is_read(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-8: the calls before it are run, although their answers wait for it."""
        _, client = await connected(serve, stateful_reconnect_buffer_size=100)
        calls = [call("Echo", str(number), id=str(number)) for number in range(20)]
        client.send(*calls, ack(20))
        records = await client.take()
        while len(records) < 20:
            client.send(ack(len(records)))
            more = [each for each in await client.take() if each["type"] == 3]
            assert more
            records += more
        assert records == [result(str(number), id=str(number)) for number in range(20)]

    async def test_calls_wait_when_too_many_answers_wait(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        """TG-8: half of ``maximum_outbound_buffer_size`` may wait for an Ack."""
        scene, client = await connected(
            serve, stateful_reconnect_buffer_size=100, maximum_outbound_buffer_size=2000
        )
        client.send(*[call("Echo", "x" * 60) for _ in range(50)])
        await clock.settle()
        assert 5 < len(scene.lines) < 20
        await clock.advance(9)
        assert client.sockets.can_resume
        await clock.advance(2)
        assert not client.sockets.can_resume

    async def test_an_ack_behind_a_call_that_waits(self, serve: MakeServer) -> None:
        """SR-8: the method in the only slot goes on sending, so that the call gets the slot."""
        scene, client = await connected(serve, stateful_reconnect_buffer_size=2 * NOTICE_SIZE)
        assert len(await client.ask(call("Notify", 5))) == 3
        records = await client.ask(event("Echo", "next"), ack(3))
        assert [each["type"] for each in records if each["type"] != 8] == [1, 1, 3]
        assert scene.lines[-2:] == ["sent 5", "next"]

    async def test_an_ack_behind_an_item_that_waits(self, serve: MakeServer) -> None:
        """SR-8, U-5: the method that reads the upload goes on sending."""
        scene, client = await connected(
            serve, stateful_reconnect_buffer_size=2 * NOTICE_SIZE, stream_buffer_capacity=1
        )
        client.send(call("Report", streamIds=["2"]))
        items = [item(number, "2") for number in range(8)]
        records = await client.ask(*items[:7], ack(3), *items[7:], ack(6), completion("2"), ack(9))
        assert [each["type"] for each in records if each["type"] != 8] == [*[1] * 8, 3]
        assert scene.lines == [f"read {number}" for number in range(8)]

    async def test_a_call_that_waits_for_long(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-8: the time in which an Ack is not read does not count."""
        scene, client = await connected(serve, stateful_reconnect_buffer_size=NOTICE_SIZE)
        client.send(call("Wait"), event("Echo", "next"))
        for _ in range(4):
            await scene.clients.client("c1").send("Notice", "." * 100)
        assert (await client.take())[:2] == [notice("." * 100)] * 2
        client.send(ack(2))
        await clock.advance(25)
        scene.journal.go_on.set()
        assert await client.take() == [ack(2), notice("." * 100), notice("." * 100)]
        client.send(ack(4))
        assert await client.take() == [result("waited")]

    async def test_acks_do_not_wait(self, clock: LoopClock, serve: MakeServer) -> None:
        """SR-8: pings are left out, and sent again afterwards."""
        _, client = await connected(
            serve, stateful_reconnect_buffer_size=NOTICE_SIZE, keep_alive_interval=2
        )
        assert len(await client.ask(call("Notify", 3))) == 2
        await clock.advance(5)
        assert await client.take() == [ack(1)]
        assert (await client.ask(ack(2)))[1:] == [result()]
        client.send(ack(4))
        await clock.advance(2)
        assert await client.take() == [PING]

    @pytest.mark.parametrize("place", ["open", "gap"])
    async def test_no_ack_in_time(self, clock: LoopClock, serve: MakeServer, place: str) -> None:
        """SR-8: WebSocket Close 1000 without a Close message."""
        scene, client = await connected(serve, stateful_reconnect_buffer_size=NOTICE_SIZE)
        assert len(await client.ask(call("Notify", 3))) == 2
        if place == "gap":
            client.vanish()
        await clock.advance(9.9)
        assert scene.lines == ["sent 1", "sent 2"]
        await clock.advance(0.2)
        assert scene.lines == [
            "sent 3",
            "disconnected OperationCanceledException: The operation was canceled.",
        ]
        if place == "open":
            assert await client.take() == [ack(1)]
            assert client.ended == "closed"
        assert not client.sockets.can_resume

    async def test_every_ack_that_makes_room_gives_more_time(
        self, clock: LoopClock, serve: MakeServer
    ) -> None:
        _, client = await connected(serve, stateful_reconnect_buffer_size=1)
        assert len(await client.ask(call("Notify", 9))) == 1
        for number in range(1, 4):
            await clock.advance(9)
            assert len(await client.ask(ack(number))) >= 1
        assert client.sockets.can_resume

    async def test_waiting_messages_are_sent_before_the_close(self, serve: MakeServer) -> None:
        """TW-14."""
        scene, client = await connected(serve, stateful_reconnect_buffer_size=1)
        for number in range(3):
            await scene.clients.all.send("Notice", str(number))
        client.connection.connection.abort()
        assert await client.take() == [notice("0"), notice("1"), notice("2"), CLOSE]

    async def test_a_broadcast_does_not_wait(self, clock: LoopClock, serve: MakeServer) -> None:
        """G-7, TG-8: it is bounded by ``maximum_outbound_buffer_size``."""
        scene, client = await connected(
            serve,
            stateful_reconnect_buffer_size=NOTICE_SIZE,
            maximum_outbound_buffer_size=10 * NOTICE_SIZE,
        )
        client.vanish()
        await clock.settle()
        for _ in range(12):
            await scene.clients.all.send("Notice", "." * 100)
        assert client.sockets.can_resume
        await scene.clients.all.send("Notice", "." * 100)
        await clock.settle()
        assert scene.lines == [
            "disconnected OperationCanceledException: The client does not read what is sent to it."
        ]


async def test_many_connections_in_a_gap(clock: LoopClock, serve: MakeServer) -> None:
    """SR-4: 1,000 connections without a socket share the frame of each broadcast."""
    scene = Scene(serve)
    clients = [await scene.harness.open_stateful() for _ in range(1000)]
    for client in clients:
        client.send(STATEFUL_HANDSHAKE)
    await clock.settle()
    for client in clients:
        client.vanish()
    await clock.settle()
    tracemalloc.start()
    try:
        for _ in range(50):
            await scene.clients.all.send("Notice", "x" * 1000)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 2 * 1024 * 1024  # 50 MB without sharing
    for client in clients:
        client.resume()
    await clock.settle()
    for client in clients:
        assert await client.take() == [sequence(1), *[notice("x" * 1000)] * 50]
    assert set(scene.lines) == {"connected"}


async def test_a_storm_of_takeovers(clock: LoopClock, serve: MakeServer) -> None:
    """SR-5, SR-12, SR-13: every call is run once and in order, every answer arrives."""
    scene, client = await connected(serve)
    chance = random.Random(1)
    sent: list[dict[str, Any]] = []
    received: list[Any] = []
    numbers = [str(number) for number in range(300)]
    counted = handled = 0  # the numbers of the server's messages, and the highest one received
    acknowledged = 0
    for number in numbers:
        sent.append(call("Echo", number, id=number))
        client.send(sent[-1])
        for _ in range(chance.randrange(3)):
            if chance.random() < 0.3:
                await clock.settle()
            client.resume()
            client.send(sequence(acknowledged + 1), *sent[acknowledged:])
        for record in await client.take():
            if record["type"] == 9:
                counted = record["sequenceId"] - 1
            elif record["type"] == 8:
                acknowledged = max(acknowledged, record["sequenceId"])
            else:
                counted += 1
                if counted > handled:
                    handled = counted
                    received.append(record["result"])
        if chance.random() < 0.2:
            client.send(ack(handled))
            await clock.advance(1)
    assert received == numbers
    assert scene.lines == numbers
