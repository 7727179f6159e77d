"""map_hub(…, lifetime=…): started before the first connection, closed after the last."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from protocol import DefaultHubLifetimeManager, Hub, HubConnectionContext, map_hub
from tests.transports.conftest import Connect
from tests.transports.host import BasicHub, Host


class OtherHub(Hub):
    """A hub without methods."""


class Journal(DefaultHubLifetimeManager):
    """Records its calls, and raises where the test asks for it."""

    def __init__(self, entries: list[str], name: str = "", failing: str = "") -> None:
        super().__init__()
        self._entries = entries
        self._name = name
        self._failing = failing

    async def start(self) -> None:
        await asyncio.sleep(0)
        self._note("start")

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._note("close")

    async def on_connected(self, connection: HubConnectionContext) -> None:
        self._note("connected")
        await super().on_connected(connection)

    async def on_disconnected(self, connection: HubConnectionContext) -> None:
        await super().on_disconnected(connection)
        self._note("disconnected")

    def _note(self, event: str) -> None:
        entry = self._name + event
        self._entries.append(entry)
        if event == self._failing:
            raise LookupError(entry)


async def test_spans_all_connections(connect: Connect) -> None:
    """One start and one close for two paths of a class, around all of their connections."""
    host, entries = Host(), list[str]()

    async def resource(_: web.Application) -> AsyncIterator[None]:
        entries.append("opened")
        yield
        entries.append("released")

    host.app.cleanup_ctx.append(resource)
    host.map("/one", lifetime=Journal(entries))
    context = host.map("/two")
    async with host.run():
        assert entries == ["opened", "start"]
        for path in ("/one", "/two"):
            await connect(host.url + path)
        assert context.connection_count == 2
    connected = ["connected", "connected", "disconnected", "disconnected"]
    assert entries == ["opened", "start", *connected, "close", "released"]


async def test_sends_while_the_application_shuts_down(connect: Connect) -> None:
    """The manager is open for shutdown handlers that run after that of the hubs."""
    host, entries = Host(), list[str]()
    context = host.map(lifetime=Journal(entries))

    async def say_so(_: web.Application) -> None:
        await context.clients.all.send("Down")
        entries.append("sent")

    host.app.on_shutdown.append(say_so)
    async with host.run():
        pass
    assert entries == ["start", "sent", "close"]


async def test_a_start_that_fails_stops_the_application() -> None:
    """Managers that were started are closed; the failed one and later ones are not."""
    app, entries = web.Application(), list[str]()
    third = type("ThirdHub", (Hub,), {})
    map_hub(app, "/one", BasicHub, lifetime=Journal(entries, "one "))
    map_hub(app, "/two", OtherHub, lifetime=Journal(entries, "two ", "start"))
    map_hub(app, "/three", third, lifetime=Journal(entries, "three "))
    runner = web.AppRunner(app)
    with pytest.raises(LookupError, match="two start"):
        await runner.setup()
    assert entries == ["one start", "two start", "one close"]
    await runner.cleanup()
    assert entries == ["one start", "two start", "one close"]


async def test_another_start_that_fails() -> None:
    """A part of the application that starts later fails: the manager is closed."""
    app, entries = web.Application(), list[str]()
    map_hub(app, "/hub", BasicHub, lifetime=Journal(entries))

    async def fail(_: web.Application) -> None:
        raise LookupError("no database")

    app.on_startup.append(fail)
    runner = web.AppRunner(app)
    with pytest.raises(LookupError, match="no database"):
        await runner.setup()
    await runner.cleanup()
    assert entries == ["start", "close"]


async def test_a_close_that_fails() -> None:
    """The other managers are closed, and the failure is raised to what stops the application."""
    app, entries = web.Application(), list[str]()
    map_hub(app, "/one", BasicHub, lifetime=Journal(entries, "one "))
    map_hub(app, "/two", OtherHub, lifetime=Journal(entries, "two ", "close"))
    runner = web.AppRunner(app)
    await runner.setup()
    with pytest.raises(LookupError, match="two close"):
        await runner.cleanup()
    assert entries[2:] == ["two close", "one close"]


async def test_in_an_application_inside_another() -> None:
    app, inner, entries = web.Application(), web.Application(), list[str]()
    map_hub(inner, "/hub", BasicHub, lifetime=Journal(entries))
    app.add_subapp("/inner/", inner)
    runner = web.AppRunner(app)
    await runner.setup()
    await runner.cleanup()
    assert entries == ["start", "close"]


def test_two_classes_do_not_share_one() -> None:
    """G-5: ``clients.all`` of one class would reach the other's."""
    app, lifetime = web.Application(), DefaultHubLifetimeManager()
    map_hub(app, "/one", BasicHub, lifetime=lifetime)
    with pytest.raises(
        ValueError, match="BasicHub has this lifetime already: each hub class needs"
    ):
        map_hub(app, "/two", OtherHub, lifetime=lifetime)
    map_hub(app, "/two", OtherHub, lifetime=DefaultHubLifetimeManager())
