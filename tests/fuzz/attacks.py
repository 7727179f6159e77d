"""The attacks: a peer connects to a port and sends bytes of a random generator.

Each function in `LANES` is one attack, from its first connection to its last. It decides where the
bytes are sent and how the connection ends, and checks the answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp

from protocol import HubConnectionBuilder, SignalRError

from .material import SEPARATOR, TARGETS, Material
from .scene import HUB_PROTOCOLS, TRANSPORTS, Item, Scene

_PATIENCE = 0.05
"""Seconds that an attack waits for an answer before it goes on."""
_KEY = ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
_UPGRADE = (
    *(("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"), _KEY),
)


class Wire:
    """One TCP connection of an attack; leaving the context ends it in one of several ways."""

    def __init__(self, make: Material, port: int) -> None:
        self.received = b""
        self._make = make
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError, TimeoutError):
            match self._make.random.randrange(4):
                case 0:
                    self._writer.transport.abort()
                case 1 if self._writer.can_write_eof():
                    self._writer.write_eof()
                    await self.read(0.2)
                case 2:
                    await self.read(0.5)
                case _:
                    pass
            self._writer.close()
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        self._writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Send `data` in one or more pieces, for as long as the peer takes them."""
        with suppress(OSError, TimeoutError):
            for piece in self._make.pieces(data):
                self._writer.write(piece)
                async with asyncio.timeout(0.5):
                    await self._writer.drain()
                if self._make.chance(0.2):
                    await asyncio.sleep(0)

    async def read(self, seconds: float = _PATIENCE, until: bytes | None = None) -> bytes:
        """Read for `seconds`, or until the end or until `until` has arrived."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(seconds):
                while until is None or until not in self.received:
                    data = await self._reader.read(65_536)
                    if not data:
                        break
                    self.received = (self.received + data)[-1_000_000:]
        return self.received

    def check(self, place: str) -> None:
        """No request may be answered with 500."""
        assert not self.received.startswith(b"HTTP/1.1 500"), f"{place}: {self.received[:300]!r}"


async def _negotiated(scene: Scene, port: int) -> str:
    url = f"http://127.0.0.1:{port}{scene.hub_at(port)}/negotiate?negotiateVersion=1"
    async with scene.session.post(url) as answer:
        token: str = (await answer.json())["connectionToken"]
        return token


async def http_requests(scene: Scene, make: Material) -> None:
    """Requests with any method to any path, some of them mutated, some pipelined, some noise."""
    port = make.one_of(*scene.ports)
    hub = scene.hub_at(port)
    paths = (
        *("/", "*", hub, f"{hub}/negotiate", f"{hub}/x", hub.upper(), f"{hub}?id=x", "//", "/%00"),
        *("/healthz", "/api/Gateway/orchestration", "/console/status.json", "/console/../x"),
        *("/swagger", "/swagger/v1/swagger.json", "/console", "/api/Gateway/hub", "http://[/"),
        *(f"{hub}/negotiate?negotiateVersion={it}" for it in ("0", "1", "2", "x", "9" * 5000)),
        *("http://localhost/healthz", "localhost:80", f"{hub}?{'&' * 5000}", "/" + "a/" * 4000),
        *(f"{hub}?id=%ff&id=%E0", "/é", "/%zz"),
    )
    methods = ("GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "CONNECT", "TRACE", "PRI", "g@t")
    async with Wire(make, port) as wire:
        for _ in range(make.random.choice((1, 1, 2, 6))):
            if make.chance(0.1):
                await wire.send(make.noise(5000))
            else:
                target = make.one_of(*paths)
                if make.chance(0.1):
                    target = make.mutated(target.encode()).decode("latin-1")
                method = make.random.choice(methods)
                body = make.noise(3000) if make.chance(0.3) else b""
                await wire.send(make.request(method, target, body))
        await wire.read()
        wire.check("a request")


async def web_socket(scene: Scene, make: Material) -> None:
    """An upgrade, right or nearly so, then frames of records."""
    port = make.one_of(*scene.ports)
    target = scene.hub_at(port)
    if make.chance(0.5):
        target += f"?id={await _negotiated(scene, port)}"
    hub_protocol = make.one_of("json", "messagepack")
    opcode = 1 if hub_protocol == "json" else 2
    async with Wire(make, port) as wire:
        await wire.send(make.request("GET", target, b"", *_UPGRADE))
        if make.chance(0.8):
            await wire.read(0.5, until=b"\r\n\r\n")
        wire.check("an upgrade")
        for made in (make.handshake(hub_protocol), *_bursts(make, hub_protocol)):
            kind = opcode if make.chance(0.98) else make.random.randrange(16)
            await wire.send(make.frames(made, opcode=kind, masked=True))
            if make.chance(0.3):
                await wire.read()
        if make.chance(0.1):
            await wire.send(make.noise(3000))
        if make.chance(0.3):
            await wire.send(make.closing_frame(masked=True))
        await wire.read()


def _bursts(make: Material, hub_protocol: str) -> list[bytes]:
    return [make.records(hub_protocol) for _ in range(make.random.randrange(5))]


async def server_sent_events(scene: Scene, make: Material) -> None:
    """A negotiated event stream, and POSTs of records."""
    await _with_posts(scene, make, "text/event-stream", streams=1)


async def long_polling(scene: Scene, make: Material) -> None:
    """A negotiated connection with polls, at times several at once, and POSTs of records."""
    await _with_posts(scene, make, "*/*", streams=make.one_of(1, 1, 2, 5))


async def _with_posts(scene: Scene, make: Material, accept: str, streams: int) -> None:
    port = make.one_of(*scene.ports)
    target = f"{scene.hub_at(port)}?id={await _negotiated(scene, port)}"
    hub_protocol = make.one_of("json", "json", "messagepack")

    async def receive(delay: float) -> None:
        await asyncio.sleep(delay)
        async with Wire(make, port) as wire:
            for _ in range(make.random.randrange(1, 4)):
                await wire.send(make.request("GET", target, b"", ("Accept", accept)))
                await wire.read(2 * _PATIENCE)
                wire.check("a poll or an event stream")

    async def post() -> None:
        async with Wire(make, port) as wire:
            for made in (make.handshake(hub_protocol), *_bursts(make, hub_protocol)):
                await wire.send(make.request("POST", target, made))
                await wire.read()
                wire.check("a POST to a hub")
            if make.chance(0.3):
                await wire.send(make.request("DELETE", target))
                await wire.read()

    async with asyncio.TaskGroup() as tasks:
        for number in range(streams):
            tasks.create_task(receive(0.01 * number))
        tasks.create_task(post())


async def gateway_calls(scene: Scene, make: Material) -> None:
    """POSTs to routes: any body, Content-Type and path."""
    types = (
        *("application/json", "application/json; charset=utf-8", "text/plain", "", "json", "\xff"),
        *("application/json;charset=utf-16", "application/json;charset*=1utf-8(;\x00", "*/*", ";"),
        *("application/json;" + ";" * 3000, 'application/json;a="\\', "multipart/form-data"),
        *("application/problem+json", "application/JSON ; CHARSET = UTF-8"),
    )
    keys = ("Echo", "Ten", "Nothing", "Typed", "Crash", "Count", "listen", "one", "none", "Ask")
    async with Wire(make, scene.gateway_port) as wire:
        for _ in range(make.random.choice((1, 2, 5))):
            api = make.one_of("Sample", "sample", "Keyed", "none", "S%61mple", "%00", "é")
            path = f"/api/Gateway/hub/{api}/{make.one_of(*keys)}{make.one_of('', '', '/', '?x')}"
            arguments = [make.value() for _ in range(make.random.choice((0, 1, 1, 1, 2, 10, 11)))]
            body = b"[" + b",".join(map(make.json_text, arguments)) + b"]"
            if make.chance(0.3):
                recorded = make.record("json").rstrip(SEPARATOR)
                body = make.one_of(b"", b"\xef\xbb\xbf" + body, make.mutated(body), recorded)
            kind = make.random.choice(types) if make.chance(0.3) else types[0]
            accept = make.one_of("*/*", "application/x-ndjson", "text/event-stream", "\xff;q=")
            headers = ("Content-Type", kind), ("Accept", accept)
            await wire.send(make.request("POST", path, body, *headers))
            if make.chance(0.7):
                await wire.read(0.3, until=b"\r\n\r\n")
        await wire.read()
        wire.check("a call")


async def hostile_downstream(scene: Scene, make: Material) -> None:
    """Calls of the gateway while its hub is hostile, and then while it is the real hub."""
    patience = make.one_of(0.5, 0.5, 0.5, 10.0)
    await scene.hostile_downstream.turn(make)
    try:
        async with asyncio.TaskGroup() as calls:
            for key in make.random.sample(("Echo", "Count", "Ask", "Typed"), 3):
                calls.create_task(_call_of_hostile_hub(scene, key, patience))
    finally:
        await scene.hostile_downstream.turn(None)


async def _call_of_hostile_hub(scene: Scene, key: str, patience: float) -> None:
    """The gateway answers by itself, whatever the hub does."""
    url = f"http://127.0.0.1:{scene.gateway_port}/api/Gateway/hub/Hostile/{key}"
    try:
        async with asyncio.timeout(patience), scene.session.post(url, json=[1]) as answer:
            body = await answer.read()
    except aiohttp.ClientPayloadError:
        assert key == "Count"  # a stream that has failed is cut off
    except TimeoutError:
        assert patience < 10  # otherwise the gateway stops waiting first
    else:
        assert answer.status in (200, 502, 503, 504), (answer.status, body)
        if answer.status != 200:
            assert json.loads(body)["status"] == answer.status, body
        elif body and answer.content_type == "application/json":
            json.loads(body)


async def hostile_server(scene: Scene, make: Material) -> None:
    """A client of the library meets a hostile server. It raises the library's exceptions only."""
    url = f"http://127.0.0.1:{scene.hostile_server.port}/hub"
    builder = HubConnectionBuilder().with_url(url, transports=make.one_of(*TRANSPORTS))
    builder = builder.with_hub_protocol(make.one_of(*HUB_PROTOCOLS.values()))
    builder = builder.with_handshake_timeout(0.3).with_server_timeout(0.6)
    if make.chance(0.5):
        builder = builder.with_automatic_reconnect([0, 0.02, 0.02])
    await scene.hostile_server.turn(make)
    try:
        await _use(builder.build(), make)
    finally:
        await scene.hostile_server.turn(None)


async def _use(connection: Any, make: Material) -> None:
    def typed(item: Item, number: int = 0) -> None:
        pass

    async def answer(value: Any) -> Any:
        return value

    for target in TARGETS:
        connection.on(target, make.one_of(typed, answer, lambda *_: None))
    try:
        async with asyncio.timeout(1.5):
            await connection.start()
            async with asyncio.TaskGroup() as calls:
                calls.create_task(connection.invoke("Echo", 1, result_type=Item))
                calls.create_task(connection.invoke("Echo", 1))
                calls.create_task(_iterate(connection))
                calls.create_task(connection.send("Nothing"))
    except* (SignalRError, OSError, TimeoutError):
        pass
    finally:
        async with asyncio.timeout(10):
            await connection.stop()


async def _iterate(connection: Any) -> None:
    async for _ in connection.stream("Count", 3):
        pass


Attack = Callable[[Scene, Material], Awaitable[None]]

_ON_PORTS: tuple[Attack, ...] = (
    *(http_requests, web_socket, server_sent_events, long_polling, gateway_calls),
)
LANES: tuple[tuple[Attack, ...], ...] = (
    *(_ON_PORTS for _ in range(6)),
    (hostile_downstream,),
    (hostile_server,),
)
"""Lanes are played at the same time. In each, one attack follows the other."""
