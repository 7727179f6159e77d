"""The servers under load, each started in a process of its own: ``python -m benchmarks.servers``.

Prints its port. ``GET /cpu`` answers with the seconds of CPU the process has used.
"""

import asyncio
import socket
import sys
import time
from typing import Any

from aiohttp import WSMsgType, web

from protocol import Hub, HubContext, HubOptions, hub_method, map_hub
from protocol.hub_protocol import TransferFormat
from protocol.transports.web_socket_frame import data_frame

SIGNALR_PATH = "/hub"
PLAIN_PATH = "/plain"
_CONTEXT = web.AppKey("context", HubContext)


class EchoHub(Hub):
    """What an application would write."""

    @hub_method
    async def echo(self, value: str) -> str:
        """The argument."""
        return value


async def plain_echo(request: web.Request) -> web.WebSocketResponse:
    """The echo of aiohttp's documentation."""
    web_socket = web.WebSocketResponse(compress=False)
    await web_socket.prepare(request)
    async for message in web_socket:
        if message.type is WSMsgType.TEXT:
            await web_socket.send_str(message.data)
    return web_socket


async def cpu(_request: web.Request) -> web.Response:
    """CPU seconds of this process, user and system."""
    return web.Response(text=repr(time.process_time()))


async def broadcast(request: web.Request) -> web.Response:
    """Sends one event to everybody and answers with the seconds this took, written to all."""
    text = request.query["text"]
    context = request.app[_CONTEXT]
    start = time.thread_time()
    await context.clients.all.send("Event", text)
    # One turn of the loop writes 256 connections; the last turn comes before this one returns.
    for _ in range(context.connection_count // 256 + 2):
        await asyncio.sleep(0)
    return web.Response(text=repr(time.thread_time() - start))


class RawSockets:
    """Plain connections that get the bytes of an event by the shortest way there is."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]

    async def accept(self) -> None:
        """Accepts until cancelled."""
        loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(connection)

    async def port_number(self, _request: web.Request) -> web.Response:
        """Where to connect."""
        return web.Response(text=str(self.port))

    async def send(self, request: web.Request) -> web.Response:
        """Sends what ``broadcast`` sends, and answers with the seconds it took."""
        text = request.query["text"]
        record = b'{"type":1,"target":"Event","arguments":["%b"]}\x1e' % text.encode()
        data = data_frame(record, TransferFormat.TEXT)
        start = time.thread_time()
        for connection in self._sockets:
            connection.send(data)
        return web.Response(text=repr(time.thread_time() - start))

    def close(self) -> None:
        """Closes everything."""
        for connection in (self._listener, *self._sockets):
            connection.close()


async def main() -> None:
    """Serves until standard input ends."""
    app = web.Application()
    options = HubOptions(maximum_receive_message_size=1024 * 1024)
    app[_CONTEXT] = map_hub(app, SIGNALR_PATH, EchoHub, hub_options=options)
    app.router.add_get(PLAIN_PATH, plain_echo)
    app.router.add_get("/cpu", cpu)
    app.router.add_get("/broadcast", broadcast)
    raw = RawSockets()
    app.router.add_get("/raw-port", raw.port_number)
    app.router.add_get("/raw", raw.send)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    accepting = asyncio.create_task(raw.accept())
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    accepting.cancel()
    await runner.cleanup()
    raw.close()


def frame(payload: bytes) -> bytes:
    """A client's Text frame, masked with zeros so that masking costs nobody anything."""
    size = len(payload)
    head: Any = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return bytes(head) + b"\0\0\0\0" + payload


if __name__ == "__main__":
    asyncio.run(main())
