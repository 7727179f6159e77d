"""A client that records the events it receives."""

import asyncio
from typing import Any, Final

from protocol import HubConnection
from tests.support.waiting import until
from tests.transports.http_hub import HttpHub

from .builders import builder

NEWS: Final = {"type": 1, "target": "News", "arguments": ["é"]}


class RecordingClient:
    """Records ``News`` of a hub made by hand; not started."""

    def __init__(self, hub: HttpHub, **more: Any) -> None:
        self.hub = hub
        self.received: list[Any] = []
        self.closed: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.connection: HubConnection = builder(hub.url, **more).build()
        self.connection.on("News", self.received.append)
        self.connection.on_closed(self.closed.put_nowait)

    async def receives(self, *expected: Any) -> None:
        await until(lambda: len(self.received) >= len(expected))
        assert self.received == list(expected)
