"""From received bytes to handled messages: one synchronous pump per connection.

Decides how many bytes may wait, when reading pauses, and how many messages are handled in one turn
of the event loop. The connection that owns the pump passes the function that handles a message.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final, Generic, TypeVar

from ..messages import Invocation, ReceivedMessage, StreamInvocation
from .transport import Transport

Work = TypeVar("Work")

_SLICE: Final = 16 * 1024
"""Bytes that are split into messages at a time. The bytes after them stay in one buffer."""

# The limit of work in one turn of the event loop, in units. A message costs 1 unit, unless a
# constant below sets the cost of its kind. In addition, every _BYTES_PER_UNIT bytes cost 1. The
# slowest input is JSON that only the full reader accepts: a turn with such JSON takes about ten
# milliseconds. A turn with pings takes half a millisecond.
_TURN_BUDGET: Final = 512
_BYTES_PER_UNIT: Final = _SLICE // _TURN_BUDGET
_INVOCATION_COST: Final = 4
_IGNORED_COST: Final = 16


class MessagePump(Generic[Work]):
    """The received bytes of one connection, handled in order whenever the owner calls ``pull``.

    ``decode`` splits bytes into messages, with None for a message that is ignored. For invalid
    data, it first yields the messages before that data and then raises. The pump calls ``on_end``
    when the stream has ended and all received messages have been handled or returned by ``pull``.
    It calls ``fail`` with any exception that ``decode``, ``handle`` or ``on_end`` raises.
    """

    __slots__ = (
        "_budget",
        "_decode",
        "_fail",
        "_handle",
        "_is_interrupted",
        "_is_paused",
        "_limit",
        "_messages",
        "_on_end",
        "_stream_has_ended",
        "_transport",
        "_unread",
        "_waiting_size",
        "has_stopped",
    )

    def __init__(
        self,
        transport: Transport,
        decode: Callable[[bytes], Iterator[ReceivedMessage | None]],
        *,
        limit: int,
        on_end: Callable[[], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._transport = transport
        self._decode = decode
        self._limit = limit
        self._on_end = on_end
        self._fail = fail
        self._handle: Callable[[Any], Work | None] | None = None
        self._unread = bytearray()
        self._messages: Iterator[Any] = iter(())  # messages, and inserted notices
        self._waiting_size = 0  # bytes received since the pump was last empty
        self._is_paused = False
        self._budget = _TURN_BUDGET
        self._stream_has_ended = False
        self._is_interrupted = False  # whether the pump is held or has stopped
        self.has_stopped = False

    def start(self, handle: Callable[[Any], Work | None]) -> None:
        """Lets ``pull`` handle messages, also those received before this call (L-2).

        ``handle`` handles a message at once and returns None, or returns work for the owner to do.
        It also gets the notices that were inserted.
        """
        self._handle = handle

    def stop(self) -> None:
        """Drops the bytes that wait, and all bytes that are fed afterwards."""
        self.has_stopped = self._is_interrupted = True
        self._unread.clear()
        self._messages = iter(())
        self._waiting_size = 0

    def restart(self) -> None:
        """Drops the bytes that wait. The peer sends them again, on another transport."""
        self._unread.clear()
        self._messages = iter(())
        self._waiting_size = 0
        self._budget = _TURN_BUDGET
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def hold(self) -> None:
        """Lets ``pull`` handle no more messages until ``release`` is called."""
        self._is_interrupted = True

    def release(self) -> None:
        """Ends a ``hold``. The owner then has to call ``pull``."""
        self._is_interrupted = self.has_stopped

    def feed(self, data: bytes) -> None:
        """Adds received bytes, and pauses reading above the limit (TG-8).

        The limit applies to the bytes fed since the pump was last empty. Reading resumes when the
        pump is empty.
        """
        if not self.has_stopped:
            self._unread += data
            self._waiting_size += len(data)
            if self._waiting_size > self._limit and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()

    def insert(self, notice: object) -> None:
        """Puts ``notice`` before all messages that wait. The owner then has to call ``pull``."""
        if not self.has_stopped:
            self._messages = chain((notice,), self._messages)
            self._waiting_size += 1  # so that ``is_ready`` is true

    def feed_end(self) -> None:
        """Marks the end of the stream, which is reported when all bytes before it are handled."""
        self._stream_has_ended = True

    @property
    def is_empty(self) -> bool:
        """Whether no bytes wait."""
        return self._waiting_size == 0

    @property
    def is_ready(self) -> bool:
        """Whether ``pull`` may find a message."""
        return self._waiting_size > 0 and self._handle is not None and not self._is_interrupted

    def pull(self) -> Work | None:
        """Handles messages up to the first one that gives work, and returns that work.

        Returns None when all messages are handled, when the pump is held, or when the budget of
        this turn is spent. In the last case ``is_ready`` is still true, and the owner has to call
        ``pull`` again in a later turn of the event loop.
        """
        handle = self._handle
        try:
            if handle is None:
                if not self._waiting_size:
                    self._on_empty()
                return None
            while self._may_continue():
                for message in self._messages:
                    if message is None:
                        self._budget -= _IGNORED_COST
                    else:
                        kind = type(message)  # isinstance would cost as much as decoding
                        is_call = kind is Invocation or kind is StreamInvocation
                        self._budget -= _INVOCATION_COST if is_call else 1
                        work = handle(message)
                        if work is not None:
                            return work
                    if self._budget <= 0 or self._is_interrupted:
                        break
                else:
                    if not self._unread:
                        self._on_empty()
                        break
                    self._open_slice()
        except Exception as error:
            self._fail(error)
        return None

    def _may_continue(self) -> bool:
        """Whether more messages may be handled in this turn.

        If the budget is spent, the next turn gets a new budget.
        """
        if self._budget <= 0:
            self._budget = _TURN_BUDGET
            return False
        return not self._is_interrupted

    def _open_slice(self) -> None:
        data = bytes(self._unread[:_SLICE])
        del self._unread[:_SLICE]
        self._budget -= len(data) // _BYTES_PER_UNIT
        self._messages = self._decode(data)

    def _on_empty(self) -> None:
        """Resumes reading, and reports the end of the stream if it was reached."""
        self._waiting_size = 0
        self._budget = _TURN_BUDGET
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        if self._stream_has_ended:
            self._stream_has_ended = False
            self._on_end()
