"""The journal of the connection hubs, and the messages that they send outside of hub methods."""

import asyncio
from collections.abc import Coroutine, Iterable

from aiohttp import web

from protocol import HubContext


class Journal:
    """The events of the server by ``tag``, which a client can read over HTTP."""

    def __init__(self) -> None:
        self._entries: dict[str, list[str]] = {}

    def add(self, tag: str, entry: str) -> None:
        self._entries.setdefault(tag, []).append(entry)

    def read(self, tag: str) -> list[str]:
        return self._entries.get(tag, [])

    def clear(self, tag: str) -> None:
        self._entries.pop(tag, None)


class LaterSender:
    """Sends from outside of hub methods, through the hub that has the connection."""

    def __init__(self, journal: Journal) -> None:
        self.contexts: list[HubContext] = []
        self._journal = journal
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, connection_id: str, milliseconds: int, texts: Iterable[str]) -> None:
        """Sends the texts one after another, after a delay."""
        self._start(self._send_all(connection_id, milliseconds / 1000, texts))

    def flood(self, connection_id: str, tag: str, count: int, size: int) -> None:
        """Sends ``count`` texts of ``size`` characters, as fast as the client takes them."""
        self._start(self._flood(connection_id, tag, count, size))

    async def close(self, _app: web.Application) -> None:
        """Cancels all sends that still run."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_all(self, connection_id: str, delay: float, texts: Iterable[str]) -> None:
        await asyncio.sleep(delay)
        for text in texts:
            await self._send(connection_id, text)

    async def _flood(self, connection_id: str, tag: str, count: int, size: int) -> None:
        for number in range(1, count + 1):
            await self._send(connection_id, str(number).ljust(size, "."))
            self._journal.add(tag, f"sent {number}")

    async def _send(self, connection_id: str, text: str) -> None:
        # Only one of the hubs knows the connection; to send to an unknown one does nothing (G-7).
        for context in self.contexts:
            await context.clients.client(connection_id).send("message", text)
