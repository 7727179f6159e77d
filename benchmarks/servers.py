"""The program of a server: ``python servers.py asyncio|uvloop [post|stream|stateful]``.

The program serves a hub of the library at ``/hub``, and WebSockets of aiohttp at ``/plain``. With
``post`` it serves only POSTs, by a handler without middlewares. With ``stream`` it serves only the
hub that streams. With ``stateful`` it serves one hub with all methods, and clients may use stateful
reconnect.

The program imports ``protocol`` from PYTHONPATH and uses only names that every version has, so that
it can serve any version of the library. It prints its port when it serves, and ends when its
standard input ends.
"""

import asyncio
import importlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable

from aiohttp import WSMsgType, web

import protocol
from protocol import Hub, hub_method, map_hub


class EchoHub(Hub):
    """The methods of the hub in ``dotnet/echo-hub``."""

    @hub_method
    async def echo(self, value: str) -> str:
        """Return the argument."""
        return value

    @hub_method
    async def broadcast(self, text: str, count: int) -> None:
        """Send ``count`` events to every connection."""
        for _ in range(count):
            await self.clients.all.send("Event", text)


class StreamHub(Hub):
    """The streaming methods of the hub in ``dotnet/echo-hub``."""

    @hub_method
    async def stream(self, text: str, count: int) -> AsyncIterator[str]:
        """Stream ``count`` items."""
        for _ in range(count):
            yield text

    @hub_method
    async def upload(self, items: AsyncIterator[str]) -> str:
        """Return the last item."""
        last = ""
        async for item in items:
            last = item
        return last


class WholeHub(EchoHub, StreamHub):
    """All methods of the hub in ``dotnet/echo-hub``."""


class PlainSockets:
    """WebSockets on aiohttp alone: an echo, and events to all, written directly to the sockets."""

    def __init__(self) -> None:
        self._descriptors: set[int] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Echo each text, except for a call of Broadcast, whose events are sent to all."""
        web_socket = web.WebSocketResponse(compress=False)
        await web_socket.prepare(request)
        assert request.transport is not None
        descriptor = request.transport.get_extra_info("socket").fileno()
        self._descriptors.add(descriptor)
        try:
            async for message in web_socket:
                if message.type is WSMsgType.TEXT:
                    if '"target":"Broadcast"' in message.data:
                        self._broadcast(*json.loads(message.data.rstrip("\x1e"))["arguments"])
                    else:
                        await web_socket.send_str(message.data)
        finally:
            self._descriptors.remove(descriptor)
        return web_socket

    def _broadcast(self, text: str, count: int) -> None:
        record = f'{{"type":1,"target":"Event","arguments":["{text}"]}}\x1e'.encode()
        assert len(record) < 126
        frames = (bytes((0x81, len(record))) + record) * count
        for descriptor in self._descriptors:
            os.write(descriptor, frames)


async def answer_post(request: web.Request) -> web.Response:
    """Answer a POST with its body."""
    return web.Response(body=await request.read(), content_type="application/json")


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the function that creates an event loop of asyncio or uvloop."""
    if name == "uvloop":
        factory: Callable[[], asyncio.AbstractEventLoop]
        factory = importlib.import_module("uvloop").new_event_loop
        return factory
    return asyncio.new_event_loop


async def main(part: str) -> None:
    """Serve until standard input ends."""
    app = web.Application()
    if part == "post":
        app.router.add_post("/post", answer_post)
    elif part == "stream":
        map_hub(app, "/hub", StreamHub)
    elif part == "stateful":
        options = protocol.EndpointOptions(allow_stateful_reconnects=True)
        map_hub(app, "/hub", WholeHub, endpoint_options=options)
    else:
        map_hub(app, "/hub", EchoHub)
        app.router.add_get("/plain", PlainSockets().serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory(sys.argv[1])) as loop_runner:
        loop_runner.run(main("".join(sys.argv[2:])))
