"""Who receives, who runs calls, in which order and how many at a time (section P).

Messages are served one at a time, in order; one that needs no waiting at once, a call as soon as
it gets a slot, and what is behind it waits with it (P-2).

A connection's tasks are leader and followers: the leader receives all that has arrived, serves it
itself, and receives again. When a method waits, it has another task lead, so that a method never
keeps anybody from reading, and looks for more to do when the method has ended. As long as no
method waits, one task does everything, and a burst wakes nobody else.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias

from ..errors import RemoteProtocolError
from ..messages import Invocation, ReceivedMessage
from ..peer import HubPeer
from .connection import HubConnectionContext
from .invoker import Call, HubInvoker
from .options import HubOptions
from .steps import Steps, begin
from .transport import ServerTransport

_Calls: TypeAlias = Generator[Call | None, None, None]


def _nothing() -> _Calls:
    yield from ()


class HubDispatcher:
    """Takes one connection's bytes off its transport and keeps its tasks busy.

    ``protocol_error`` is told what ends the connection.
    """

    def __init__(
        self,
        connection: HubConnectionContext,
        peer: HubPeer,
        options: HubOptions,
        protocol_error: Callable[[RemoteProtocolError], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()  # to ask for it costs a system call
        self._context = contextvars.copy_context()
        self._connection = connection
        self._peer = peer
        self._slots = options.maximum_parallel_invocations_per_client
        self._maximum_inbox_size = connection.limits.application_max_buffer_size
        self._protocol_error = protocol_error
        self._invoker: HubInvoker | None = None
        self._calls = _nothing()  # until it is started, everything waits
        self._has_ended = False  # nothing counts any more
        self._inbox = bytearray()  # as one: tiny pieces would take many times their room
        self._opened = 0  # bytes taken from it whose messages have not all been served
        self._waiting: Call | None = None  # for a slot; all that follows waits behind it
        self._progressed: asyncio.Future[None] | None = None
        self._running = 0  # tasks that run calls
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._leader: asyncio.Task[None] | None = None
        self._receiving: Steps | None = None  # until the stream has ended
        self._received: asyncio.Future[Exception | None] = self._loop.create_future()

    # ---- the connection's side

    async def receive(self, transport: ServerTransport, first: bytes) -> None:
        """Returns when the peer has ended the stream, of which ``first`` is the beginning.

        Raises what the transport raises. When it is cancelled nothing more is received.
        """
        self._inbox += first
        self._receiving = begin(self._receive(transport))
        if self._receiving is None:
            self._received.set_result(None)
        self._call_somebody()
        try:
            error = await self._received
        finally:
            receiving, self._receiving = self._receiving, None
            if self._leader is not None:  # it waits for the transport: else it would not lead
                self._leader.cancel()
                await asyncio.wait({self._leader})
            elif receiving is not None:
                receiving.cancel()
        if error is not None:
            raise error

    async def _receive(self, transport: ServerTransport) -> None:
        while await transport.receive_into(self._inbox, self._maximum_inbox_size):
            while self.is_full:
                await self._progress()

    def start(self, invoker: HubInvoker) -> None:
        """From now on messages are served; what was received before comes first (L-2)."""
        if not self._has_ended:
            self._invoker = invoker
            self._calls = self._serve(invoker)
            if self._has_work:
                self._call_somebody()

    def stop(self) -> None:
        """Serves no more messages; the tasks end, each after the call it has.

        A method is not interrupted by its caller's departure; it may watch
        ``context.connection_aborted``.
        """
        self._has_ended = True
        self._calls.close()
        self._waiting = None
        for idle in self._idle:
            if not idle.done():
                idle.set_result(None)

    @property
    def is_stalled(self) -> bool:
        """Whether messages wait for a slot: the client's clock stands still meanwhile (K-3)."""
        return self._waiting is not None

    @property
    def is_full(self) -> bool:
        """Whether nothing more is received until there is room (TG-8)."""
        return len(self._inbox) + self._opened > self._maximum_inbox_size

    async def wait_until_served(self) -> None:
        """Returns once all that was received has been handed to its method."""
        while self._inbox or self._opened or self._waiting is not None:
            await self._progress()

    async def _progress(self) -> None:
        self._progressed = self._loop.create_future()
        try:
            await self._progressed
        finally:
            self._progressed = None

    # ---- order

    def _serve(self, invoker: HubInvoker) -> _Calls:
        """The calls, in order, for whoever asks for the next; None when he should look around.

        Serves what needs no slot on the way. Ends when nothing counts any more.
        """
        connection, bind, accept = self._connection, invoker.bind, invoker.accept
        try:
            while True:
                while self._inbox:
                    for message in self._open_inbox():
                        # isinstance and match would cost more than anything else about a call.
                        call = bind(message) if type(message) is Invocation else accept(message)
                        while call is not None:
                            yield call
                            if connection.is_congested:
                                yield None  # who reads no answers gets no more calls
                            call = self._waiting
                            if call is not None:  # it was read ahead
                                self._waiting = None
                                if connection.ending is not None:
                                    return
                        if connection.ending is not None:
                            return
                    self._opened = 0
                    if self._progressed is not None and not self._progressed.done():
                        self._progressed.set_result(None)
                yield None
        except RemoteProtocolError as error:
            self._protocol_error(error)
        finally:
            self._has_ended = True

    def _open_inbox(self) -> Iterable[ReceivedMessage]:
        """Begins with what has piled up, all in one go."""
        data = bytes(self._inbox)
        self._inbox.clear()
        self._opened = len(data)
        return self._peer.receive_data(data, self._loop.time())

    # ---- the tasks

    def _call_somebody(self) -> None:
        """Has one more task look around, an idle one or a new one, if all are not busy."""
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return
        if len(self._tasks) <= self._slots:  # one for each, and one to lead
            # In the connection's context: a method's variables are not for those that come after.
            task = self._loop.create_task(self._look_around(), context=self._context.copy())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look_around(self) -> None:
        while not self._has_ended:
            if self._leader is None and self._receiving is not None:
                await self._lead(self._receiving)
            elif self._has_work:
                working = begin(self._work())
                if working is not None:
                    await self._go_on(working)
            else:
                idle = self._loop.create_future()
                self._idle.append(idle)
                await idle

    async def _lead(self, receiving: Steps) -> None:
        """Receives and serves, until a method waits or the stream has ended."""
        self._leader = asyncio.current_task()
        working: Steps | None = None
        try:
            waits = True
            while waits:
                if self._has_work:
                    working = begin(self._work())
                    if working is not None:
                        break
                else:
                    self._read_ahead()
                waits = await receiving.step()
            else:
                self._end_receiving()
        except Exception as error:
            self._end_receiving(error)
        finally:
            self._leader = None
        if working is not None:
            await self._go_on(working)

    def _end_receiving(self, error: Exception | None = None) -> None:
        self._receiving = None
        if not self._received.done():  # it is cancelled when nobody wants to know any more
            self._received.set_result(error)

    @property
    def _has_work(self) -> bool:
        return (
            self._running < self._slots
            and (bool(self._inbox) or self._opened > 0)
            and self._invoker is not None
        )

    async def _work(self) -> None:
        """Runs calls as long as there are any."""
        assert self._invoker is not None
        self._running += 1
        try:
            await self._invoker.run(self._calls)
            while self._connection.is_congested and not self._has_ended:
                await self._connection.drain()
                await self._invoker.run(self._calls)
        finally:
            self._running -= 1

    async def _go_on(self, working: Steps) -> None:
        """Waits for methods; whenever one waits, somebody sees to what is behind it."""
        waits = True
        while waits:
            self._connection.write_pending()
            if self._has_work or (self._leader is None and self._receiving is not None):
                self._call_somebody()
            else:
                self._read_ahead()
            waits = await working.step()

    def _read_ahead(self) -> None:
        """Serves what needs no slot, up to the next call, which waits for one."""
        if self._waiting is None and (self._inbox or self._opened):
            self._waiting = next(self._calls, None)
