"""The frames that the server's WebSocket accepts and refuses (TW-3 … TW-13)."""

import json
from typing import Any

import pytest

from protocol import HubOptions, TransportViolationError
from tests.support.hub_messages import call, result
from tests.support.waiting import until
from tests.transports.conftest import Connect
from tests.transports.end_host import ECHO, EndHost
from tests.transports.raw_web_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    close_payload,
    encode,
    open_raw,
)

pytestmark = pytest.mark.usefixtures("reading_mode")


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


async def test_a_call_behind_many_pings(client: RawWebSocket) -> None:
    """TW-3: it is answered, although nothing follows it; and so is the last of the pings."""
    numbers = [b"%0100d" % number for number in range(1000)]
    client.writer.write(b"".join(encode(PING, number, masked=True) for number in numbers))
    client.send(TEXT, ECHO)
    awaited = {
        numbers[-1],
        json.dumps(result("é"), separators=(",", ":"), ensure_ascii=False).encode() + b"\x1e",
    }
    while awaited:
        awaited.discard((await client.frame()).payload)


async def test_a_violation_that_comes_with_the_upgrade(end_host: EndHost) -> None:
    """TW-3: text that arrives before the transport has a receiver is checked too: 1007."""
    handshake, text = HANDSHAKE.encode(), b"\xff"
    behind = encode(TEXT, handshake, masked=True) + encode(TEXT, text, masked=True)
    web_socket = await open_raw(f"{end_host.url}/hub", behind=behind)
    assert (await web_socket.closing()).code == 1007
    await web_socket.close()
    assert isinstance(await end_host.has_ended(), TransportViolationError)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_opcodes_in(end_host: EndHost, upgrade: Connect, opcode: int) -> None:
    """TW-3: the opcode has no meaning."""
    web_socket = await upgrade(f"{end_host.url}/hub")
    web_socket.send(opcode, HANDSHAKE.encode())
    assert await web_socket.record() == {}
    web_socket.send(opcode, ECHO)
    assert await web_socket.record() == result("é")


@pytest.mark.parametrize("cuts", [1, 2, 5, 70], ids=lambda cuts: f"{cuts} bytes each")
async def test_fragments(client: RawWebSocket, cuts: int) -> None:
    """TW-3, TW-4: a message in fragments, cut anywhere, inside a character too."""
    parts = [ECHO[i : i + cuts] for i in range(0, len(ECHO), cuts)]
    for number, part in enumerate(parts):
        opcode = CONTINUATION if number else TEXT
        client.send(opcode, part, fin=number == len(parts) - 1)
    assert await client.record() == result("é")


async def test_several_records_in_a_frame(client: RawWebSocket) -> None:
    """LA-1."""
    client.send_records(call("Echo", 1), {"type": 6}, call("Echo", 2, id="2"))
    assert await client.records(2) == [result(1), result(2, "2")]


async def test_a_record_over_several_messages(client: RawWebSocket) -> None:
    """LA-1, TW-3: between messages of the WebSocket, if not inside a character."""
    for part in (ECHO[:20], ECHO[20:21], b"", ECHO[21:], ECHO[:5]):
        client.send(TEXT, part)
    assert await client.record() == result("é")
    client.send(TEXT, ECHO[5:])
    assert await client.record() == result("é")


async def test_a_character_cut_between_binary_messages(client: RawWebSocket) -> None:
    """TW-3: Binary messages may hold anything."""
    at = ECHO.index(b"\xc3") + 1
    client.send(BINARY, ECHO[:at])
    client.send(BINARY, ECHO[at:])
    assert await client.record() == result("é")


async def test_control_frames_between_fragments(client: RawWebSocket) -> None:
    """TW-9: a Ping is answered with its payload; an unrequested Pong is ignored."""
    client.send(TEXT, ECHO[:10], fin=False)
    client.send(PING, b"payload")
    client.send(PONG, b"")
    client.send(CONTINUATION, ECHO[10:])
    pong = await client.frame()
    assert (pong.opcode, pong.payload) == (PONG, b"payload")
    assert await client.record() == result("é")


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
    await until(lambda: end_host.context.connection_count == 0)


async def test_a_message_beyond_all_measure(connect: Connect) -> None:
    """F-4: a WebSocket message above its own limit is refused with 1009."""
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
