"""Who receives from a connection and who runs its calls, at most as many as there are slots (P-1).

A connection's tasks are leader and followers: the leader receives all that has arrived, serves it
itself, and receives again. When a method waits, its task has another one lead, so that no method
keeps anybody from reading, and looks for more to do when the method has ended. As long as no
method waits one task does everything, and a burst of calls wakes nobody else.

The order of messages is that of ``call_queue``, what becomes of a call is ``invoker``'s.
"""

import asyncio
import contextvars
import logging
from collections import deque

from ..errors import SignalRError
from .call_queue import CallQueue
from .connection import HubConnectionContext
from .invoker import HubInvoker
from .steps import Steps, begin
from .transport import ServerTransport

logger = logging.getLogger(__name__)


class HubDispatcher:
    """Keeps one connection's tasks busy with what ``queue`` holds; ``slots`` may be in a call.

    Whoever gets hold of a method's task may cancel it, during the call or later: others go on.
    """

    def __init__(self, connection: HubConnectionContext, queue: CallQueue, slots: int) -> None:
        self._loop = asyncio.get_running_loop()  # to ask for it costs a system call
        self._context = contextvars.copy_context()
        self._connection = connection
        self._queue = queue
        self._slots = slots
        self._invoker: HubInvoker | None = None  # until the queue is started
        self._running = 0  # tasks that run calls
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._leader: asyncio.Task[None] | None = None
        self._receiving: Steps | None = None  # while there is something to lead
        self._received: asyncio.Future[Exception | None] = self._loop.create_future()

    # ---- the connection's side

    async def receive(self, transport: ServerTransport) -> None:
        """Returns when the peer has ended the stream; what it has sent may still be served.

        Raises what the transport raises. When it is cancelled nothing more is received, or served.
        """
        receiving = self._receiving = begin(self._receive(transport))
        if receiving is None:
            self._report(None)
        self._call_somebody()
        try:
            error = await self._received
        except asyncio.CancelledError:
            self.stop()  # before a task that was cancelled with this one calls another
            raise
        finally:
            self._receiving = None
            if self._leader is not None:  # it waits for the transport: else it would not lead
                self._leader.cancel()
                await asyncio.wait({self._leader})
            elif receiving is not None:
                receiving.cancel()
        if error is not None:
            raise error

    async def _receive(self, transport: ServerTransport) -> None:
        queue, goes_on = self._queue, True
        while goes_on:
            try:
                await queue.wait_for_room()
                goes_on = await transport.receive_into(queue.inbox, queue.maximum_size)
            except asyncio.CancelledError:
                if self._receiving is None:
                    raise
                # Only the task that waited ends, on account of a method that has run in it.

    def start(self, invoker: HubInvoker) -> None:
        """From now on messages are served; what was received before comes first (L-2)."""
        self._invoker = invoker
        self._queue.start(invoker)
        if self._has_work:
            self._call_somebody()

    def stop(self) -> None:
        """Serves no more messages; the tasks end, each after the call it has.

        A method is not interrupted by its caller's departure; it may watch
        ``context.connection_aborted``.
        """
        self._queue.end()
        for idle in self._idle:
            if not idle.done():
                idle.set_result(None)

    # ---- the tasks

    def _call_somebody(self) -> None:
        """Has one more task look around, an idle one or a new one, unless all are busy."""
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return
        if len(self._tasks) <= self._slots:  # one for each, and one to lead
            # In the connection's context: a method's variables are not for those that come after.
            task = self._loop.create_task(self._look_around(), context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """A task has ended: at the end, or because a method had its own task cancelled."""
        self._tasks.discard(task)
        if not self._queue.has_ended and (self._needs_leader or self._has_work):
            self._call_somebody()

    async def _look_around(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            # A cancellation that a method has outlived would confuse those after it.
            while not (self._queue.has_ended or task.cancelling()):
                if self._needs_leader:
                    await self._lead(task)
                elif self._has_work:
                    working = begin(self._work())
                    if working is not None:
                        await self._go_on(working)
                else:
                    idle = self._loop.create_future()
                    self._idle.append(idle)
                    await idle
        except Exception as error:  # the transport's, or ours: a method's own is its answer
            self._report(error)

    async def _lead(self, task: asyncio.Task[None]) -> None:
        """Receives and serves, until a method waits or the stream has ended."""
        receiving = self._receiving
        assert receiving is not None
        self._leader = task
        working: Steps | None = None
        try:
            while working is None and not (receiving.has_ended or task.cancelling()):
                if self._has_work:
                    working = begin(self._work())
                else:
                    self._queue.read_ahead()
                if working is None:
                    await receiving.step()
        finally:
            self._leader = None
            if receiving.has_ended:
                self._receiving = None
        if working is not None:
            await self._go_on(working)
        elif receiving.has_ended:
            self._report(None)

    def _report(self, error: Exception | None) -> None:
        """Tells ``receive`` that this is the end, unless it knows or does not listen any more."""
        if not self._received.done():
            self._received.set_result(error)
        elif error is not None and not isinstance(error, SignalRError):
            logger.error("A connection failed after its end.", exc_info=error)

    @property
    def _needs_leader(self) -> bool:
        return self._leader is None and self._receiving is not None

    @property
    def _has_work(self) -> bool:
        queue = self._queue
        return self._running < self._slots and queue.is_started and not queue.is_empty

    async def _work(self) -> None:
        """Runs calls as long as there are any."""
        assert self._invoker is not None
        self._running += 1
        try:
            await self._invoker.run(self._queue.calls)
            while not (self._queue.is_empty or self._queue.has_ended):  # they are held back
                await self._connection.drain()
                await self._invoker.run(self._queue.calls)
        finally:
            self._running -= 1

    async def _go_on(self, working: Steps) -> None:
        """Waits for methods; whenever one waits, somebody sees to what is behind it."""
        waits = True
        while waits:
            self._connection.write_pending()
            if self._has_work or self._needs_leader:
                self._call_somebody()
            else:
                self._queue.read_ahead()
            waits = await working.step()
