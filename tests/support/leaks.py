"""Finds objects that a test leaves behind, such as pending futures and open generators."""

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from types import AsyncGeneratorType
from typing import Any

from protocol.testing import LoopClock


class LeakWatch:
    """Watches the running event loop from ``__enter__`` to ``__exit__``.

    ``leftovers`` collects garbage. Inside ``young_heap`` this is fast.
    """

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self._futures: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self._generators: weakref.WeakSet[AsyncGeneratorType[Any, Any]] = weakref.WeakSet()
        self._abandoned: list[str] = []
        self._hooks = _current_hooks()

    def __enter__(self) -> "LeakWatch":
        loop = asyncio.get_running_loop()
        create_future = loop.create_future

        def remember() -> asyncio.Future[Any]:
            future = create_future()
            self._futures.add(future)
            return future

        loop.create_future = remember  # type: ignore[method-assign]
        self._hooks = _current_hooks()
        sys.set_asyncgen_hooks(self._remember_generator, self._abandon)
        return self

    def __exit__(self, *_: object) -> None:
        sys.set_asyncgen_hooks(*self._hooks)
        del asyncio.get_running_loop().create_future

    def _remember_generator(self, generator: AsyncGenerator[Any, Any]) -> None:
        assert isinstance(generator, AsyncGeneratorType)
        self._generators.add(generator)

    def _abandon(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._abandoned.append(repr(generator))

    async def leftovers(self) -> list[object]:
        """Waits until the loop is idle, and returns everything that is left.

        These are tasks, timers, pending futures that are awaited, generators that are suspended or
        were collected before they were closed, and exceptions that reached the event loop.
        """
        await self._clock.settle()
        gc.collect()
        await self._clock.settle()
        return [
            *self._clock.leftovers(),
            *(each for each in self._futures if not each.done() and _has_waiters(each)),
            *(each for each in self._generators if each.ag_frame is not None),
            *self._abandoned,
            *self._clock.unhandled,
        ]


def _current_hooks() -> tuple[Any, Any]:
    # A copy: the garbage collector of CPython 3.11 does not know the tuple that ``sys`` returns, so
    # it never frees a cycle with that tuple.
    return (*sys.get_asyncgen_hooks(),)


def _has_waiters(future: asyncio.Future[Any]) -> bool:
    return bool(future._callbacks)


@contextmanager
def young_heap() -> Iterator[None]:
    """Makes garbage collections fast: they skip all objects that exist before the context."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
