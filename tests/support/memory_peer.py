"""The far end of a connection in memory, where a test sends and takes single records."""

import json
from typing import Any

from protocol.testing import LoopClock, MemoryTransport

from .hub_messages import RECORD_SEPARATOR, joined


class MemoryPeer:
    """The peer of a client or a server under test."""

    def __init__(self, clock: LoopClock, transport: MemoryTransport) -> None:
        self.transport = transport
        self._clock = clock
        self._rest = ""

    def send(self, *records: Any) -> None:
        """Send records in one piece. A str is sent as it is, any other value as JSON."""
        self.send_bytes(joined(*records))

    def send_bytes(self, data: bytes) -> None:
        """Send one piece as it is."""
        self.transport.write(data)
        self.transport.flush()

    async def arrived(self) -> bytes:
        """Wait until the loop is idle, and return the bytes that arrived since the last call."""
        await self._clock.settle()
        return self.transport.take()

    async def take(self) -> list[Any]:
        """Wait until the loop is idle, and return the records that arrived since the last call."""
        self._rest += (await self.arrived()).decode()
        *records, self._rest = self._rest.split(RECORD_SEPARATOR)
        return [json.loads(record) for record in records]

    async def ask(self, *records: Any) -> list[Any]:
        """``send`` and ``take``."""
        self.send(*records)
        return await self.take()

    def vanish(self) -> None:
        """End the connection without a Close message."""
        self.transport.abort()
