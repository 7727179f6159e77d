"""The order of a connection's messages: from the bytes received to the next call (section P).

Messages are served one at a time, in order; one that needs no waiting at once, a call as soon as
somebody asks for the next, and what is behind it waits with it (P-2). Who receives, and who runs
the calls, is decided by ``dispatcher``.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable
from typing import TypeAlias

from ..messages import Invocation, ReceivedMessage
from ..peer import HubPeer
from .connection import HubConnectionContext
from .invoker import Call, HubInvoker

Calls: TypeAlias = Generator[Call | None, None, None]


def _nothing() -> Calls:
    yield from ()


class CallQueue:
    """One connection's bytes, messages and calls.

    ``failed`` is told what ends the connection. From ``maximum_size`` bytes on it
    ``is_full``.
    """

    def __init__(
        self,
        connection: HubConnectionContext,
        peer: HubPeer,
        maximum_size: int,
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()  # to ask for it costs a system call
        self._connection = connection
        self._peer = peer
        self.maximum_size = maximum_size
        self._failed = failed
        self.inbox = bytearray()
        """What is received is appended here; as one, for tiny pieces take many times their room.

        It stays here until it is served: whoever appends sees by the length whether there is room.
        """
        self._opened = 0  # bytes at its beginning whose messages are being served
        self.calls = _nothing()
        """The calls, in order, for whoever asks for the next; None when he should look around."""
        self._waiting: Call | None = None  # for a slot; all that follows waits behind it
        self._progressed: asyncio.Future[None] | None = None
        self.is_started = False
        self.has_ended = False
        """Whether nothing counts any more."""

    def start(self, invoker: HubInvoker) -> None:
        """From now on messages are served; what was received before comes first (L-2)."""
        if not self.has_ended:
            self.is_started = True
            self.calls = self._serve(invoker)

    def end(self) -> None:
        """There are no more calls."""
        self.has_ended = True
        self._waiting = None
        self.calls.close()

    @property
    def is_empty(self) -> bool:
        """Whether all that was received is served."""
        return not self.inbox

    @property
    def is_stalled(self) -> bool:
        """Whether messages wait for a slot: the client's clock stands still meanwhile (K-3)."""
        return self._waiting is not None

    @property
    def is_full(self) -> bool:
        """Whether nothing more is received until there is room (TG-8)."""
        return len(self.inbox) > self.maximum_size

    async def wait_for_room(self) -> None:
        """Returns when it is not full."""
        while self.is_full:
            await self._progress()

    async def wait_until_served(self) -> None:
        """Returns once all that was received has been handed to its method."""
        while not self.is_empty:
            await self._progress()

    async def _progress(self) -> None:
        self._progressed = self._loop.create_future()
        try:
            await self._progressed
        finally:
            self._progressed = None

    def read_ahead(self) -> None:
        """Serves what needs no slot, up to the next call, which waits for one."""
        if self.is_started:
            # A None that holds back calls holds back nothing else.
            while self._waiting is None and not (self.is_empty or self.has_ended):
                self._waiting = next(self.calls, None)

    def _serve(self, invoker: HubInvoker) -> Calls:
        connection, bind, accept = self._connection, invoker.bind, invoker.accept
        message: ReceivedMessage | None
        try:
            while True:
                while self.inbox:
                    for message in self._open_inbox():
                        call: Call | None = None
                        # isinstance and match would cost more than anything else about a call.
                        if type(message) is Invocation:
                            call = bind(message)
                        else:
                            accept(message)
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
                    message = None  # it may have been large
                    del self.inbox[: self._opened]
                    if self._progressed is not None and not self._progressed.done():
                        self._progressed.set_result(None)
                yield None
        except Exception as error:  # the client's, or ours
            self._failed(error)
        finally:
            self.has_ended = True

    def _open_inbox(self) -> Iterable[ReceivedMessage]:
        """Begins with what has piled up, all in one go; after the end with nothing (S-26)."""
        data = bytes(self.inbox)
        del self.inbox[self.maximum_size + 1 :]  # to be full it needs no more of a large message
        self._opened = len(self.inbox)
        if self._connection.ending is not None:
            return ()
        return self._peer.receive_data(data, self._loop.time())
