"""A handmade hub over Server-Sent Events and long polling, whose answers a test can change.

By default it negotiates, completes the handshake, answers a poll when there is something to send,
and accepts POSTs. It records the requests in order.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.support.hub_messages import RECORD_SEPARATOR, joined

_FORMATS: Final = {"ServerSentEvents": ["Text"]}


@dataclass
class Asked:
    """A request: ``kind`` is negotiate, refresh, web socket, events, poll, post or delete."""

    kind: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def token(self) -> str | None:
        return self.headers.get("Authorization")


@dataclass
class HttpHub:
    """``answers`` are for the next requests of a kind; a None among them means: as usual."""

    transports: tuple[str, ...] = ("LongPolling",)
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, deque[web.Response | None]] = field(default_factory=dict)
    posts_may_end: asyncio.Event = field(default_factory=asyncio.Event)
    polls_at_once: int = 0
    streams_open: int = 0
    url: str = ""
    _outbox: asyncio.Queue[web.Response] = field(default_factory=asyncio.Queue)
    _events: web.StreamResponse | None = None
    _events_socket: asyncio.Transport | None = None
    _events_end: asyncio.Event = field(default_factory=asyncio.Event)
    _negotiated: int = 0
    _polled: set[str] = field(default_factory=set)
    _polling: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def run(self) -> AsyncIterator["HttpHub"]:
        self.posts_may_end.set()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/hub", self._serve)
        app.router.add_route("*", "/hub/negotiate", self._serve)
        app.router.add_route("*", "/hub/refresh", self._serve)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hub"
            yield self
        finally:
            await runner.cleanup()

    # ---- for tests

    def answer(self, kind: str, *answers: int | web.Response | None) -> None:
        """The answers to the next requests of ``kind``; a number is a status."""
        waiting = self.answers.setdefault(kind, deque())
        waiting.extend(web.Response(status=it) if isinstance(it, int) else it for it in answers)

    async def say(self, *records: Any) -> None:
        """Sends records, in one event or as the answer to one poll."""
        await self.say_bytes(joined(*records))

    async def say_bytes(self, data: bytes) -> None:
        if self._events is not None:
            await self._events.write(b"data: " + data + b"\r\n\r\n")
        else:
            self.answer_poll(web.Response(body=data))

    async def write_events(self, data: bytes) -> None:
        """Bytes of the event stream, as they are."""
        assert self._events is not None
        await self._events.write(data)

    def answer_poll(self, response: web.Response) -> None:
        """The answer to the poll that is waiting, or to the next one."""
        self._outbox.put_nowait(response)

    def end_events(self) -> None:
        """Ends the stream as HTTP prescribes."""
        self._events_end.set()

    def cut_events(self) -> None:
        """Ends the TCP connection of the stream."""
        assert self._events_socket is not None
        self._events_socket.abort()

    async def until(self, *kinds: str) -> None:
        """Waits until the last requests are of these kinds."""
        while tuple(it.kind for it in self.asked[-len(kinds) :]) != kinds:
            self._changed.clear()
            await self._changed.wait()

    async def until_posted(self, count: int) -> list[Any]:
        """Waits for ``count`` records other than handshakes and pings, and returns them."""
        while len(records := self.records) < count:
            self._changed.clear()
            await self._changed.wait()
        return records

    @property
    def records(self) -> list[Any]:
        """All posted records, except for handshakes and pings."""
        posted = b"".join(it.body for it in self.asked if it.kind == "post").decode()
        records = [json.loads(text) for text in posted.split(RECORD_SEPARATOR)[:-1]]
        return [it for it in records if "protocol" not in it and it != {"type": 6}]

    @property
    def kinds(self) -> list[str]:
        return [it.kind for it in self.asked]

    def of(self, *kinds: str) -> list[Asked]:
        return [it for it in self.asked if it.kind in kinds]

    # ---- inside

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(_kind(request), request.path_qs, request.headers, await request.read())
        self.asked.append(asked)
        self._changed.set()
        waiting = self.answers.get(asked.kind)
        if waiting and (answer := waiting.popleft()) is not None:
            return answer
        match asked.kind:
            case "negotiate":
                return self._offer()
            case "refresh":
                return web.json_response({})
            case "poll":
                return await self._poll(request.query["id"])
            case "events":
                return await self._stream(request)
            case "post":
                await self.posts_may_end.wait()
                if b'"protocol"' in asked.body:
                    await self.say_bytes(joined({}))
                return web.Response()
            case "delete":
                return web.Response(status=202)
            case _:
                return web.Response(status=404)

    def _offer(self) -> web.Response:
        self._negotiated += 1
        return web.json_response(
            {
                "negotiateVersion": 1,
                "connectionId": f"id-{self._negotiated}",
                "connectionToken": f"token-{self._negotiated}",
                "availableTransports": [
                    {"transport": it, "transferFormats": _FORMATS.get(it, ["Text", "Binary"])}
                    for it in self.transports
                ],
            }
        )

    async def _poll(self, token: str) -> web.Response:
        if token not in self._polled:
            self._polled.add(token)
            return web.Response(content_type="application/octet-stream")
        self._polling += 1
        self.polls_at_once = max(self.polls_at_once, self._polling)
        try:
            return await self._outbox.get()
        finally:
            self._polling -= 1

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        self._events = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        self._events_end.clear()
        self._events_socket = request.transport
        await self._events.prepare(request)
        await self._events.write(b":\r\n")
        self.streams_open += 1
        try:
            await self._events_end.wait()
        finally:
            self.streams_open -= 1
        return self._events


def _kind(request: web.Request) -> str:
    for below in ("negotiate", "refresh"):
        if request.path.endswith(f"/{below}"):
            return below
    if "Upgrade" in request.headers:
        return "web socket"
    if request.headers.get("Accept") == "text/event-stream":
        return "events"
    return {"GET": "poll", "POST": "post", "DELETE": "delete"}[request.method]
