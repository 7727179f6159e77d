"""Plays the cells, many at a time, in a thread and an event loop of their own.

Decides how many are played at once, and what each of them is. The tests only wait for their own.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tests.interop.matrix import gateway_cell, hub_cell, refusal
from tests.interop.matrix.cells import Cell
from tests.interop.matrix.peers import Peers
from tests.interop.matrix.scene import Scene, Target
from tests.interop.matrix.wire import Wire

AT_A_TIME: Final = 8
LIMIT: Final = 90.0  # seconds for one cell


class MatrixRun:
    """Plays cells from now on and in the background; each has a future of how it went."""

    def __init__(self, cells: Iterable[Cell], folder: Path) -> None:
        self._outcomes: dict[Cell, Future[None]] = {cell: Future() for cell in cells}
        self._folder = folder
        self._end: Future[None] = Future()
        threading.Thread(target=self._run, daemon=True).start()

    def outcome(self, cell: Cell) -> None:
        """Waits until that cell has been played; raises what it raised."""
        self._outcomes[cell].result()

    def end(self) -> None:
        """Waits until all that was started has ended; raises what went wrong then."""
        self._end.result()

    def _run(self) -> None:
        try:
            asyncio.run(self._play_all())
        except BaseException as error:  # those who wait would wait for ever
            for outcome in (*self._outcomes.values(), self._end):
                if not outcome.done():
                    outcome.set_exception(error)
        else:
            self._end.set_result(None)

    async def _play_all(self) -> None:
        room = asyncio.Semaphore(AT_A_TIME)
        async with AsyncExitStack() as stack:
            peers = Peers(stack, self._folder)
            await asyncio.gather(*(self._play(cell, peers, room) for cell in self._outcomes))

    async def _play(self, cell: Cell, peers: Peers, room: asyncio.Semaphore) -> None:
        try:
            driver = await peers.driver(cell.client)
            target = await peers.target(cell.target)
            async with room, asyncio.timeout(LIMIT), Wire(target.url) as wire:
                await _part(cell, target)(Scene(cell, target, driver, wire))
        except BaseException as error:  # a missing tool skips, which is no Exception
            self._outcomes[cell].set_exception(error)
        else:
            self._outcomes[cell].set_result(None)


def _part(cell: Cell, target: Target) -> Callable[[Scene], Awaitable[None]]:
    if cell.impossible is not None:
        return refusal.play
    return hub_cell.play if target.gateway is None else gateway_cell.play
