"""A list of events in the order of their arrival. Tests wait for an event instead of sleeping."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that a test waits for an action of a peer. Only a failing test waits so long."""

REPEATEDLY = (0, 50, *[100] * int(PATIENCE / 0.1))
"""Milliseconds between attempts to reconnect, for as long as a test may run."""


class Journal(Generic[T]):
    """A list on whose entries tests wait. It is used in one event loop."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: list[T] = []
        self._ended = False
        self._changed = asyncio.Event()

    def add(self, entry: T) -> None:
        self.entries.append(entry)
        self._changed.set()

    def end(self) -> None:
        """End the journal: calls that wait for more entries fail."""
        self._ended = True
        self._changed.set()

    async def wait(self, count: int = 1, matches: Callable[[T], bool] | None = None) -> list[T]:
        """Waits until `count` entries match (every one by default); all that do by then.

        Raises AssertionError, with the latest entries, after PATIENCE or at the end of the journal.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while len(found := self._matching(matches)) < count and not self._ended:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            found = self._matching(matches)
        latest = "\n".join(str(entry)[:200] for entry in self.entries[-40:])
        assert len(found) >= count, f"{self.name}: {len(found)} of {count}; the latest:\n{latest}"
        return found

    def _matching(self, matches: Callable[[T], bool] | None) -> list[T]:
        return [entry for entry in self.entries if matches is None or matches(entry)]
