"""Whether messages can be pushed, and what happens with an aiohttp that has changed inside."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from protocol.transports import web_socket_push
from protocol.transports.web_socket_push import CAN_PUSH, PushingWebSocketResponse, can_push


def test_this_aiohttp_lets_messages_be_pushed() -> None:
    assert CAN_PUSH


def test_another_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.WebSocketResponse, "_post_start", lambda self, request: None)
    assert not can_push()


def test_another_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_socket_push, "WebSocketReader", object)
    assert not can_push()


def test_a_parser_that_does_not_call_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the parser were compiled together with its own queue."""

    class Deaf:
        def __init__(self, *_: object, **__: object) -> None: ...

        def feed_data(self, data: bytes) -> tuple[bool, bytes]:
            return False, b""

    monkeypatch.setattr(web_socket_push, "WebSocketReader", Deaf)
    assert not can_push()


async def test_pings_that_nothing_takes() -> None:
    """A client that sends them and reads no pongs: few of them wait, and the newest is kept."""
    parsers: list[Any] = []
    protocol = SimpleNamespace(set_parser=parsers.append, keep_alive=lambda _: None)
    request: Any = SimpleNamespace(protocol=protocol)
    response = PushingWebSocketResponse(compress=False, decode_text=False)
    response._post_start(request, None, None)
    for number in range(5000):
        parsers[0].feed_data(b"\x89\x84\0\0\0\0%04d" % number + b"\x8a\x80\0\0\0\0")
    parsers[0].feed_eof()
    queue: Any = response._reader
    waiting = [await queue.read() for _ in range(257)]
    assert {message.type for message in waiting} == {WSMsgType.PING}
    assert [int(message.data) for message in waiting] == [*range(256), 4999]
    assert queue.is_eof()
