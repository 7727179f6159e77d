"""A client's connection to a hub made by hand, and what it was told."""

import asyncio
from typing import Any, Final

from protocol import HubConnection

from .hosting import until
from .http_hub import HttpHub
from .reaching import builder

NEWS: Final = {"type": 1, "target": "News", "arguments": ["é"]}


class Ear:
    """Hears ``News``; not started."""

    def __init__(self, hub: HttpHub, **more: Any) -> None:
        self.hub = hub
        self.heard: list[Any] = []
        self.closed: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.connection: HubConnection = builder(hub.url, **more).build()
        self.connection.on("News", self.heard.append)
        self.connection.on_closed(self.closed.put_nowait)

    async def hears(self, *expected: Any) -> None:
        await until(lambda: len(self.heard) >= len(expected))
        assert self.heard == list(expected)
