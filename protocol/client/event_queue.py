"""The queue of a client's events: received invocations that wait for handlers (C-21, CR-8).

The handlers run one after another, in order of arrival, in the queue's worker task. If a handler
cancels this task, a new worker runs the handlers that follow. An invocation that asks for a result
runs in a task of its own, beside the worker. Otherwise a handler in the worker, which waits for a
hub method, would block the answer for which the hub method waits.

The queue counts the bytes of the events that wait and of the results that are not sent, and decides
when reading pauses. ``handlers`` chooses the handlers of an event.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw

from ..aio.log_thinning import shown_name
from ..errors import ConnectionClosed
from ..messages import Invocation
from .callbacks import call_logged
from .handlers import HandlerCall, HandlerRegistry
from .read_pauses import ReadPauses
from .results import outcome_of, result_of

logger = logging.getLogger(__name__)

_EVENT_OVERHEAD: Final = 256  # bytes of memory for an event, in addition to its arguments and name
_HIGH_WATER: Final = 1024 * 1024  # bytes of waiting events; with more, reading pauses (C-21)
_CALLS_PER_TURN: Final = 128  # calls of plain handlers in one turn of the event loop
_STOP_TIMEOUT: Final = 5.0  # seconds to wait for a cancelled handler


class EventQueue:
    """The waiting events of one ``HubConnection``, on all its physical connections.

    It belongs to one event loop. While a caller waits for an answer, reading does not pause, and up
    to ``maximum_size`` bytes of events are queued. The answer arrives behind these events. The
    caller may be the running handler, which takes no event before it has the answer.
    """

    def __init__(self, handlers: HandlerRegistry, maximum_size: int) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self._handlers = handlers
        self._maximum_size = maximum_size
        self._waiting: deque[tuple[str, Raw, int]] = deque()
        self._size = 0  # about how many bytes of memory events and unsent results take
        self._target = ""  # of the event that is being handled
        self._calls: deque[HandlerCall] = deque()  # handlers of that event, not called yet
        self._worker: asyncio.Task[None] | None = None
        self._cancelled: asyncio.Task[None] | None = None  # the worker that ``drop`` has cancelled
        self._results: set[asyncio.Task[Any]] = set()  # the tasks that find results
        self._cancelled_results: set[asyncio.Task[Any]] = set()
        self.pauses: Final = ReadPauses()

    # ---- received events

    def put(self, invocation: Invocation) -> None:
        """Adds an event. The handlers of events are called in order of arrival.

        Raises ConnectionClosed when more than ``maximum_size`` bytes are queued while a caller
        waits for the server.
        """
        # The payload is a view: without a copy it keeps the whole receive buffer in memory.
        arguments = invocation.arguments.copy()
        weight = _weight(invocation)
        self._waiting.append((invocation.target, arguments, weight))
        self._start_worker()
        self._add(weight)

    def ask(self, invocation: Invocation, answer: Callable[[Any, str | None], None]) -> None:
        """Starts the handlers of an invocation for which the server asks for a result.

        ``answer(result, error)`` is called once, unless ``drop`` is called before. ``error`` is the
        error text of the answer, or None if there is a result. Raises ConnectionClosed as ``put``
        does.
        """
        target, weight = invocation.target, _weight(invocation)
        arguments = invocation.arguments.copy()

        async def find_result() -> Any:
            handlers = self._handlers
            return await result_of(handlers.calls(target, arguments), target, handlers.thinning)

        def end(task: "asyncio.Task[Any]") -> None:
            self._cancelled_results.discard(task)
            if task in self._results:  # ``drop`` has not removed the task
                self._results.discard(task)
                self._size -= weight
                self.pauses.note_room()
                answer(*outcome_of(task))

        task = self.loop.create_task(find_result())
        self._results.add(task)
        task.add_done_callback(end)
        self._add(weight)

    def _add(self, weight: int) -> None:
        self._size += weight
        if self._size > self._maximum_size and not self.pauses.are_allowed:
            raise ConnectionClosed(
                f"More than {self._maximum_size} bytes of events wait for their handlers while a "
                "call waits for its answer (with_maximum_waiting_events_size)."
            )

    @property
    def is_full(self) -> bool:
        """Whether reading has to pause."""
        return self._size > _HIGH_WATER and self.pauses.are_allowed

    # ---- the end

    def drop(self) -> None:
        """Drops waiting events and cancels running handlers, except the caller of ``drop``."""
        self._waiting.clear()
        self._calls.clear()
        self._size = 0
        self.pauses.note_room()
        current = asyncio.current_task()
        if self._worker is not None and self._worker is not current:
            self._cancelled = self._worker
            self._worker.cancel()
        self._cancelled_results |= self._results - {current}
        self._results.clear()
        for task in self._cancelled_results:
            task.cancel()

    async def wait_for_cancelled(self) -> None:
        """Waits for the handlers that ``drop`` has cancelled, for a limited time."""
        cancelled: set[asyncio.Task[Any] | None] = {self._cancelled, *self._cancelled_results}
        tasks = {task for task in cancelled - {asyncio.current_task()} if task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_TIMEOUT)

    # ---- handlers

    def _start_worker(self) -> None:
        if self._worker is None:
            self._worker = self.loop.create_task(self._work())
            self._worker.add_done_callback(self._worker_ended)

    def _worker_ended(self, worker: "asyncio.Task[None]") -> None:
        """Starts another worker if events are left, for example when a handler cancelled this one.

        An exception of the worker is logged, unless it ends the event loop.
        """
        self._worker = None
        if worker is self._cancelled:
            self._cancelled = None
        error = None if worker.cancelled() else worker.exception()
        if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
            name = shown_name(self._target)
            self._handlers.thinning.log_failure(
                logger, error, "An event '%s' was not handled.", name
            )
        if (self._calls or self._waiting) and not self.loop.is_closed():
            self._start_worker()

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        count = 0
        while self._take_event():
            count += 1
            if count % _CALLS_PER_TURN == 0:
                await asyncio.sleep(0)
                continue  # the event may have been dropped meanwhile
            handler, values, _ = self._calls.popleft()
            target = shown_name(self._target)
            try:
                await call_logged(
                    self._handlers.thinning, handler, values, "A handler of '%s' failed.", target
                )
            except asyncio.CancelledError:
                if task is not self._cancelled:
                    level = self._handlers.thinning.level(("cancelled", target))
                    logger.log(level, "A handler of '%s' was cancelled.", target)
                raise
            if task.cancelling():  # a handler cancelled this worker; a new one runs the rest
                return

    def _take_event(self) -> bool:
        """Takes events up to one that has a handler to call. Returns False if there is none."""
        while not self._calls and self._waiting:
            self._target, arguments, weight = self._waiting.popleft()
            self._size -= weight
            self.pauses.note_room()
            self._calls.extend(self._handlers.calls(self._target, arguments))
        return bool(self._calls)


def _weight(invocation: Invocation) -> int:
    return _EVENT_OVERHEAD + memoryview(invocation.arguments).nbytes + len(invocation.target)
