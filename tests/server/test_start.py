"""HubServer without a host: its lifetime manager's start and close."""

import asyncio

import pytest

from protocol import DefaultHubLifetimeManager, Hub, HubConnectionContext, HubLifetimeManager
from protocol.server.hub_server import HubServer
from protocol.testing import LoopClock
from tests.support.hub_messages import CLOSE_AND_RECONNECT
from tests.support.server_harness import MakeServer


class Journal(DefaultHubLifetimeManager):
    def __init__(self) -> None:
        super().__init__()
        self.entries: list[str] = []

    async def start(self) -> None:
        self.entries.append("start")

    async def close(self) -> None:
        self.entries.append("close")

    async def on_disconnected(self, connection: HubConnectionContext) -> None:
        await super().on_disconnected(connection)
        self.entries.append("disconnected")


async def test_close_comes_after_the_last_connection(serve: MakeServer, clock: LoopClock) -> None:
    """L-6: once each, however often the server is started and closed."""
    lifetime, gate = Journal(), asyncio.Event()

    class WaitingHub(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            await gate.wait()

    harness = serve(WaitingHub, lifetime=lifetime)
    client, _ = await harness.connect(), await harness.connect()
    closing = asyncio.create_task(harness.server.close())
    assert await client.take() == [CLOSE_AND_RECONNECT]
    assert lifetime.entries == ["start"]
    gate.set()
    await closing
    await harness.server.close()
    await harness.server.start()
    assert lifetime.entries == ["start", "disconnected", "disconnected", "close"]


async def test_a_server_that_is_not_started(serve: MakeServer) -> None:
    """It serves no connection, and does not close the manager."""
    lifetime = Journal()
    server = HubServer(Hub, lifetime=lifetime)
    harness = serve(Hub)
    client = await harness.connect()
    near, request = client.transport.peer, client.connection.connection.http_request
    with pytest.raises(RuntimeError, match="The server is not started"):
        server.open(near, "c1", request, None)
    await server.close()
    assert lifetime.entries == []


async def test_a_start_that_fails() -> None:
    """The manager is not closed; the next start tries again."""

    class Failing(Journal):
        async def start(self) -> None:
            await super().start()
            if len(self.entries) == 1:
                raise LookupError("no backplane")

    lifetime = Failing()
    server = HubServer(Hub, lifetime=lifetime)
    with pytest.raises(LookupError, match="no backplane"):
        await server.start()
    await server.start()
    await server.close()
    assert lifetime.entries == ["start", "start", "close"]


async def test_a_manager_without_connections_that_is_false(serve: MakeServer) -> None:
    """A manager with a length, like an empty mapping, is used."""

    class Sized(DefaultHubLifetimeManager):
        def __len__(self) -> int:
            return len(self.connections)

    lifetime: HubLifetimeManager = Sized()
    harness = serve(Hub, lifetime=lifetime)
    await harness.connect()
    assert len(lifetime.connections) == 1
