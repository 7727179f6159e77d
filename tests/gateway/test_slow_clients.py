"""GW-24: who does not read is closed; the others notice nothing, and memory stays flat."""

from __future__ import annotations

import tracemalloc
from contextlib import AsyncExitStack

from .lab import Inbox, Lab, RunningGateway, until

MIB = 1024 * 1024
PADDING = b"x" * 30_000
EVENTS = 700
"""Far more than sockets of the loopback take, and the gateway for one client: 21 MB."""


def event(number: int) -> bytes:
    return b'[%d,"%s"]' % (number, PADDING)


async def test_a_client_that_does_not_read(gateway: RunningGateway, lab: Lab) -> None:
    """GW-24: everybody else gets every event, in order and at once; what waits for it is let go."""
    readers = [gateway.client() for _ in range(3)]
    inboxes = [Inbox(reader) for reader in readers]
    async with AsyncExitStack() as stack:
        for reader in readers:
            await stack.enter_async_context(reader)
        slow = await stack.enter_async_context(
            gateway.session.ws_connect(f"{gateway.url}/gatewayhub")
        )
        await slow.send_str('{"protocol":"json","version":1}\x1e')
        await until(lambda: gateway.clients == 4)
        closed_before = None
        tracemalloc.start()
        try:
            for number in range(EVENTS):
                await lab.send("Spread", event(number))
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
