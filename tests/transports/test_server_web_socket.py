"""The server's WebSocket, frame by frame against a hand-made client (section TW)."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol import HubCallerContext, HubOptions, hub_method

from .conftest import Connect
from .hosting import Host, LabHub, until
from .raw_web_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    close_payload,
)


class EndHub(LabHub):
    ended: list[Exception | None]
    gate: asyncio.Event
    served: list[str]

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ended.append(error)

    @hub_method
    async def hold(self) -> str:
        await self.gate.wait()
        return "held"

    @hub_method
    async def tell_much(self, count: int) -> None:
        for number in range(count):
            await self.clients.caller.send("News", number, "x" * 512 * 1024)
            self.served.append(str(number))

    @hub_method
    def serve(self, name: str) -> None:
        self.served.append(name)

    @hub_method
    def large(self, size: int) -> str:
        return "x" * size


class EndHost(Host):
    """Notes what OnDisconnected is told."""

    def __init__(self, options: HubOptions | None = None) -> None:
        super().__init__()
        self.ended: list[Exception | None] = []
        self.gate = asyncio.Event()
        self.served: list[str] = []
        self.context = self.map(hub_class=EndHub, hub_options=options, hub_factory=self._make)

    def _make(self) -> EndHub:
        hub = EndHub()
        hub.ended, hub.gate, hub.served = self.ended, self.gate, self.served
        return hub

    async def has_ended(self) -> Exception | None:
        """Waits for OnDisconnected, and gives what it was told."""
        await until(lambda: self.ended)
        (error,) = self.ended
        return error


@pytest.fixture
async def end_host() -> AsyncIterator[EndHost]:
    host = EndHost()
    async with host.run():
        yield host


@pytest.fixture
async def client(end_host: EndHost, connect: Connect) -> RawWebSocket:
    return await connect(f"{end_host.url}/hub")


def call(target: str, *arguments: Any, id: str = "1") -> dict[str, Any]:
    return {"type": 1, "invocationId": id, "target": target, "arguments": list(arguments)}


def answer(value: Any, id: str = "1") -> dict[str, Any]:
    return {"type": 3, "invocationId": id, "result": value}


ECHO = b'{"type":1,"invocationId":"1","target":"Echo","arguments":["\xc3\xa9"]}\x1e'


# ---- what comes in


async def test_the_upgrade(end_host: EndHost, upgrade: Connect) -> None:
    """TW-2, TW-10: answered at once; neither extensions nor a subprotocol are agreed on."""
    web_socket = await upgrade(
        f"{end_host.url}/hub",
        Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits",
        Sec_WebSocket_Protocol="chat, other",
    )
    assert web_socket.head.status == 101
    assert "sec-websocket-extensions" not in web_socket.head.headers
    assert "sec-websocket-protocol" not in web_socket.head.headers


async def test_frames_out(client: RawWebSocket) -> None:
    """TW-3, TSC-6: whole, unmasked Text frames."""
    client.send(TEXT, ECHO)
    await client.record()
    assert {(frame.opcode, frame.fin, frame.masked) for frame in client.frames} == {
        (TEXT, True, False)
    }


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_opcodes_in(end_host: EndHost, upgrade: Connect, opcode: int) -> None:
    """TW-3: the opcode says nothing about what is inside."""
    web_socket = await upgrade(f"{end_host.url}/hub")
    web_socket.send(opcode, HANDSHAKE.encode())
    assert await web_socket.record() == {}
    web_socket.send(opcode, ECHO)
    assert await web_socket.record() == answer("é")


@pytest.mark.parametrize("cuts", [1, 2, 5, 70], ids=lambda cuts: f"{cuts} bytes each")
async def test_fragments(client: RawWebSocket, cuts: int) -> None:
    """TW-3, TW-4: a message in fragments, cut anywhere, inside a character too."""
    parts = [ECHO[i : i + cuts] for i in range(0, len(ECHO), cuts)]
    for number, part in enumerate(parts):
        opcode = CONTINUATION if number else TEXT
        client.send(opcode, part, fin=number == len(parts) - 1)
    assert await client.record() == answer("é")


async def test_several_records_in_a_frame(client: RawWebSocket) -> None:
    """0-1."""
    client.send_records(call("Echo", 1), {"type": 6}, call("Echo", 2, id="2"))
    assert await client.records(2) == [answer(1), answer(2, "2")]


async def test_a_record_over_several_messages(client: RawWebSocket) -> None:
    """0-1, TW-3: between messages of the WebSocket, if not inside a character."""
    for part in (ECHO[:20], ECHO[20:21], b"", ECHO[21:], ECHO[:5]):
        client.send(TEXT, part)
    assert await client.record() == answer("é")
    client.send(TEXT, ECHO[5:])
    assert await client.record() == answer("é")


async def test_a_character_cut_between_binary_messages(client: RawWebSocket) -> None:
    """TW-3: Binary messages may hold anything."""
    at = ECHO.index(b"\xc3") + 1
    client.send(BINARY, ECHO[:at])
    client.send(BINARY, ECHO[at:])
    assert await client.record() == answer("é")


async def test_control_frames_between_fragments(client: RawWebSocket) -> None:
    """TW-9: a Ping is answered with its payload, a Pong that nobody asked for ignored."""
    client.send(TEXT, ECHO[:10], fin=False)
    client.send(PING, b"payload")
    client.send(PONG, b"")
    client.send(CONTINUATION, ECHO[10:])
    pong = await client.frame()
    assert (pong.opcode, pong.payload) == (PONG, b"payload")
    assert await client.record() == answer("é")


# ---- violations


@pytest.mark.parametrize(
    ("opcode", "payload", "how", "code"),
    [
        pytest.param(TEXT, b'"\xff"\x1e', {}, 1007, id="TW-3 bad UTF-8"),
        pytest.param(TEXT, ECHO[: ECHO.index(b"\xc3") + 1], {}, 1007, id="TW-3 a cut character"),
        pytest.param(TEXT, b"\xed\xa0\x80\x1e", {}, 1007, id="TW-3 a surrogate"),
        pytest.param(3, b"x", {}, 1002, id="TW-13 reserved opcode"),
        pytest.param(11, b"", {}, 1002, id="TW-13 reserved control opcode"),
        pytest.param(TEXT, b"x", {"bits": 0x40}, 1002, id="TW-13 reserved bit"),
        pytest.param(CONTINUATION, b"x", {}, 1002, id="TW-13 orphan continuation"),
        pytest.param(PING, b"x" * 126, {}, 1002, id="TW-13 long control frame"),
        pytest.param(PING, b"x", {"fin": False}, 1002, id="TW-13 fragmented control frame"),
        pytest.param(CLOSE, b"x", {}, 1002, id="TW-13 one-byte Close"),
        *(
            pytest.param(CLOSE, close_payload(code), {}, 1002, id=f"TW-13 code {code}")
            for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)
        ),
    ],
)
async def test_violations(
    end_host: EndHost,
    client: RawWebSocket,
    opcode: int,
    payload: bytes,
    how: dict[str, Any],
    code: int,
) -> None:
    """TW-3, TW-13: the Close frame's code; no hub Close; OnDisconnected gets a violation."""
    client.send(opcode, payload, **how)
    frame = await client.frame()
    assert (frame.opcode, frame.code) == (CLOSE, code)
    assert type(await end_host.has_ended()).__name__ == "TransportViolationError"
    assert end_host.context.connection_count == 0


async def test_a_message_beyond_all_measure(connect: Connect) -> None:
    """F-4: what no hub message could need is refused by the frame already: 1009."""
    host = EndHost(HubOptions(maximum_receive_message_size=1024))
    async with host.run():
        client = await connect(f"{host.url}/hub")
        client.send(TEXT, b"x" * (1024 * 1024 + 1))
        closing = await client.closing()
        assert closing.code in (1000, 1009)
        assert await host.has_ended() is not None


async def test_a_hub_message_above_the_limit(end_host: EndHost, client: RawWebSocket) -> None:
    """S-20, F-4: an error Close of the hub, then 1000; counted over messages of the WebSocket."""
    for _ in range(4):
        client.send(TEXT, b"x" * 10_000)
    assert await client.record() == {
        "type": 7,
        "error": "Connection closed with an error.",
        "allowReconnect": True,
    }
    assert (await client.closing()).code == 1000
    assert "maximum message size of 32768B" in str(await end_host.has_ended())


async def test_many_messages_in_a_large_frame(client: RawWebSocket) -> None:
    """F-4: the limit is that of a hub message; a frame may hold many."""
    records = [call("Echo", "x" * 10_000, id=str(number)) for number in range(50)]
    client.send_records(*records)
    assert [(await client.record())["invocationId"] for _ in range(50)] == [
        str(number) for number in range(50)
    ]


# ---- the end


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        *(
            close_payload(code, b"why")
            for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 3000, 4999)
        ),
    ],
)
async def test_the_client_closes(end_host: EndHost, client: RawWebSocket, payload: bytes) -> None:
    """TW-6: answered with 1000 and nothing else, whatever the code; then TCP ends at once."""
    client.send(CLOSE, payload)
    frame = await client.frame()
    assert (frame.opcode, frame.payload) == (CLOSE, close_payload(1000))
    assert await client.end() == b""
    assert await end_host.has_ended() is None


async def test_a_hub_close_and_a_close_frame(end_host: EndHost, client: RawWebSocket) -> None:
    """C-17: as .NET's stop sends them, a call before: that is served, the Close frame answered."""
    client.send_records(call("Serve", "last"), {"type": 7})
    client.send(CLOSE, close_payload(1000))
    assert (await client.closing()).code == 1000
    assert await client.end() == b""
    assert await end_host.has_ended() is None
    assert end_host.served == ["last"]


async def test_the_hub_s_end_comes_before_the_close_frame(
    end_host: EndHost, client: RawWebSocket
) -> None:
    """TW-5, TW-14: the hub's Close, then Close 1000; TCP ends as soon as that is answered."""
    client.send_records({"type": 7})
    assert await client.record() == {"type": 7}
    closing = await client.closing()
    assert closing.payload == close_payload(1000)
    client.send(CLOSE, close_payload(1000))
    assert await client.end() == b""


async def test_an_unanswered_close(end_host: EndHost, client: RawWebSocket) -> None:
    """TW-6: after close_timeout the server ends TCP on its own."""
    client.send_records(call("Abort"))
    assert await client.record() == {"type": 7}
    await client.closing()
    assert await client.end() == b""
    assert await end_host.has_ended() is None


async def test_on_disconnected_fails(connect: Connect) -> None:
    """TW-6: 1011, behind the hub's Close."""

    class FailingHub(LabHub):
        async def on_disconnected(self, error: Exception | None) -> None:
            raise LookupError("end")

    host = Host()
    host.map(hub_class=FailingHub)
    async with host.run():
        client = await connect(f"{host.url}/hub")
        client.send_records({"type": 7})
        assert await client.record() == {"type": 7}
        assert (await client.closing()).code == 1011


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_a_client_that_vanishes(end_host: EndHost, client: RawWebSocket, how: str) -> None:
    """TW-8: the end of TCP is the end of the connection, and no error."""
    client.send_records(call("Echo", 1))
    assert await client.record() == answer(1)
    if how == "reset":
        client.cut()
    else:
        client.writer.write_eof()
    assert await end_host.has_ended() is None
    await until(lambda: end_host.context.connection_count == 0)


async def test_a_client_that_vanishes_inside_a_message(
    end_host: EndHost, client: RawWebSocket
) -> None:
    """F-3."""
    client.send(TEXT, ECHO[:20])
    client.writer.write_eof()
    assert str(await end_host.has_ended()) == "Connection terminated while reading a message."


async def test_a_client_that_vanishes_during_a_call(
    end_host: EndHost, client: RawWebSocket
) -> None:
    """TW-8, L-1: noticed while the method runs; its answer goes nowhere."""
    client.send_records(call("Hold"))
    client.send(PING)
    await client.frame()
    client.cut()
    assert await end_host.has_ended() is None
    end_host.gate.set()


async def test_a_handshake_that_fails(end_host: EndHost, upgrade: Connect) -> None:
    """H-2, TW-6: one record as Text, then Close 1000."""
    web_socket = await upgrade(f"{end_host.url}/hub")
    web_socket.send(BINARY, b'{"protocol":"messagepack","version":1}\x1e')
    assert await web_socket.record() == {"error": "The protocol 'messagepack' is not supported."}
    closing = await web_socket.closing()
    assert closing.payload == close_payload(1000)
    assert end_host.ended == []


# ---- how it is written


async def test_one_write_per_tick(client: RawWebSocket) -> None:
    """TSC-7: a burst of calls is answered in few frames, each with whole records."""
    before = len(client.frames)
    client.send_records(*(call("Add", number, 1, id=str(number)) for number in range(200)))
    answers = await client.records(200)
    assert [answer["result"] for answer in answers] == list(range(1, 201))
    frames = client.frames[before:]
    assert len(frames) <= 3
    assert all(frame.payload.endswith(b"\x1e") for frame in frames)


@pytest.mark.parametrize("size", [10, 125, 126, 40_000, 65_600, 300_000])
async def test_sizes_of_answers(client: RawWebSocket, size: int) -> None:
    """RFC 6455: all three lengths of a frame's head."""
    client.send_records(call("Large", size))
    assert await client.record() == answer("x" * size)


async def test_no_limit(connect: Connect) -> None:
    """F-4: None means that large messages pass."""
    host = Host()
    host.map(hub_options=HubOptions(maximum_receive_message_size=None))
    async with host.run():
        client = await connect(f"{host.url}/hub")
        text = "x" * 3_000_000
        client.send_records(call("Echo", text))
        assert await client.record() == answer(text)


# ---- clients that do not read


def stop_reading(client: RawWebSocket) -> None:
    transport: Any = client.writer.transport
    transport.pause_reading()


def being_served() -> int:
    """How many connections the server is not done with."""
    names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return list(names).count("ServerConnection.run")


async def test_a_client_that_does_not_read_is_cut_off(connect: Connect) -> None:
    """TG-9: by what waits for it; who reads gets everything."""
    host = EndHost(HubOptions(maximum_outbound_buffer_size=512 * 1024))
    async with host.run():
        slow, quick = [await connect(f"{host.url}/hub") for _ in range(2)]
        stop_reading(slow)
        await until(lambda: host.context.connection_count == 2)
        while not host.ended:  # the system's own buffers hold some megabytes
            await host.context.clients.all.send("News", "x" * 65_536)
            assert (await quick.record())["target"] == "News"
        assert type(host.ended[0]).__name__ == "SlowClientError"
        await until(lambda: being_served() == 1)
        assert host.context.connection_count == 1


async def test_a_method_that_sends_much_to_its_caller(
    end_host: EndHost, client: RawWebSocket
) -> None:
    """TG-8: it goes at the caller's pace, within the bounds of what may be buffered."""
    stop_reading(client)
    client.send_records(call("TellMuch", 30))
    before = -1
    while len(end_host.served) != before:
        before = len(end_host.served)
        for _ in range(100):
            await asyncio.sleep(0)
    assert before < 30
    transport: Any = client.writer.transport
    transport.resume_reading()
    for number in range(30):
        assert (await client.record())["arguments"][0] == number
    assert await client.record() == answer(None)


@pytest.mark.parametrize("cause", ["shutdown", "abort", "violation"])
async def test_the_end_does_not_wait_for_a_client_that_does_not_read(
    connect: Connect, cause: str
) -> None:
    """TW-6: what is buffered cannot leave; after close_timeout the socket is cut all the same."""
    host = EndHost(HubOptions(maximum_outbound_buffer_size=64 * 1024 * 1024))
    async with host.run():
        slow = await connect(f"{host.url}/hub")
        stop_reading(slow)
        await until(lambda: host.context.connection_count == 1)
        for _ in range(10):
            await host.context.clients.all.send("News", "x" * 1024 * 1024)
            await asyncio.sleep(0)
        match cause:
            case "shutdown":
                await host.app.shutdown()
            case "abort":
                slow.send_records(call("Abort"))
            case _:
                slow.send(TEXT, b"\xff")
        await host.has_ended()
        await until(lambda: being_served() == 0)


async def test_nothing_holds_on_to_what_has_ended(connect: Connect) -> None:
    """L-1: connections are garbage once they are over."""
    alive: weakref.WeakSet[HubCallerContext] = weakref.WeakSet()

    class NotingHub(LabHub):
        async def on_connected(self) -> None:
            alive.add(self.context)

    host = Host()
    context = host.map(hub_class=NotingHub)
    async with host.run():
        for _ in range(10):
            client = await connect(f"{host.url}/hub")
            client.send_records(call("Echo", 1))
            await client.record()
            client.send(CLOSE, b"")
            await client.end()
        await until(lambda: context.connection_count + being_served() == 0)
        for _ in range(10):
            await asyncio.sleep(0)
        gc.collect()
        assert len(alive) <= 1  # aiohttp may remember the last request
