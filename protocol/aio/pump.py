"""From received bytes to handled messages: one synchronous pump per connection.

Decides how much may wait, when reading pauses, and how much is handled in one turn of the event
loop. What happens with a message is decided by ``handle`` of the pump's owner.
"""

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from ..messages import Invocation, ReceivedMessage
from .transport import Transport

Work = TypeVar("Work")

_SLICE: Final = 16 * 1024
"""Bytes that are split into messages at a time; the rest stays one compact buffer."""

# What one turn of the event loop may spend. With the slowest input, odd spellings that only the
# full reader accepts, a turn takes about ten milliseconds; with pings half a millisecond. A message
# costs 1, unless it is listed here, and its bytes.
_TURN_BUDGET: Final = 512
_BYTES_FOR_ONE: Final = _SLICE // _TURN_BUDGET
_INVOCATION_COST: Final = 4
_ODD_COST: Final = 16


class MessagePump(Generic[Work]):
    """One connection's received bytes, handled in order as their owner asks for the next work.

    ``decode`` splits bytes into messages, None for one of an unknown type; it raises an error after
    the messages before the fault. ``on_end`` is called when the stream has ended and everything
    received before its end is handled or handed out. ``fail`` gets what ``decode``, ``handle`` or
    ``on_end`` raises.
    """

    __slots__ = (
        "_budget",
        "_decode",
        "_fail",
        "_handle",
        "_held",
        "_is_paused",
        "_limit",
        "_messages",
        "_on_end",
        "_stream_has_ended",
        "_transport",
        "_unread",
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
        self._handle: Callable[[ReceivedMessage], Work | None] | None = None
        self._unread = bytearray()
        self._messages: Iterator[ReceivedMessage | None] = iter(())
        self._held = 0  # bytes received since nothing was held
        self._is_paused = False
        self._budget = _TURN_BUDGET
        self._stream_has_ended = False
        self.has_stopped = False

    def start(self, handle: Callable[[ReceivedMessage], Work | None]) -> None:
        """Handles messages from now on; what was received before comes first (L-2).

        ``handle`` handles a message at once, or returns the work that it asks for.
        """
        self._handle = handle

    def stop(self) -> None:
        """Drops what is held, and all that is fed afterwards."""
        self.has_stopped = True
        self._unread.clear()
        self._messages = iter(())
        self._held = 0

    def feed(self, data: bytes) -> None:
        """Adds received bytes. Reading pauses while more than the limit is held (TG-8)."""
        if not self.has_stopped:
            self._unread += data
            self._held += len(data)
            if self._held > self._limit and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()

    def feed_end(self) -> None:
        """Adds the end of the stream, which comes behind everything that was received."""
        self._stream_has_ended = True

    @property
    def is_ready(self) -> bool:
        """Whether ``pull`` may find more."""
        return self._held > 0 and self._handle is not None

    def pull(self) -> Work | None:
        """Handles messages up to the next one that asks for work, and returns that.

        Returns None when there is no work, or when the budget of this turn is spent. The pump still
        ``is_ready`` then, and has to be pulled again in a later turn of the loop.
        """
        handle = self._handle
        try:
            if handle is None:
                if not self._held:
                    self._on_empty()
                return None
            while self._may_continue():
                for message in self._messages:
                    if message is None:
                        self._budget -= _ODD_COST
                    elif type(message) is Invocation:  # isinstance would cost as much as decoding
                        self._budget -= _INVOCATION_COST
                        work = handle(message)
                        if work is not None:
                            return work
                    else:
                        self._budget -= 1
                        handle(message)
                    if self._budget <= 0 or self.has_stopped:
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
        """Whether this turn has budget left. If not, the next turn gets a new budget."""
        if self._budget <= 0:
            self._budget = _TURN_BUDGET
            return False
        return not self.has_stopped

    def _open_slice(self) -> None:
        data = bytes(self._unread[:_SLICE])
        del self._unread[:_SLICE]
        self._budget -= len(data) // _BYTES_FOR_ONE
        self._messages = self._decode(data)

    def _on_empty(self) -> None:
        """Everything has been handled or handed out."""
        self._held = 0
        self._budget = _TURN_BUDGET
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        if self._stream_has_ended:
            self._stream_has_ended = False
            self._on_end()
