"""Failures at the end of a connection, and the end of the whole server (TW-6, L-6)."""

import asyncio

import pytest

from protocol import Hub, HubException
from protocol.server.connection_context import HubConnectionContext
from protocol.server.lifetime import DefaultHubLifetimeManager
from tests.support.hub_messages import CLOSE, CLOSE_AND_RECONNECT, HANDSHAKE, call, result
from tests.support.server_harness import MakeServer

from .endings import EndingHub, Endings


@pytest.mark.parametrize("error", [LookupError("secret"), HubException("x")])
async def test_on_disconnected_fails(serve: MakeServer, error: Exception) -> None:
    """TW-6: the client still gets its Close, and the transport is closed as failed."""

    class FailingHub(Hub):
        async def on_disconnected(self, _: Exception | None) -> None:
            raise error

    harness = serve(FailingHub)
    client = await harness.connect()
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()
    assert client.transport.peer.ended == "failed"
    assert harness.server.context.connection_count == 0


async def test_on_disconnected_that_is_cancelled_from_within(serve: MakeServer) -> None:
    """TW-6: its cancellation is a failure like any other; the connection is removed."""

    class CancelledHub(Hub):
        async def on_disconnected(self, _: Exception | None) -> None:
            never = asyncio.get_running_loop().create_future()
            never.cancel()
            await never

    harness = serve(CancelledHub)
    client = await harness.connect()
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()
    assert client.transport.peer.ended == "failed"
    assert harness.server.context.connection_count == 0


async def test_no_hub_for_on_disconnected(serve: MakeServer) -> None:
    """S-17: a factory that fails at the end leaves nothing behind either."""
    broken = False

    def make() -> Hub:
        if broken:
            raise LookupError("no database")
        return EndingHub()

    harness = serve(EndingHub, hub_factory=make)
    client = await harness.connect()
    broken = True
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()
    assert harness.server.context.connection_count == 0


async def test_a_lifetime_manager_that_cannot_forget(serve: MakeServer) -> None:
    """TW-6: the transport is ended whatever else fails."""

    class BrokenLifetime(DefaultHubLifetimeManager):
        async def on_disconnected(self, connection: HubConnectionContext) -> None:
            await super().on_disconnected(connection)
            raise LookupError("no backplane")

    client = await serve(Hub, lifetime=BrokenLifetime()).connect()
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()


async def test_shutdown_ends_everybody(serve: MakeServer) -> None:
    """L-6: a Close with allowReconnect to each, also to one in the handshake; then nothing runs."""
    endings = Endings(serve)
    clients = [await endings.harness.connect() for _ in range(3)]
    silent = await endings.harness.open()
    closing = asyncio.create_task(endings.harness.server.close())
    for client in clients:
        assert await client.take() == [CLOSE_AND_RECONNECT]
        assert await client.has_ended()
    assert await silent.take() == []
    assert await silent.has_ended()
    await closing
    assert endings.ended == [None, None, None]


async def test_shutdown_does_not_wait_for_ever(serve: MakeServer) -> None:
    """L-6: the end waits ten seconds for an OnDisconnected that hangs."""
    release = asyncio.Event()

    class HangingHub(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            await release.wait()

    harness = serve(HangingHub)
    client = await harness.connect()
    closing = asyncio.create_task(harness.server.close())
    await harness.clock.advance(9.9)
    assert not closing.done()
    await harness.clock.advance(0.2)
    assert closing.done()
    release.set()
    assert await client.has_ended()


@pytest.mark.parametrize("event", ["on_connected", "on_disconnected"])
async def test_a_lifetime_manager_that_hangs(serve: MakeServer, event: str) -> None:
    """L-6: it is cancelled like the hub's own code, and the transport is closed."""

    async def hang(_connection: HubConnectionContext) -> None:
        await asyncio.get_running_loop().create_future()

    lifetime = DefaultHubLifetimeManager()
    setattr(lifetime, event, hang)
    harness = serve(Hub, lifetime=lifetime)
    client = await harness.connect()
    closing = asyncio.create_task(harness.server.close())
    await harness.clock.advance(9.9)
    assert client.transport.peer.ended is None
    await harness.clock.advance(0.2)
    assert closing.done()
    assert await client.has_ended()
    assert client.connection.ended.done()


async def test_connections_that_come_during_shutdown(serve: MakeServer) -> None:
    """L-6: they are ended at once, in whatever state, and leave no timer."""
    endings = Endings(serve)
    await endings.harness.server.close()
    silent, talking = await endings.harness.open(), await endings.harness.open()
    talking.send(HANDSHAKE, call("Echo", 1))
    assert await silent.has_ended()
    assert await talking.has_ended()
    assert result(1) not in await talking.take()
    assert endings.harness.clock.leftovers() == []
