"""The client and the server of this library over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from protocol import (
    ConnectionClosed,
    Hub,
    HubConnection,
    HubConnectionBuilder,
    HubConnectionState,
    HubException,
    hub_method,
)
from protocol.http_transport_type import TRANSPORT_NAMES, HttpTransportType
from tests.transports.client import builders

from .host import BasicHub, Host

pytestmark = pytest.mark.usefixtures("reading_mode")


class Message(msgspec.Struct):
    name: str
    sent_at: float = 0.0


class ChatHub(BasicHub):
    async def on_connected(self) -> None:
        await self.clients.caller.send("Welcome", self.context.connection_id)

    @hub_method
    async def join(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    @hub_method
    async def post(self, group: str, message: Message) -> int:
        await self.clients.others_in_group(group).send("Posted", group, message)
        return len(message.name)

    @hub_method
    async def double(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in numbers:
            yield number * 2

    @hub_method
    async def count_forever(self) -> AsyncIterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            await self.clients.all.send("Stopped")

    @hub_method(cancellable=True)
    async def wait(self) -> None:
        try:
            await self.clients.all.send("Waiting")
            await asyncio.Event().wait()
        finally:
            await self.clients.all.send("Stopped")

    @hub_method
    def refuse(self) -> None:
        raise HubException("not you")


def builder(host: Host, path: str = "/hub", **more: Any) -> HubConnectionBuilder:
    return builders.builder(host.url + path, **more)


EACH = pytest.mark.parametrize(
    "transports", [pytest.param(it, id=name) for it, name in TRANSPORT_NAMES.items()]
)


@EACH
async def test_a_conversation(transports: HttpTransportType) -> None:
    """Groups, structs both ways, errors, ids."""
    host = Host()
    host.map(hub_class=ChatHub)
    async with host.run(), AsyncExitStack() as stack:
        ann, bob = (builder(host, transports=transports).build() for _ in range(2))
        welcomes: list[str] = []
        posted = asyncio.Queue[tuple[str, Message]]()

        @bob.on("Posted")
        def received(group: str, message: Message) -> None:
            posted.put_nowait((group, message))

        for connection in (ann, bob):
            connection.on("Welcome", welcomes.append)
            await stack.enter_async_context(connection)
            await connection.invoke("Join", "g")
        assert welcomes == [ann.connection_id, bob.connection_id]
        assert await ann.invoke("post", "g", Message("hello", 1.5), result_type=int) == 5
        assert await posted.get() == ("g", Message("hello", 1.5))
        with pytest.raises(HubException) as caught:
            await ann.invoke("Refuse")
        assert str(caught.value).endswith("HubException: not you")


@EACH
async def test_streams_and_cancellation(transports: HttpTransportType) -> None:
    """S-19, S-27, U-3, U-5, U-9: more items than any buffer holds, in order; a stream that the
    client leaves and a call that it cancels end on the server."""

    async def count() -> AsyncIterator[int]:
        for number in range(2000):
            yield number

    host = Host()
    host.map(hub_class=ChatHub)
    async with host.run():
        connection = builder(host, transports=transports).build()
        events = asyncio.Queue[str]()
        connection.on("Waiting", lambda: events.put_nowait("waiting"))
        connection.on("Stopped", lambda: events.put_nowait("stopped"))
        async with connection:
            doubled = [number async for number in connection.stream("Double", count())]
            assert doubled == [2 * number for number in range(2000)]
            async for number in connection.stream("CountForever", item_type=int):
                if number == 2000:
                    break
            assert await events.get() == "stopped"
            waiting = asyncio.create_task(connection.invoke("Wait"))
            assert await events.get() == "waiting"
            waiting.cancel()
            assert await events.get() == "stopped"
        assert events.empty()


@pytest.mark.parametrize("path", ["/HUB", "/hub/", "/Hub?a=1"])
@pytest.mark.parametrize("skip", [False, True])
async def test_urls(host: Host, path: str, skip: bool) -> None:
    """LA-3, N-2, N-26: with and without negotiate."""
    async with builder(host, path, skip_negotiation=skip).build() as connection:
        who = await connection.invoke("Who")
        assert (who[0] == connection.connection_id) == (not skip)
        assert who[2].rstrip("/").lower() == "/hub"


@EACH
async def test_many_calls_at_once(host: Host, transports: HttpTransportType) -> None:
    """P-1, P-6: from several clients, all answered, each client's in order."""
    async with AsyncExitStack() as stack:
        connections: list[HubConnection] = [
            await stack.enter_async_context(builder(host, transports=transports).build())
            for _ in range(5)
        ]
        calls = [
            connection.invoke("Add", number, 1, result_type=int)
            for connection in connections
            for number in range(100)
        ]
        assert await asyncio.gather(*calls) == [n + 1 for _ in connections for n in range(100)]


@EACH
async def test_large_messages(host: Host, transports: HttpTransportType) -> None:
    """F-4: above the server's limit the connection is closed, and may reconnect."""
    async with builder(host, transports=transports).build() as connection:
        text = "ü" * 16_000
        assert await connection.invoke("Echo", text) == text
        with pytest.raises(ConnectionClosed) as caught:
            await connection.invoke("Echo", text * 3)
        assert caught.value.allow_reconnect
        assert "Connection closed with an error." in str(caught.value)


async def test_a_server_that_restarts() -> None:
    """L-6, R-2, R-4: a client reconnects as soon as there is a server again."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    first, second = Host(), Host()
    for host in (first, second):
        host.map()
    told = asyncio.Queue[str]()
    async with AsyncExitStack() as stack:
        async with first.run(port):
            connection = builder(first).with_automatic_reconnect(lambda _: 0.01).build()
            connection.on_reconnecting(lambda error: told.put_nowait(str(error)))
            connection.on_reconnected(lambda _: told.put_nowait("reconnected"))
            await stack.enter_async_context(connection)
            assert await connection.invoke("Echo", 1) == 1
        async with second.run(port):
            assert await told.get() == "The server closed the connection."
            assert await told.get() == "reconnected"
            assert await connection.invoke("Echo", 2) == 2
            await connection.stop()


async def test_an_abort(host: Host) -> None:
    """S-26, R-2: after a Close without allowReconnect there is no reconnect."""
    connection = builder(host).with_automatic_reconnect([0, 0]).build()
    closed = asyncio.Queue[Exception | None]()
    connection.on_closed(closed.put_nowait)
    await connection.start()
    with pytest.raises(ConnectionClosed):
        await connection.invoke("Abort")
    assert str(await closed.get()) == "The server closed the connection."
    assert connection.state is HubConnectionState.DISCONNECTED


async def test_stop_while_much_is_under_way(host: Host) -> None:
    """C-17: both sides stop at the same time; no task or socket is left."""
    connection = builder(host).build()
    await connection.start()
    calls = [asyncio.create_task(connection.invoke("Echo", "x" * 10_000)) for _ in range(50)]
    await asyncio.sleep(0)
    await connection.stop()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(outcome == "x" * 10_000 or _is_closed(outcome) for outcome in outcomes)


def _is_closed(outcome: object) -> bool:
    return isinstance(outcome, ConnectionClosed)


async def test_hub_keeps_serving_others_when_one_client_misbehaves(host: Host) -> None:
    """S-20, P-6: a protocol error of one client does not affect the others."""
    async with builder(host).build() as good, builder(host).build() as bad:
        with pytest.raises(ConnectionClosed):
            await bad.invoke("Echo", "x" * 40_000)
        assert await good.invoke("Echo", 1) == 1


def test_hub_is_exported() -> None:
    """The names that users need are the package's own."""
    assert issubclass(BasicHub, Hub)
