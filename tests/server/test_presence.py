"""What a HubContext knows of connections, and how it ends one."""

import asyncio
from typing import Any

import pytest

from protocol import DefaultHubLifetimeManager, Hub, HubContext, HubLifetimeManager, Principal
from tests.support.hub_messages import event
from tests.support.server_harness import MakeServer


class RoomHub(Hub):
    async def on_connected(self) -> None:
        await self.groups.add(self.context.connection_id, "room")


async def test_presence(serve: MakeServer) -> None:
    """G-10."""
    harness = serve(RoomHub)
    presence = harness.server.context.presence
    assert await presence.count() == 0
    assert not await presence.has_group("room")
    clients = [await harness.connect(Principal("ann")) for _ in range(2)]
    assert await presence.count() == await presence.count_group("room") == 2
    assert await presence.count_user("ann") == 2
    assert await presence.has_connection(clients[0].connection_id)
    assert await presence.has_group("room")
    assert await presence.has_user("ann")
    for client in clients:
        client.vanish()
    await harness.clock.settle()
    assert await presence.count() == await presence.count_group("room") == 0
    assert not await presence.has_user("ann")
    assert not await presence.has_connection(clients[0].connection_id)


@pytest.mark.parametrize(
    ("reason", "close"),
    [
        ("No more.", {"type": 7, "error": "No more."}),
        (None, {"type": 7}),
        ("", {"type": 7}),
    ],
)
async def test_closing(serve: MakeServer, reason: str | None, close: Any) -> None:
    """G-9: the messages sent before arrive first; other connections stay."""
    harness = serve(RoomHub)
    context = harness.server.context
    client, other = await harness.connect(), await harness.connect()
    await context.clients.all.send("News")
    assert await context.close_connection(client.connection_id, reason)
    assert not await context.close_connection(client.connection_id, "again")
    assert await client.take() == [event("News"), close]
    assert await client.has_ended()
    assert await other.take() == [event("News")]
    assert not await context.close_connection("unknown")
    assert await context.presence.count() == 1


class Plain(DefaultHubLifetimeManager):
    """A manager that was written before managers counted and closed connections."""

    close_connection = HubLifetimeManager.close_connection
    count_connections = HubLifetimeManager.count_connections
    count_group = HubLifetimeManager.count_group
    count_user = HubLifetimeManager.count_user
    has_connection = HubLifetimeManager.has_connection


async def test_a_manager_without_support() -> None:
    context = HubContext(Plain())
    presence = context.presence
    with pytest.raises(NotImplementedError, match="Plain does not close connections"):
        await context.close_connection("a")
    for counting in (
        presence.count(),
        presence.has_group("a"),
        presence.has_user("a"),
        presence.has_connection("a"),
    ):
        with pytest.raises(NotImplementedError, match="Plain does not count connections"):
            await counting


async def test_wrong_types() -> None:
    context = HubContext(DefaultHubLifetimeManager())
    presence: Any = context.presence
    closing: Any = context.close_connection
    for wrong in (
        presence.count_group(1),
        presence.count_user(None),
        presence.has_connection(b"a"),
        closing(None),
        closing("a", 1),
    ):
        with pytest.raises(TypeError, match="is a str, not"):
            await wrong


async def test_another_event_loop_closes_nothing(serve: MakeServer) -> None:
    harness = serve(RoomHub)
    client = await harness.connect()
    closing = harness.server.context.close_connection(client.connection_id)
    with pytest.raises(RuntimeError, match="HubContext of RoomHub"):
        await asyncio.to_thread(asyncio.run, closing)
    assert not await client.has_ended()
