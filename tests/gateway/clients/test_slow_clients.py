"""GW-24: a client that does not read is disconnected, without delay for others."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from tests.gateway.gateway_clients import Inbox
from tests.gateway.running_gateway import RunningGateway
from tests.gateway.sample_hub import RunningHub
from tests.support.waiting import until

MIB = 1024 * 1024
PADDING = b"x" * 30_000
EVENTS = 700
"""21 MB: far more than loopback sockets and the gateway buffer for one client."""


def event(number: int) -> bytes:
    return b'[%d,"%s"]' % (number, PADDING)


HANDSHAKE = '{"protocol":"json","version":1}\x1e'


@asynccontextmanager
async def unread_web_socket(gateway: RunningGateway) -> AsyncIterator[None]:
    async with gateway.session.ws_connect(f"{gateway.url}/gatewayhub") as socket:
        await socket.send_str(HANDSHAKE)
        yield


async def negotiated(session: aiohttp.ClientSession, gateway: RunningGateway) -> str:
    hub = f"{gateway.url}/gatewayhub"
    async with session.post(f"{hub}/negotiate?negotiateVersion=1") as answer:
        return f"{hub}?id={(await answer.json())['connectionToken']}"


@asynccontextmanager
async def unread_event_stream(gateway: RunningGateway) -> AsyncIterator[None]:
    async with aiohttp.ClientSession(read_bufsize=1024) as session:
        address = await negotiated(session, gateway)
        async with session.get(address, headers={"Accept": "text/event-stream"}):
            async with session.post(address, data=HANDSHAKE):
                yield


@asynccontextmanager
async def no_more_polls(gateway: RunningGateway) -> AsyncIterator[None]:
    session = gateway.session
    address = await negotiated(session, gateway)
    async with session.get(address):
        pass
    async with session.post(address, data=HANDSHAKE):
        pass
    async with session.get(address) as poll:
        assert await poll.read() == b"{}\x1e"
    yield


@pytest.mark.parametrize("slow_client", [unread_web_socket, unread_event_stream, no_more_polls])
async def test_a_client_that_does_not_read(
    gateway: RunningGateway,
    hub: RunningHub,
    slow_client: Callable[[RunningGateway], AbstractAsyncContextManager[None]],
) -> None:
    """GW-24: other clients get each event at once and in order; the slow one's queue is freed."""
    readers = [gateway.client() for _ in range(3)]
    inboxes = [Inbox(reader) for reader in readers]
    async with AsyncExitStack() as stack:
        for reader in readers:
            await stack.enter_async_context(reader)
        await stack.enter_async_context(slow_client(gateway))
        await until(lambda: gateway.clients == 4)
        closed_before = None
        tracemalloc.start()
        try:
            for number in range(EVENTS):
                await hub.send("Spread", event(number))
                for inbox in inboxes:
                    assert await inbox.take() == ("Spread", event(number))
                if closed_before is None and gateway.clients == 3:
                    closed_before = number
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert closed_before is not None
        assert closed_before < EVENTS - 100
        assert all(inbox.empty for inbox in inboxes)
    assert peak < 4 * MIB
