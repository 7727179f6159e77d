"""The task that reads from a transport and pushes bytes to the receiver.

It pauses and resumes reading, and reports the end exactly once, however the task ends. Each
transport supplies the coroutine that reads.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..aio.transport import Receiver


class Reading:
    """Runs ``read`` in a task of its own until it returns, raises or is cancelled.

    ``read`` passes bytes to ``push``. The receiver gets the exception that ``read`` raises.
    """

    __slots__ = ("_error", "_read", "_receiver", "_resumed", "_task", "has_ended")

    def __init__(self, read: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._read = read
        self._receiver: Receiver | None = None
        self._resumed: asyncio.Future[None] | None = None  # set while reading is paused
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = None
        self.has_ended = False
        """Whether the end was reported to the receiver."""

    def start(self, receiver: Receiver) -> None:
        """Begins to read. ``receiver`` is not called before this call returns."""
        self._receiver = receiver
        self._task = asyncio.get_running_loop().create_task(self._read())
        self._task.add_done_callback(self._report_end)

    async def push(self, data: bytes) -> None:
        """Passes ``data`` to the receiver, then waits while reading is paused."""
        assert self._receiver is not None
        if data:
            self._receiver.data_received(data)
        if self._resumed is not None:
            await self._resumed

    def pause(self) -> None:
        """Pauses reading: ``push`` does not return before ``resume`` is called."""
        if self._resumed is None:
            self._resumed = asyncio.get_running_loop().create_future()

    def resume(self) -> None:
        """Resumes reading."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    def cancel(self, error: Exception | None = None) -> None:
        """Ends reading. The receiver gets ``error``. Only the first call counts."""
        if self._task is not None and not self._task.done() and not self._task.cancelling():
            self._error = error
            self._task.cancel()

    async def wait_until_ended(self) -> None:
        """Returns when the task has ended."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def _report_end(self, task: "asyncio.Task[None]") -> None:
        self.has_ended = True
        assert self._receiver is not None
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Exception):
            error = None  # KeyboardInterrupt or SystemExit, which ends the event loop
        self._receiver.connection_lost(self._error or error)
