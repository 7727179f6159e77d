"""The end of a server's WebSocket, from either side (TW-5, TW-6, TW-8, TW-14)."""

import asyncio
import json
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from protocol import EndpointOptions, TransportViolationError
from tests.support.hub_messages import call, result
from tests.support.waiting import until
from tests.transports.conftest import Connect
from tests.transports.end_host import ECHO, EndHost
from tests.transports.host import CLOSE_TIMEOUT, BasicHub, Host
from tests.transports.raw_web_socket import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    RawWebSocket,
    close_payload,
    encode,
)

pytestmark = pytest.mark.usefixtures("reading_mode")


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


async def test_an_unanswered_close_after_a_violation(
    end_host: EndHost, client: RawWebSocket
) -> None:
    """TW-13, TW-6: the same while a method runs."""
    hold = json.dumps(call("Hold")).encode() + b"\x1e"
    client.writer.write(encode(TEXT, hold, masked=True) + encode(TEXT, b"", masked=True, bits=0x40))
    assert (await client.closing()).code == 1002
    assert await client.end() == b""
    error = await end_host.has_ended()
    assert isinstance(error, TransportViolationError)
    assert end_host.gate_failures == []
    end_host.gate.set()


async def test_on_disconnected_fails(connect: Connect) -> None:
    """TW-6: 1011, after the hub's Close."""

    class FailingHub(BasicHub):
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
    assert await client.record() == result(1)
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
    """TW-8, L-1: the end is noticed while the method runs; its answer is dropped."""
    client.send_records(call("Hold"))
    client.send(PING)
    await client.frame()
    client.cut()
    assert await end_host.has_ended() is None
    end_host.gate.set()


async def test_a_client_that_vanishes_while_its_ping_is_answered(
    end_host: EndHost,
    client: RawWebSocket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """TW-8: the end of a connection as any other, and no error of the server."""
    answer = web.WebSocketResponse.pong

    async def lose_the_socket(web_socket: "web.WebSocketResponse[bool]", message: bytes) -> None:
        assert web_socket._req is not None
        assert web_socket._req.transport is not None
        web_socket._req.transport.abort()
        await answer(web_socket, message)

    monkeypatch.setattr(web.WebSocketResponse, "pong", lose_the_socket)
    client.send(PING)
    assert await end_host.has_ended() is None
    assert caplog.records == []


async def test_a_handshake_that_fails(end_host: EndHost, upgrade: Connect) -> None:
    """H-2, H-8, TW-6: one record as Text, then Close 1000."""
    web_socket = await upgrade(f"{end_host.url}/hub")
    web_socket.send(BINARY, b'{"protocol":"messagepack","version":9}\x1e')
    assert await web_socket.record() == {
        "error": "The server does not support version 9 of the 'messagepack' protocol."
    }
    closing = await web_socket.closing()
    assert closing.payload == close_payload(1000)
    assert end_host.ended == []


async def test_a_method_that_goes_on_keeps_the_place_of_its_connection(
    connect: Connect, upgrade: Connect
) -> None:
    """Otherwise a client could leave a running method on any number of connections."""
    host = EndHost(
        endpoint_options=EndpointOptions(maximum_connections=1, close_timeout=CLOSE_TIMEOUT)
    )
    async with host.run():
        client = await connect(f"{host.url}/hub")
        client.send_records(call("Hold"))
        await until(lambda: host.held)
        client.cut()
        await until(lambda: host.ended)
        assert (await upgrade(f"{host.url}/hub")).head.status == 503
        host.gate.set()
        while (again := await upgrade(f"{host.url}/hub")).head.status == 503:
            pass
        assert again.head.status == 101


async def test_a_post_whose_connection_fails_to_open(upgrade: Connect) -> None:
    """TG-5: its client gets its answer, and is not waited for."""
    host = Host()
    host.map()

    async def fail(request: web.Request, response: web.StreamResponse) -> None:
        if response.status == 101:
            raise LookupError("the application's")

    host.app.on_response_prepare.append(fail)
    async with host.run(), aiohttp.ClientSession() as http:
        async with http.post(f"{host.url}/hub/negotiate?negotiateVersion=1") as response:
            token = (await response.json())["connectionToken"]
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(host.url).port)
        head = f"POST /hub?id={token} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
        writer.write(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await upgrade(f"{host.url}/hub?id={token}")).head.status == 500
        assert (await reader.readline()).split()[1] == b"404"
        writer.write(b"too late.")  # aiohttp lingers for it
        writer.close()
        await writer.wait_closed()
