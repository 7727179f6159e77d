"""A program that ends while a connection is being aborted leaves no socket open."""

import asyncio
import contextlib
import gc
import warnings
from contextlib import AsyncExitStack

import pytest

from protocol import HubConnection, SignalRError
from tests.transports.http_hub import HttpHub
from tests.transports.raw_server import RawServer

from .builders import builder

pytestmark = pytest.mark.slow

_HTTP = ("ServerSentEvents", "LongPolling")
_OF_THE_CLIENT = ("Unclosed client session", "Unclosed connection", "Unclosed connector")


async def _silent_hub(transport: str, kept: AsyncExitStack) -> tuple[str, "asyncio.Task[object]"]:
    """A server that does not answer the handshake: its URL, and an event for the received
    handshake."""
    if transport in _HTTP:
        hub = await kept.enter_async_context(HttpHub((transport,)).run())
        hub.posts_may_end.clear()
        return hub.url, asyncio.create_task(hub.until("post"))
    server = await kept.enter_async_context(RawServer())
    server.shakes_hands, server.hands_over = False, True
    return server.url, asyncio.create_task(server.sockets.get())


async def _give_up(connection: HubConnection, how: str, asked: "asyncio.Task[object]") -> None:
    starting = asyncio.create_task(connection.start())
    await asked
    if how == "cancelled":
        starting.cancel()
    elif how == "stopped":
        await connection.stop()
    with contextlib.suppress(SignalRError, asyncio.CancelledError):
        await starting


async def _program(transport: str, how: str, kept: AsyncExitStack) -> None:
    """A program that does not stop the server, because it would have to wait for it."""
    url, asked = await _silent_hub(transport, kept)
    connection = builder(url, close_timeout=0.2).with_handshake_timeout(0.2).build()
    await _give_up(connection, how, asked)


@pytest.mark.parametrize("how", ["refused", "cancelled", "stopped"])
@pytest.mark.parametrize("transport", ["WebSockets", *_HTTP])
def test_the_loop_ends(transport: str, how: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept = AsyncExitStack()
        asyncio.run(_program(transport, how, kept))
        gc.collect()
    texts = [str(it.message) for it in caught]
    assert [text for text in texts if text.startswith(_OF_THE_CLIENT)] == []
