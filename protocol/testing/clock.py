"""A clock of the running event loop that only the test moves.

It also finds out when the loop has come to rest, so that a test asserts what has happened instead
of waiting for it, and what is still alive in the loop at the end.
"""

import asyncio
from typing import Any, Final

_MAXIMUM_ROUNDS: Final = 10_000
_START: Final = 1000.0
_REPLACED: Final = ("time", "call_soon", "call_at")


class LoopClock:
    """Replaces the time of the running loop, from ``__enter__`` to ``__exit__``.

    Write ``with LoopClock() as clock`` in a coroutine. The loop has to be one of asyncio's own. A
    timer that is set before ``__enter__``, or is left at ``__exit__``, keeps its time of the other
    clock.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now = _START
        self._scheduled = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._handler: Any = None  # the loop's exception handler until now
        self.unhandled: list[dict[str, Any]] = []
        """What the loop's exception handler was called with."""

    def __enter__(self) -> "LoopClock":
        if self._loop is not None:
            raise RuntimeError("This LoopClock is in use already.")
        self._loop = loop = asyncio.get_running_loop()
        if vars(loop).keys() & set(_REPLACED):
            self._loop = None
            raise RuntimeError("The running loop has a LoopClock already.")
        call_soon, call_at = loop.call_soon, loop.call_at

        def count(*args: Any, **kwargs: Any) -> asyncio.Handle:
            self._scheduled += 1
            return call_soon(*args, **kwargs)

        def remember(*args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            handle = call_at(*args, **kwargs)
            self._timers.append(handle)
            return handle

        for name, function in zip(_REPLACED, (self.time, count, remember), strict=True):
            setattr(loop, name, function)
        self._handler = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        return self

    def __exit__(self, *_: object) -> None:
        loop, self._loop = self._loop, None
        assert loop is not None
        for name in _REPLACED:
            delattr(loop, name)
        loop.set_exception_handler(self._handler)

    def time(self) -> float:
        """Seconds, as the loop sees them."""
        return self._now

    async def settle(self) -> None:
        """Returns when nothing more happens without a timer or input from outside the loop.

        Raises AssertionError when the loop does not come to rest.
        """
        quiet = 0
        for _ in range(_MAXIMUM_ROUNDS):
            before = self._scheduled
            await asyncio.sleep(0)
            # A round in which only this method asked to be called again. Timers that are due enter
            # without call_soon, so that it takes two such rounds to be sure.
            quiet = quiet + 1 if self._scheduled == before + 1 else 0
            if quiet == 2:
                return
        raise AssertionError("The loop does not come to rest.")

    async def advance(self, seconds: float) -> None:
        """Lets time pass, and stops at each timer on the way until all it causes has happened."""
        await self.settle()
        end = self._now + seconds
        while due := [timer.when() for timer in self.timers() if timer.when() <= end]:
            self._now = min(due)
            await self.settle()
        self._now = end
        await self.settle()

    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are set and not yet due."""
        self._timers = [
            timer for timer in self._timers if not timer.cancelled() and timer.when() > self._now
        ]
        return self._timers

    def leftovers(self) -> list[object]:
        """Tasks and timers that are alive, except the task that calls this."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        return [*tasks, *self.timers()]
