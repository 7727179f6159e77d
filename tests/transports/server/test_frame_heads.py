"""TW-13: frames that aiohttp accepts against RFC 6455, and that the server refuses."""

import pytest
from aiohttp import web

from protocol import HubOptions
from protocol.transports.server import web_socket_upgrade
from protocol.transports.server.received_frames import ReceivedFrames
from tests.support.hub_messages import call, result
from tests.support.loop_time import LoopTime
from tests.transports.conftest import Connect
from tests.transports.end_host import ECHO, EndHost
from tests.transports.raw_web_socket import (
    CLOSE,
    PING,
    TEXT,
    close_payload,
    encode,
)


@pytest.fixture
def read_in_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's WebSocket with an aiohttp whose private names are others."""
    monkeypatch.setattr(web_socket_upgrade, "_WEB_SOCKET_RESPONSE", web.WebSocketResponse)


async def test_an_unfinished_message_in_a_loop(
    read_in_a_loop: None, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TW-15: there is no deadline where messages cannot be pushed."""
    host = EndHost(HubOptions(client_timeout_interval=1000, keep_alive_interval=500))
    async with host.run():
        client = await connect(f"{host.url}/hub")
        message = encode(TEXT, ECHO, masked=True)
        client.writer.write(message + message[:8])
        assert await client.record() == result("é")
        LoopTime(monkeypatch).skip(60)
        client.writer.write(message[8:])
        assert await client.record() == result("é")


UNMASKED = encode(TEXT, ECHO, masked=False)
AFTER_AN_EMPTY_FRAGMENT = encode(TEXT, b"", fin=False, masked=True) + encode(
    TEXT, ECHO, masked=True
)


async def test_frames_that_aiohttp_accepts(
    read_in_a_loop: None, end_host: EndHost, connect: Connect
) -> None:
    """TW-13: where messages cannot be pushed."""
    for frames in (UNMASKED, AFTER_AN_EMPTY_FRAGMENT):
        client = await connect(f"{end_host.url}/hub")
        client.writer.write(frames)
        assert await client.record() == result("é")


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(UNMASKED, id="unmasked"),
        pytest.param(encode(PING, b"", masked=False), id="unmasked ping"),
        pytest.param(AFTER_AN_EMPTY_FRAGMENT, id="new message after an empty fragment"),
    ],
)
async def test_frames_that_are_refused(end_host: EndHost, connect: Connect, frames: bytes) -> None:
    """TW-13: Close 1002, after the messages before; OnDisconnected gets the error."""
    client = await connect(f"{end_host.url}/hub")
    client.send_records(call("Serve", "before"))
    client.writer.write(frames + encode(TEXT, ECHO, masked=True))
    assert (await client.closing()).payload == close_payload(1002)
    assert type(await end_host.has_ended()).__name__ == "TransportViolationError"
    assert [frame.opcode for frame in client.frames] == [TEXT, CLOSE]


@pytest.mark.parametrize(("size", "width"), [(5, 2), (125, 2), (5, 8), (65_535, 8)])
async def test_a_length_that_is_not_minimal(
    end_host: EndHost, connect: Connect, size: int, width: int
) -> None:
    """TW-13."""
    client = await connect(f"{end_host.url}/hub")
    mark = b"\x81\xfe" if width == 2 else b"\x81\xff"
    client.writer.write(mark + size.to_bytes(width, "big") + b"\0\0\0\0" + b"x" * size)
    assert (await client.closing()).payload == close_payload(1002)
    assert type(await end_host.has_ended()).__name__ == "TransportViolationError"


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "wrong",
    [UNMASKED, AFTER_AN_EMPTY_FRAGMENT[6:], b"\x81\xfe\0\x05", b"\x81\xff" + b"\0" * 8],
    ids=["unmasked", "new message", "16 bits", "64 bits"],
)
def test_what_precedes_a_violation(wrong: bytes, piece: int) -> None:
    """The frame is found however reads split it, and no byte behind its head counts as valid."""
    before = encode(TEXT, b"x" * 7, masked=True) + encode(TEXT, b"", fin=False, masked=True)
    frames = before + wrong
    received = ReceivedFrames()
    valid = 0
    for start in range(0, len(frames), piece):
        part = frames[start : start + piece]
        received.feed(part)
        if received.violation is not None:
            valid += received.valid
            break
        valid += len(part)
    assert received.violation is not None
    assert len(before) <= valid < len(before) + 10
    whole = encode(TEXT, b"whole", masked=True)
    for later in (before, whole, whole[:3], whole[3:], whole):
        assert not received.feed(later)
        assert received.valid == 0
        assert not received.is_unfinished
