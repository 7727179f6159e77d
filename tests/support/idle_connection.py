"""A connection of a hub without any traffic, for tests of the data that a server keeps about it."""

import asyncio

from protocol import HttpRequestData, HubOptions
from protocol.aio.transport import Receiver
from protocol.server.connection_context import HubConnectionContext


class IdleTransport:
    """Counts the bytes that are written to it, and receives nothing."""

    has_inherent_keep_alive = False
    was_cut = False

    def __init__(self) -> None:
        self.buffered = 0
        self._closed = asyncio.Event()

    def set_receiver(self, receiver: Receiver) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def write(self, data: bytes) -> int:
        self.buffered += len(data)
        return self.buffered

    def flush(self) -> None: ...

    async def drain(self) -> None:
        await self._closed.wait()

    async def close(self, *, failed: bool = False) -> None:
        self._closed.set()

    def abort(self) -> None:
        self._closed.set()


def hub_connection(connection_id: str) -> HubConnectionContext:
    request = HttpRequestData("GET", "/hub", "", {}, None)
    return HubConnectionContext(connection_id, request, None, IdleTransport(), HubOptions())
