"""A handmade WebSocket peer for both roles, which sends and reads any legal or illegal frame."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tests.support.hub_messages import RECORD_SEPARATOR, joined

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

HANDSHAKE: Final = '{"protocol":"json","version":1}' + RECORD_SEPARATOR
_KEY: Final = "AAAAAAAAAAAAAAAAAAAAAA=="
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MASK: Final = b"\x11\x22\x33\x44"


@dataclass(frozen=True)
class Frame:
    """A frame as it was on the wire, unmasked."""

    opcode: int
    payload: bytes
    fin: bool = True
    masked: bool = False

    @property
    def code(self) -> int | None:
        """The status of a Close frame; None if it has none."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


def encode(opcode: int, payload: bytes, *, fin: bool = True, masked: bool, bits: int = 0) -> bytes:
    """One frame; ``bits`` are the reserved ones."""
    head = bytes([(0x80 if fin else 0) | bits | opcode])
    mark, size = (0x80 if masked else 0), len(payload)
    if size < 126:
        head += bytes([mark | size])
    elif size < 1 << 16:
        head += bytes([mark | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([mark | 127]) + size.to_bytes(8, "big")
    return head + _MASK + _masked(payload) if masked else head + payload


def close_payload(code: int, reason: bytes = b"") -> bytes:
    """The payload of a Close frame."""
    return code.to_bytes(2, "big") + reason


def _masked(payload: bytes, mask: bytes = _MASK) -> bytes:
    """Masks or unmasks; as one big integer, because a loop is too slow for megabytes."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


@dataclass
class Answer:
    """The head of an HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass
class RawWebSocket:
    """One end of a connection; ``is_client`` masks what it sends."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_client: bool = True
    head: Answer = field(default_factory=lambda: Answer(0, {}))
    frames: list[Frame] = field(default_factory=list)
    """All frames that were received."""
    _text: str = ""

    def send(self, opcode: int, payload: bytes = b"", **how: Any) -> None:
        self.writer.write(encode(opcode, payload, **{"masked": self.is_client, **how}))

    def send_text(self, text: str) -> None:
        self.send(TEXT, text.encode())

    def send_records(self, *records: Any) -> None:
        """All in one frame."""
        self.send_text(joined(*records).decode())

    async def frame(self) -> Frame:
        """The next frame; raises IncompleteReadError at the end of TCP."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        mask = await self.reader.readexactly(4) if second & 0x80 else b""
        payload = await self.reader.readexactly(size)
        if mask:
            payload = _masked(payload, mask)
        frame = Frame(first & 0x0F, payload, bool(first & 0x80), bool(mask))
        self.frames.append(frame)
        return frame

    async def record(self) -> Any:
        """The next record, decoded."""
        while RECORD_SEPARATOR not in self._text:
            frame = await self.frame()
            assert frame.opcode == TEXT, frame
            self._text += frame.payload.decode()
        record, _, self._text = self._text.partition(RECORD_SEPARATOR)
        return json.loads(record)

    async def records(self, count: int) -> list[Any]:
        return [await self.record() for _ in range(count)]

    async def closing(self) -> Frame:
        """The Close frame, after any other frames."""
        while (frame := await self.frame()).opcode != CLOSE:
            pass
        return frame

    async def end(self) -> bytes:
        """All bytes up to the end of TCP."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def cut(self) -> None:
        """Ends the TCP connection with a reset."""
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The first line and the headers, names in lower case."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    pairs = (line.split(":", 1) for line in lines)
    return first, {name.strip().lower(): value.strip() for name, value in pairs}


async def open_raw(url: str, *, behind: bytes = b"", **headers: str | None) -> RawWebSocket:
    """Connects and asks for the upgrade; ``head.status`` tells what came of it. A header given as
    None is left out; underscores in names stand for dashes. ``behind`` is sent with the request."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**22)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = {
        "Host": parts.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": _KEY,
    }
    for name, value in headers.items():
        name = name.replace("_", "-")
        if value is None:
            del lines[name]
        else:
            lines[name] = value
    request = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    head = f"GET {path} HTTP/1.1\r\n{request}\r\n".encode("utf-8", "surrogateescape")
    writer.write(head + behind)
    first, found = await read_head(reader)
    answer = Answer(int(first.split()[1]), found)
    if answer.status != 101 and found.get("content-length"):
        answer.body = await reader.readexactly(int(found["content-length"]))
    return RawWebSocket(reader, writer, head=answer)


async def connect_raw(url: str) -> RawWebSocket:
    """A hub connection without negotiate that has completed its handshake."""
    web_socket = await open_raw(url)
    assert web_socket.head.status == 101
    web_socket.send_text(HANDSHAKE)
    assert await web_socket.record() == {}
    return web_socket


def accept_key(key: str) -> str:
    """The answer to a client's Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
