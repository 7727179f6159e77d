"""Events of one physical connection on their way to their handlers (C-21, CR-8).

The handlers run one after another, in order of arrival, in a task of the queue. A handler that
cancels its task ends only itself. The queue counts the bytes of the events that wait, and
``client_connection`` applies the limit. ``handlers`` chooses the handlers of an event.
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

_EVENT_OVERHEAD: Final = 256  # bytes of memory for an event, beside its arguments and its name
_STOP_TIMEOUT: Final = 5.0  # seconds that ``stop`` waits for a cancelled handler


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
        """The memory that the waiting events take, in bytes, approximately."""

    def put(self, invocation: Invocation) -> None:
        """Appends an event. After ``stop`` it is dropped."""
        if self._is_stopped:
            return
        # A copy: the arguments are a view that keeps the whole received chunk in memory.
        arguments = invocation.arguments.copy()
        weight = _EVENT_OVERHEAD + memoryview(arguments).nbytes + len(invocation.target)
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
        error = None if worker.cancelled() else worker.exception()
        # KeyboardInterrupt and SystemExit leave the event loop, which reports them.
        if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
            logger.error("An event '%s' was not handled.", shown(self._target), exc_info=error)
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
            if task.cancelling():  # by the handler; another worker calls the next one
                return

    def _take_event(self) -> bool:
        """Takes events until one has a handler that was not called; whether there is one."""
        while not self._calls and self._waiting:
            self._target, arguments, weight = self._waiting.popleft()
            self.size -= weight
            self._on_progress()
            self._calls.extend(self._handlers.calls(self._target, arguments))
        return bool(self._calls)
