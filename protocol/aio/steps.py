"""A coroutine run by hand up to where it waits, so that something else can be done first.

Decides nothing; who goes on with it, and when, is left to whoever runs it.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any


def begin(coroutine: Coroutine[Any, Any, None]) -> "Steps | None":
    """Runs ``coroutine`` to its first wait; None when it ends before it waits for anything."""
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    return Steps(coroutine, awaited)


class Steps:
    """The rest of a coroutine, from wait to wait; each step may be made by another task."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._coroutine = coroutine
        self._awaited = awaited
        self.has_ended = False

    @types.coroutine
    def step(self) -> Generator[Any, Any, bool]:
        """Lets the current task wait for what it waits for, then runs it to its next wait.

        Whether there is one: else it has ended. Raises what it raises.
        """
        try:
            try:
                value = yield self._awaited
            except BaseException as error:  # the task is cancelled, or closed
                self._awaited = self._coroutine.throw(error)
            else:
                self._awaited = self._coroutine.send(value)
        except StopIteration:
            self.has_ended = True
            return False
        except BaseException:
            self.has_ended = True
            raise
        return True

    def cancel(self) -> None:
        """Cancels it where it waits, if it does and no task is there that waits for it."""
        if not self.has_ended:
            self.has_ended = True
            try:
                self._coroutine.throw(asyncio.CancelledError())
            except (asyncio.CancelledError, StopIteration):
                pass
