"""The servers under load, each started in a process of its own: ``python -m benchmarks.servers``.

Prints its port. ``GET /cpu`` answers with the seconds of CPU the process has used.
"""

import asyncio
import sys
import time
from typing import Any

from aiohttp import WSMsgType, web

from protocol import Hub, HubContext, HubOptions, hub_method, map_hub

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
    """Sends one event to everybody and answers with the seconds until it was written to all."""
    text = request.query["text"]
    context = request.app[_CONTEXT]
    start = time.perf_counter()
    await context.clients.all.send("Event", text)
    # One turn of the loop writes 256 connections; the last turn comes before this one returns.
    for _ in range(context.connection_count // 256 + 2):
        await asyncio.sleep(0)
    return web.Response(text=repr(time.perf_counter() - start))


async def main() -> None:
    """Serves until standard input ends."""
    app = web.Application()
    options = HubOptions(maximum_receive_message_size=1024 * 1024)
    app[_CONTEXT] = map_hub(app, SIGNALR_PATH, EchoHub, hub_options=options)
    app.router.add_get(PLAIN_PATH, plain_echo)
    app.router.add_get("/cpu", cpu)
    app.router.add_get("/broadcast", broadcast)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


def frame(payload: bytes) -> bytes:
    """A client's Text frame, masked with zeros so that masking costs nobody anything."""
    size = len(payload)
    head: Any = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return bytes(head) + b"\0\0\0\0" + payload


if __name__ == "__main__":
    asyncio.run(main())
