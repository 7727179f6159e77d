"""Events of one physical connection on their way to their handlers (C-21, CR-8).

Handlers run one after another, in order of arrival, in a task of the queue's own, so that a handler
that cancels its task ends only itself. The queue counts the bytes that wait. How many may wait is
decided by ``client_connection``, which handlers there are by ``handlers``.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Raw

from ..messages import Invocation
from .handlers import HandlerCall, HandlerRegistry, call_handler, shown

logger = logging.getLogger(__name__)

_EVENT: Final = 256  # bytes that one takes beside its payload and its name
_STOP_TIMEOUT: Final = 5.0  # seconds that a cancelled handler gets to end


class EventQueue:
    """Calls handlers for events, once the events of the queue ``before`` have been handled.

    ``on_progress`` is called each time an event leaves the queue.
    """

    def __init__(
        self,
        handlers: HandlerRegistry,
        before: "EventQueue | None",
        on_progress: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._handlers = handlers
        self._on_progress = on_progress
        self._waiting: deque[tuple[str, Raw, int]] = deque()
        self._target = ""  # of the event that was taken
        self._calls: deque[HandlerCall] = deque()  # its handlers that have not been called
        self._worker: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._before: EventQueue | None = None
        while before is not None and before._worker is None:  # nothing to wait for there
            before = before._before
        if before is not None and before._loop is self._loop:
            self._before = before
        self.size = 0
        """About the bytes of memory that waiting events take."""

    def put(self, invocation: Invocation) -> None:
        """Adds an event; its handlers are called in its turn."""
        if self._is_stopped:
            return
        # A copy, for the payload is a view of all the bytes that came with it.
        arguments = invocation.arguments.copy()
        weight = _EVENT + memoryview(arguments).nbytes + len(invocation.target)
        self._waiting.append((invocation.target, arguments, weight))
        self.size += weight
        self._start_worker()

    async def stop(self) -> None:
        """Drops the waiting events, cancels the running handler and waits for its end.

        A handler that calls this itself is not cancelled.
        """
        self._is_stopped = True
        self._waiting.clear()
        self._calls.clear()
        self.size = 0
        if self._before is not None:
            await self._before.stop()
        worker = self._worker
        if worker is None or worker is asyncio.current_task() or self._loop.is_closed():
            return
        worker.cancel()
        await asyncio.wait({worker}, timeout=_STOP_TIMEOUT)

    async def _wait_for_those_before(self) -> None:
        while self._before is not None and self._before._worker is not None:
            await asyncio.wait({self._before._worker})
        self._before = None

    def _start_worker(self) -> None:
        if self._worker is None:
            self._worker = self._loop.create_task(self._work())
            self._worker.add_done_callback(self._worker_ended)

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        """Starts another worker if events are left: a handler has cancelled this one."""
        self._worker = None
        if not worker.cancelled():
            worker.exception()  # has been logged, or ends the loop
        if (self._calls or self._waiting) and not self._loop.is_closed():
            self._start_worker()

    async def _work(self) -> None:
        await self._wait_for_those_before()
        task = asyncio.current_task()
        assert task is not None
        while self._take_event():
            handler, values = self._calls.popleft()
            try:
                await call_handler(self._target, handler, values)
            except asyncio.CancelledError:
                if not self._is_stopped:
                    logger.warning("A handler of '%s' was cancelled.", shown(self._target))
                raise
            if task.cancelling():  # a handler's cancellation of its task is not for the others
                return

    def _take_event(self) -> bool:
        """Whether a handler is to be called, of the event that was taken or of the next one."""
        while not self._calls and self._waiting:
            self._target, arguments, weight = self._waiting.popleft()
            self.size -= weight
            self._calls.extend(self._handlers.calls(self._target, arguments))
            self._on_progress()
        return bool(self._calls)
