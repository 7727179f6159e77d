"""``LoopClock``: the time of the running event loop, moved only by the test.

``LoopClock`` also waits until the loop has nothing to do, so that a test needs no sleeps. At the
end it lists the tasks and timers that have not ended.
"""

import asyncio
from typing import Any, Final

_MAXIMUM_ROUNDS: Final = 10_000
_START: Final = 1000.0
_REPLACED: Final = ("time", "call_soon", "call_at")


class LoopClock:
    """Replaces the time of the running event loop, from ``__enter__`` to ``__exit__``.

    Use ``with LoopClock() as clock`` in a coroutine. The loop has to be one of asyncio's own. The
    times of timers that are set before ``__enter__``, or left at ``__exit__``, are not converted.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now = _START
        self._scheduled = 0
        self._timers: list[asyncio.TimerHandle] = []
        self._handler: Any = None  # the loop's original exception handler
        self.unhandled: list[dict[str, Any]] = []
        """The contexts that the loop's exception handler was called with."""

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
        """Returns the time of the loop in seconds."""
        return self._now

    async def settle(self) -> None:
        """Returns when the loop has nothing to do until a timer is due or I/O happens.

        Raises AssertionError if the loop is still busy after many turns.
        """
        quiet = 0
        for _ in range(_MAXIMUM_ROUNDS):
            before = self._scheduled
            await asyncio.sleep(0)
            # A round is quiet if only the sleep above has used call_soon. Timers that are due run
            # without call_soon, so two quiet rounds are necessary.
            quiet = quiet + 1 if self._scheduled == before + 1 else 0
            if quiet == 2:
                return
        raise AssertionError("The loop does not come to rest.")

    async def advance(self, seconds: float) -> None:
        """Moves the time by ``seconds``, and lets the loop settle at each timer on the way."""
        await self.settle()
        end = self._now + seconds
        while due := [timer.when() for timer in self.timers() if timer.when() <= end]:
            self._now = min(due)
            await self.settle()
        self._now = end
        await self.settle()

    async def block(self, seconds: float) -> None:
        """Moves the time by ``seconds`` at once, as a function that blocks the event loop does."""
        await self.settle()
        self._now += seconds
        await self.settle()

    def timers(self) -> list[asyncio.TimerHandle]:
        """Returns the timers that are set and not yet due."""
        self._timers = [
            timer for timer in self._timers if not timer.cancelled() and timer.when() > self._now
        ]
        return self._timers

    def leftovers(self) -> list[object]:
        """Returns the tasks and timers that have not ended, except the current task."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        return [*tasks, *self.timers()]
