"""A coroutine run by hand up to where it waits, so that something else can be done first.

Decides nothing; who goes on with it, and when, is left to whoever runs it.
"""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any


class Steps:
    """Takes ``coroutine`` from wait to wait; each step may be made by another task."""

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._awaited: Any = None
        self.is_waiting = False

    def begin(self) -> bool:
        """Runs it to its first wait. Whether it waits: else it has ended."""
        return self._run(self._coroutine.send, None)

    @types.coroutine
    def step(self) -> Generator[Any, Any, bool]:
        """Lets the current task wait for what it waits for, then runs it to its next wait.

        Whether it waits: else it has ended.
        """
        try:
            value = yield self._awaited
        except BaseException as error:  # the task is cancelled, or closed
            return self._run(self._coroutine.throw, error)
        return self._run(self._coroutine.send, value)

    def cancel(self) -> None:
        """Cancels it where it waits, which no task does for it now."""
        try:
            self._run(self._coroutine.throw, asyncio.CancelledError())
        except asyncio.CancelledError:
            pass

    def _run(self, resume: Callable[[Any], Any], value: Any) -> bool:
        self.is_waiting = False
        try:
            self._awaited = resume(value)
        except StopIteration:
            return False
        self.is_waiting = True
        return True
