"""A server that sends random answers while it is hostile, and at other times relays to a real hub.

Without `material`, the bytes of each connection are passed on to the real hub. With `material`,
each request gets an answer from it: nearly right, mutated, or noise.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from tests.transports.raw_web_socket import accept_key

from .material import Material

_PATIENCE = 0.3
"""Seconds that the hub waits for a request, and for the reaction to what it has sent."""
_ANSWERED_IDS = ("1", "2", "3")
_MOST = 20


class HostileHub:
    """Listens on a free port in front of the real hub at `real_port`."""

    def __init__(self, real_port: int) -> None:
        self.port = 0
        self._material: Material | None = None
        self._real_port = real_port
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.turn(None)

    async def turn(self, material: Material | None) -> None:
        """Answer with `material` from now on, with the real hub if None. Cuts all connections."""
        self._material = material
        tasks = list(self._connections)
        for task, writer in self._connections.items():
            writer.transport.abort()
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            if self._material is None:
                await self._pass_on(reader, writer)
            else:
                for _ in range(_MOST):
                    if not await self._answer(self._material, reader, writer):
                        break
        except (
            *(OSError, TimeoutError, ValueError),  # also requests that are not what is expected
            *(asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError),
        ):
            pass
        finally:
            writer.transport.abort()
            del self._connections[task]

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        real_reader, real_writer = await asyncio.open_connection("127.0.0.1", self._real_port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
            sink.close()

        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(copy(reader, real_writer))
                both.create_task(copy(real_reader, writer))
        except* OSError:
            pass
        finally:
            real_writer.transport.abort()

    async def _answer(
        self, make: Material, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; return whether the connection goes on."""
        async with asyncio.timeout(_PATIENCE):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")[:-2]
            headers = dict(line.lower().split(": ", 1) for line in lines)
            await reader.readexactly(int(headers.get("content-length", "0")))
        if make.chance(0.1):
            writer.write(make.one_of(make.noise(2000), make.mutated(_response(make, b"{}"))))
            return make.chance(0.3)
        if headers.get("upgrade") == "websocket":
            key = next(line for line in lines if line.lower().startswith("sec-websocket-key"))
            await self._web_socket(make, key.split(": ")[1], reader, writer)
            return False
        if "/negotiate" in first:
            writer.write(_response(make, _offer(make, self.port)))
        elif "text/event-stream" in headers.get("accept", ""):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            events = b"data: {}\x1e\r\n\r\n" + _events(make)
            for piece in make.pieces(make.mutated(events) if make.chance(0.2) else events):
                writer.write(piece)
                await asyncio.sleep(0.01)
            await asyncio.sleep(_PATIENCE)
            return False
        elif first.startswith("GET"):
            await asyncio.sleep(0.01)  # otherwise a client of long polling polls without end
            body = make.one_of(b"", b"{}\x1e", b"{}\x1e" + _records(make, "json"))
            writer.write(_response(make, body))
        else:
            writer.write(_response(make, b""))
        return True

    async def _web_socket(
        self, make: Material, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n"
        ).encode()
        writer.write(make.mutated(head) if make.chance(0.05) else head)
        async with asyncio.timeout(_PATIENCE):
            first = await reader.readexactly(1)
        opcode = first[0] & 0x0F
        hub_protocol = "json" if opcode == 1 else "messagepack"
        shaken = (
            b"{}\x1e" if make.chance(0.9) else make.one_of(_ERROR, make.noise(), b"{", b"[]\x1e")
        )
        writer.write(make.frames(shaken, opcode=opcode, masked=False))
        for _ in range(make.random.randrange(6)):
            await asyncio.sleep(0.01)
            made = make.frames(_records(make, hub_protocol), opcode=opcode, masked=False)
            for piece in make.pieces(made):
                writer.write(piece)
        if make.chance(0.3):
            writer.write(make.closing_frame(masked=False))
        async with asyncio.timeout(_PATIENCE):
            while await reader.read(65_536):
                pass


_ERROR = b'{"error":"no \\u0000 \\ud800"}\x1e'


def _records(make: Material, hub_protocol: str) -> bytes:
    """Records, among them answers to the first calls of a client."""
    made = make.records(hub_protocol)
    if hub_protocol == "json" and make.chance(0.5):
        made += b'{"type":3,"invocationId":"%b","result":%b}\x1e' % (
            make.one_of(*_ANSWERED_IDS).encode(),
            make.json_text(make.value()),
        )
    return made


def _events(make: Material) -> bytes:
    lines = make.records("json").split(b"\n")
    return b"".join(b"data: " + line + make.one_of(b"\r\n", b"\n") for line in lines) + b"\r\n"


def _offer(make: Material, port: int) -> bytes:
    """An answer to negotiate, right or nearly so."""
    transports = [
        {"transport": name, "transferFormats": make.one_of(["Text", "Binary"], ["Text"], [], None)}
        for name in ("WebSockets", "ServerSentEvents", "LongPolling", "Other")
        if make.chance(0.7)
    ]
    made: dict[str, Any] = {
        "negotiateVersion": make.one_of(1, 1, 1, 0, 2**70),
        "connectionId": "public",
        "connectionToken": make.one_of("secret", "secret", "é &?#", ""),
        "availableTransports": transports,
    }
    if make.chance(0.1):
        target = make.one_of(f"http://127.0.0.1:{port}/hub", "http://[", "/", "file:///x", "")
        made = {"url": target, "accessToken": make.one_of("x", "\r\n", "é", None)}
    if make.chance(0.1):
        made = {"error": make.value()}
    if make.chance(0.1):
        made[make.one_of(*made)] = make.value()
    text = json.dumps(made).encode()
    return make.mutated(text) if make.chance(0.1) else text


def _response(make: Material, body: bytes) -> bytes:
    status = make.one_of(200, 200, 200, 200, 200, 200, 204, 302, 401, 404, 500, 999)
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    if make.chance(0.1):
        lines.append(
            make.one_of(
                "Location: http://[",
                "Location: /hub",
                "Content-Encoding: gzip",
                "Transfer-Encoding: chunked",
                "Set-Cookie: a=\x01; Domain=\xff; Expires=never; Max-Age=x",
                "Content-Type: text/html; charset=x",
            )
        )
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
