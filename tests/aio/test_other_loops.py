"""Calls from another event loop or thread than that of a connection or a server."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from protocol import Hub, HubConnection
from protocol.server.clients import HubContext
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import call, event
from tests.support.server_harness import MakeServer

HINT = "belongs to another event loop. In another thread, pass the coroutine and that loop to "


def error_in_thread(run: Callable[[], object]) -> RuntimeError:
    """The error that ``run`` raises in another thread, which has no running event loop."""
    errors: list[BaseException] = []

    def catch() -> None:
        try:
            run()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=catch)
    thread.start()
    thread.join()
    (error,) = errors
    assert isinstance(error, RuntimeError)
    return error


@pytest.mark.parametrize(
    "use",
    [
        lambda connection: connection.invoke("X"),
        lambda connection: connection.send("X"),
        lambda connection: connection.stop(),
    ],
    ids=["invoke", "send", "stop"],
)
async def test_a_connection(
    harness: ClientHarness, use: Callable[[HubConnection], Awaitable[Any]]
) -> None:
    """The call raises an error with the way out, sends nothing, and does not end the connection."""
    connection = await harness.started()

    async def run() -> None:
        await use(connection)

    error = error_in_thread(lambda: asyncio.run(run()))
    assert str(error) == f"The HubConnection {HINT}asyncio.run_coroutine_threadsafe."
    await connection.send("Here", 1)
    assert await harness.server.take() == [call("Here", 1, id=None)]


async def test_a_stream(harness: ClientHarness) -> None:
    """It is made and iterated over in the loop of its connection."""
    connection = await harness.started()
    assert HINT in str(error_in_thread(lambda: connection.stream("Counter")))
    stream = connection.stream("Counter")

    async def iterate() -> None:
        await anext(stream)

    assert f"The stream {HINT}" in str(error_in_thread(lambda: asyncio.run(iterate())))
    assert await harness.server.take() == []


class QuietHub(Hub):
    pass


@pytest.mark.parametrize(
    "use",
    [
        lambda context: context.clients.all.send("News"),
        lambda context: context.clients.all_except(["c2"]).send("News"),
        lambda context: context.clients.client("c1").send("News"),
        lambda context: context.clients.client("c1").invoke("Ask"),
        lambda context: context.clients.clients(["c1"]).send("News"),
        lambda context: context.clients.group("g").send("News"),
        lambda context: context.clients.group_except("g", []).send("News"),
        lambda context: context.clients.groups(["g"]).send("News"),
        lambda context: context.clients.user("u").send("News"),
        lambda context: context.clients.users(["u"]).send("News"),
        lambda context: context.groups.add("c1", "g"),
        lambda context: context.groups.remove("c1", "g"),
    ],
)
async def test_a_hub_context(
    serve: MakeServer, use: Callable[[HubContext], Awaitable[None]]
) -> None:
    """Sends and changes of groups raise an error with the way out, and do nothing."""
    harness = serve(QuietHub)
    client = await harness.connect()
    context = harness.server.context

    async def run() -> None:
        await use(context)

    error = error_in_thread(lambda: asyncio.run(run()))
    assert str(error) == f"The HubContext of QuietHub {HINT}asyncio.run_coroutine_threadsafe."
    await context.clients.all.send("News")
    assert await client.take() == [event("News")]
