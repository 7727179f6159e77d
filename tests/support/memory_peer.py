"""The far end of a connection in memory, which a test plays record by record."""

import json
from typing import Any

from protocol.testing import LoopClock, MemoryTransport

from .hub_messages import RECORD_SEPARATOR, joined


class MemoryPeer:
    """What a client or a server under test is connected to."""

    def __init__(self, clock: LoopClock, transport: MemoryTransport) -> None:
        self.transport = transport
        self._clock = clock
        self._rest = ""

    def send(self, *records: Any) -> None:
        """Send records, all of one call in one piece: text as it is, the rest as JSON."""
        self.send_bytes(joined(*records))

    def send_bytes(self, data: bytes) -> None:
        """Send one piece as it is."""
        self.transport.write(data)
        self.transport.flush()

    async def arrived(self) -> bytes:
        """All bytes that have arrived since the last time, once the loop is at rest."""
        await self._clock.settle()
        return self.transport.take()

    async def take(self) -> list[Any]:
        """All records that have arrived since the last time, once the loop is at rest."""
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
