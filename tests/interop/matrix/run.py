"""Runs the cells, many at a time, in an event loop in a separate thread.

This module decides how many cells run at once, and how a cell is tested. Each test waits for the
result of its cell.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tests.interop.matrix import gateway_cell, hub_cell, refusal
from tests.interop.matrix.cells import GATEWAY, GATEWAY_BEHIND_NGINX, Cell
from tests.interop.matrix.peers import Peers
from tests.interop.matrix.scene import Scene, Target
from tests.interop.matrix.wire import Wire

AT_A_TIME: Final = 8
LIMIT: Final = 90.0  # seconds for one cell


class MatrixRun:
    """Runs cells in the background. Each cell has a future of its result."""

    def __init__(self, cells: Iterable[Cell], folder: Path) -> None:
        self._outcomes = {cell: Future[None]() for cell in cells}
        self._folder = folder
        self._farewell = Future[None]()
        self._end = Future[None]()
        threading.Thread(target=self._run, daemon=True).start()

    def outcome(self, cell: Cell) -> None:
        """Waits until the cell has run; raises its exception."""
        self._outcomes[cell].result()

    def farewell(self) -> None:
        """Waits until all cells have run and the gateway has noticed the end of each connection."""
        self._farewell.result()

    def end(self) -> None:
        """Waits until all programs have ended; raises the first exception."""
        self._end.result()

    def _run(self) -> None:
        try:
            asyncio.run(self._play_all())
        except BaseException as error:  # otherwise tests would wait for ever
            for outcome in (*self._outcomes.values(), self._farewell, self._end):
                if not outcome.done():
                    outcome.set_exception(error)
        else:
            self._end.set_result(None)

    async def _play_all(self) -> None:
        room = asyncio.Semaphore(AT_A_TIME)
        # A server notices late that a client no longer polls, so these cells run first.
        cells = sorted(self._outcomes, key=lambda cell: cell.transport != "LongPolling")
        async with AsyncExitStack() as stack:
            peers = Peers(stack, self._folder)
            await asyncio.gather(
                *(_settle(self._outcomes[cell], self._play(cell, peers, room)) for cell in cells)
            )
            await _settle(self._farewell, self._see_off(peers))

    async def _play(self, cell: Cell, peers: Peers, room: asyncio.Semaphore) -> None:
        driver = await peers.driver(cell.client)
        target = await peers.target(cell.target)
        url = target.web_socket_url if cell.transport == "WebSockets" else target.url
        async with room, asyncio.timeout(LIMIT), Wire(url) as wire:
            await _part(cell, target)(Scene(cell, target, driver, wire))

    async def _see_off(self, peers: Peers) -> None:
        for target in {cell.target for cell in self._outcomes} & {GATEWAY, GATEWAY_BEHIND_NGINX}:
            gateway = (await peers.target(target)).gateway
            assert gateway is not None
            await gateway.nobody_is_left()


async def _settle(outcome: Future[None], work: Awaitable[None]) -> None:
    try:
        await work
    except BaseException as error:  # a skip because of a missing tool is not an Exception
        outcome.set_exception(error)
    else:
        outcome.set_result(None)


def _part(cell: Cell, target: Target) -> Callable[[Scene], Awaitable[None]]:
    if cell.impossible is not None:
        return refusal.play
    return hub_cell.play if target.gateway is None else gateway_cell.play
