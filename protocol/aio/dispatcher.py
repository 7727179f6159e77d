"""Order and number of a connection's running calls (section P).

Messages are served one at a time, in order; one that needs no waiting at once, a call as soon as
it gets a slot, and what is behind it waits with it (P-2). Calls run in at most as many tasks as
there are slots, each started when first needed and kept: a call costs no task of its own, and while
it runs the reader goes on serving what needs no slot.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias

from ..errors import RemoteProtocolError
from ..messages import Invocation, ReceivedMessage
from ..peer import HubPeer
from .connection import HubConnectionContext
from .invoker import Call, HubInvoker
from .options import HubOptions

_Calls: TypeAlias = Generator[Call | None, None, None]


def _nothing() -> _Calls:
    yield from ()


class HubDispatcher:
    """Takes one connection's bytes and keeps its workers busy.

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
        self._connection = connection
        self._peer = peer
        self._slots = options.maximum_parallel_invocations_per_client
        self._maximum_inbox_size = connection.limits.application_max_buffer_size
        self._protocol_error = protocol_error
        self._invoker: HubInvoker | None = None
        self._calls = _nothing()  # until it is started, everything waits
        self._has_ended = False  # nothing counts any more
        self._inbox = bytearray()  # as one: tiny pieces would take many times their room
        self._inbox_size = 0  # bytes received whose messages have not all been served
        self._messages_size = 0  # of them those that are being served
        self._waiting: Call | None = None  # for a slot; all that follows waits behind it
        self._reads_ahead = False
        self._running = 0
        self._workers: set[asyncio.Task[None]] = set()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._is_woken = False  # a worker is on its way, and will see to whatever has come by then
        self._progressed: asyncio.Future[None] | None = None

    # ---- the reader's side

    def start(self, invoker: HubInvoker) -> None:
        """From now on messages are served; what was fed before comes first (L-2)."""
        if not self._has_ended:
            self._invoker = invoker
            self._calls = self._serve(invoker)
            self._advance()

    def feed(self, data: bytes) -> bool:
        """Takes received bytes; serves what can be served at once.

        Returns whether the reader may go on: if not, the connection is ending, or it has to
        ``wait_for_room`` (TG-8).
        """
        self._inbox += data
        self._inbox_size += len(data)
        if self._waiting is None and not self._is_woken:
            if self._sleepers:
                self._wake_worker()
            else:
                self._advance()
        return self._inbox_size <= self._maximum_inbox_size and self._connection.ending is None

    @property
    def is_stalled(self) -> bool:
        """Whether messages wait for a slot: the client's clock stands still meanwhile (K-3)."""
        return self._waiting is not None

    @property
    def is_full(self) -> bool:
        """Whether the reader waits for room."""
        return self._inbox_size > self._maximum_inbox_size

    async def wait_for_room(self) -> None:
        """Returns once the reader may go on (TG-8)."""
        while self.is_full:
            await self._progress()

    async def wait_until_served(self) -> None:
        """Returns once all that was fed has been handed to its method."""
        while self._inbox_size or self._waiting is not None:
            await self._progress()

    async def _progress(self) -> None:
        self._progressed = self._loop.create_future()
        try:
            await self._progressed
        finally:
            self._progressed = None

    # ---- order

    def _advance(self) -> None:
        """Serves messages up to the next call, which gets a slot or waits for one."""
        self._waiting = next(self._calls, None)
        if self._waiting is not None and self._running < self._slots:
            self._wake_worker()

    def _read_ahead(self) -> None:
        """What is behind a call is looked at once that call has begun, and waits for something.

        Not before: a fault behind it must not take its answer away (S-20).
        """
        self._reads_ahead = False
        if self._waiting is None:
            self._advance()

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
                            if not self._reads_ahead:  # once for a burst that waits for nothing
                                self._reads_ahead = True
                                self._loop.call_soon(self._read_ahead)
                            yield call
                            if connection.is_congested:
                                yield None  # who reads no answers gets no more calls
                            if connection.ending is not None:
                                return
                            call = self._waiting
                            if call is not None:  # it was read ahead
                                self._waiting = None
                        if connection.ending is not None:
                            return
                    self._close_inbox()
                yield None
        except RemoteProtocolError as error:
            self._protocol_error(error)
        finally:
            self._has_ended = True

    def _open_inbox(self) -> Iterable[ReceivedMessage]:
        """Begins with what has piled up, all in one go."""
        data = bytes(self._inbox)
        self._inbox.clear()
        self._messages_size = len(data)
        return self._peer.receive_data(data, self._loop.time())

    def _close_inbox(self) -> None:
        """What was begun with has been served."""
        self._inbox_size -= self._messages_size
        if self._progressed is not None and not self._progressed.done():
            self._progressed.set_result(None)

    # ---- the workers' side

    def _wake_worker(self) -> None:
        """Sends somebody who will see to all that has come, if anybody is free."""
        while self._sleepers:
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                self._is_woken = True
                return
        if len(self._workers) < self._slots:
            worker = self._loop.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
            self._is_woken = True

    async def _work(self) -> None:
        assert self._invoker is not None
        connection = self._connection
        while True:
            self._is_woken = False
            self._running += 1
            await self._invoker.run(self._calls)
            self._running -= 1
            if self._has_ended:
                break
            await connection.drain()
            if not self._inbox_size:
                sleeper = self._loop.create_future()
                self._sleepers.append(sleeper)
                await sleeper

    def stop(self) -> None:
        """Serves no more messages; the workers end, each after the call it has.

        A method is not interrupted by its caller's departure; it may watch
        ``context.connection_aborted``.
        """
        self._has_ended = True
        self._calls.close()
        self._waiting = None
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)
