"""Runs a connection's calls in tasks: at most as many at once as there are slots (P-2).

A worker is a task that runs one call after another. Workers are started when they are needed, and
kept. A worker is replaced when a method has changed the context variables of its task, has ignored
the cancellation of the task, or has given up its slot (P-4). A call that streams takes no slot: it
has a task of its own (P-3). ``aio.pump`` decides the order of messages, ``invoker`` the answer to a
call.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from ..aio.pump import MessagePump
from ..errors import HubException
from ..hub_protocol import HubProtocol
from .call_slot import CallSlot
from .clients import CallScope
from .connection_context import HubConnectionContext
from .hub import BoundHubMethod, Hub, HubMethod
from .invoker import Call, EventCall, HubInvoker
from .lifetime import HubLifetimeManager
from .receive_limits import ReceiveLimits


class HubDispatcher:
    """Runs the calls that ``pump`` returns, as many at a time as the connection has slots.

    Calls that have given up their slots run in addition to these, up to another limit.
    ``lifetime`` manages the clients that hub methods use. ``context`` is copied for each task, so
    that no call sees the context variables of another. ``fail`` is called with an unexpected error
    of a task, and ends the connection.
    """

    __slots__ = (
        "_connection",
        "_context",
        "_event",
        "_fail",
        "_idle",
        "_invoker",
        "_is_scheduled",
        "_is_stalled",
        "_lifetime",
        "_limits",
        "_loop",
        "_maximum_without_slot",
        "_next",
        "_pump",
        "_slots",
        "_streams",
        "_without_slot",
        "_workers",
    )

    def __init__(
        self,
        connection: HubConnectionContext,
        pump: MessagePump[Call],
        limits: ReceiveLimits,
        lifetime: HubLifetimeManager,
        *,
        context: contextvars.Context,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()  # kept: get_running_loop costs a system call
        self._context = context
        self._connection = connection
        self._pump = pump
        self._limits = limits
        self._lifetime = lifetime
        self._slots = connection.options.maximum_parallel_invocations_per_client
        self._maximum_without_slot = connection.options.maximum_client_results_per_connection
        self._without_slot = 0  # workers whose call has given up its slot
        self._fail = fail
        self._invoker: HubInvoker | None = None
        self._next: Call | None = None  # waits for a worker; later messages wait behind it
        self._event: EventCall | None = None  # the last one
        self._is_stalled = False  # whether ``_next`` waits because no slot is free
        self._is_scheduled = False
        self._idle: list[asyncio.Future[None]] = []
        self._workers: list[asyncio.Task[None]] = []  # the workers that have not ended
        self._streams: set[asyncio.Task[None]] = set()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks that have not ended."""
        return [*self._workers, *self._streams]

    def start(
        self,
        hub_protocol: HubProtocol,
        methods: Mapping[str, BoundHubMethod],
        activate: Callable[[CallScope], Hub],
    ) -> None:
        """Starts to run calls, also those that were received before (L-2)."""
        self._invoker = HubInvoker(
            self._connection,
            hub_protocol,
            methods,
            self._lifetime,
            activate,
            start_task=self._start_task,
            hold=self._hold,
        )
        self._pump.start(self._invoker.receive)
        self.advance()

    def stop(self) -> None:
        """Runs no more calls. Streams end. Other running methods are not cancelled.

        Idle workers end at once, busy workers when their method has ended.
        """
        self._pump.stop()
        if self._invoker is not None:
            self._invoker.stop()
        self._next = None
        for idle in self._idle:
            _wake(idle)
        self._idle.clear()

    def client_has_left(self) -> None:
        """Cancels streams and cancellable calls. Messages of the client are still handled."""
        if self._invoker is not None:
            self._invoker.client_has_left()

    def advance(self) -> None:
        """Handles messages up to the next call, and wakes a worker for this call."""
        if self._next is None:
            self._next = self._pump.pull()
            if self._next is not None:
                self._wake_worker()
            elif self._pump.is_ready:  # the budget of this turn is spent
                self._schedule()

    def call_event(self, event: HubMethod) -> None:
        """Calls an event of the hub, which takes a slot like a call of the client (AR-6).

        The event comes before the messages that no worker has taken. Does nothing if the same event
        already waits for a slot.
        """
        if self._event is None or self._event.is_taken:
            self._event = EventCall(event)
            self._pump.insert(self._event)
            self.advance()

    def restart(self) -> None:
        """Drops the messages that are not handled, because the client sends them again (SR-13)."""
        self._pump.restart()
        if self._event is not None and not self._event.is_taken:
            self._pump.insert(self._event)
            self.advance()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._advance_scheduled)

    def _advance_scheduled(self) -> None:
        self._is_scheduled = False
        self.advance()

    def _hold(self, room: asyncio.Future[None]) -> None:
        """Handles no message until ``room`` is done, because an upload is full (U-5)."""
        self._pump.hold()
        self._limits.suspend()
        room.add_done_callback(self._release)

    def _release(self, _room: asyncio.Future[None]) -> None:
        self._limits.resume()
        self._pump.release()
        self.advance()

    # ---- tasks

    def _start_task(self, run: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Starts a task that takes no slot."""
        task = self._loop.create_task(run, context=self._context.copy())
        self._streams.add(task)
        task.add_done_callback(self._on_stream_end)
        return task

    def _on_stream_end(self, task: asyncio.Task[None]) -> None:
        self._streams.discard(task)
        self._report_failure(task)

    def _report_failure(self, task: asyncio.Task[None]) -> bool:
        """Ends the connection if ``task`` has failed. Returns whether it has failed."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)
        return error is not None

    def _wake_worker(self) -> None:
        """Wakes an idle worker for the waiting call, or starts a worker if a slot is free."""
        while self._idle:
            if _wake(self._idle.pop()):
                return
        if len(self._workers) - self._without_slot < self._slots:
            slot = CallSlot(self._lifetime, self._connection.connection_id, self._give_up_slot)
            worker = self._loop.create_task(self._work(slot), context=self._context.copy())
            self._workers.append(worker)
            worker.add_done_callback(partial(self._on_worker_end, slot))
        else:
            self._is_stalled = True
            self._limits.suspend()

    def _give_up_slot(self) -> None:
        """Lets another worker run calls, because a call waits for a client result (P-4)."""
        if self._without_slot >= self._maximum_without_slot:
            raise HubException(
                f"{self._without_slot} calls of the connection have asked a client for a result "
                "and still run, and no more are allowed."
            )
        self._without_slot += 1
        if self._next is not None:
            self._wake_worker()

    def _on_worker_end(self, slot: CallSlot, worker: asyncio.Task[None]) -> None:
        """Starts another worker if a call waits. If the worker has failed, ends the connection."""
        self._workers.remove(worker)
        if slot.is_given_up:
            self._without_slot -= 1
        if self._report_failure(worker):
            return
        if self._next is not None:
            self._wake_worker()
        else:
            self.advance()

    async def _work(self, slot: CallSlot) -> None:
        invoker, pump, connection = self._invoker, self._pump, self._connection
        assert invoker is not None
        task = asyncio.current_task()
        assert task is not None
        copy_context, context = contextvars.copy_context, contextvars.copy_context()
        while not pump.has_stopped:
            call = self._next
            if call is None:
                call = pump.pull()
                if call is None:
                    if pump.is_ready:
                        await asyncio.sleep(0)  # the budget of this turn is spent
                    elif not pump.has_stopped:  # a Close that this worker handled stops the pump
                        await self._become_idle()
                    continue
            else:
                self._next = None
                if self._is_stalled:
                    self._is_stalled = False
                    self._limits.resume()
            if not self._is_scheduled and pump.is_ready:
                # The messages behind the call are handled when its method first suspends.
                self._schedule()
            await invoker.run(call, slot)
            slot.leave()
            if slot.is_given_up:
                return
            # A task runs no further calls if a method has changed its context variables, or has
            # ignored its cancellation. Another worker runs them.
            try:
                if task.cancelling() or copy_context() != context:
                    return
            except Exception:  # a value cannot be compared
                return
            if connection.is_congested:  # run no more calls for a client that reads no answers
                await connection.drain_answers()

    async def _become_idle(self) -> None:
        idle = self._loop.create_future()
        self._idle.append(idle)
        await idle


def _wake(idle: asyncio.Future[None]) -> bool:
    """Wakes an idle worker. Returns False if the worker no longer waits."""
    if idle.done():
        return False
    idle.set_result(None)
    return True
