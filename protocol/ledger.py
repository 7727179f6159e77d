"""The pending calls of one end of a connection: those that wait for the other end's Completion.

This module assigns ids, matches answers and stream items to calls, and ends each call exactly once.
The owner of a call decides what represents it, for example a future. Calls that the other end makes
have no entries, because the task that runs such a call answers it once.
"""

from typing import Final, Protocol

from .errors import ConnectionClosed, LocalProtocolError, SignalRError
from .messages import Completion, StreamBindingFailure, StreamItem

# For a call that is answered with a stream item (C-10).
_NO_STREAM: Final = "Streaming hub methods must be called as streams, not invoked."

MAXIMUM_CANCELLED: Final = 1000
"""The number of cancelled calls that are remembered until the other end answers them."""


class PendingCall(Protocol):
    """A call that waits for its answer. The ledger calls at most one of the two methods, once."""

    def complete(self, completion: Completion) -> None:
        """Ends the call with the answer of the other end."""

    def fail(self, error: SignalRError) -> None:
        """Ends the call without an answer. No other call gets the same ``error`` object."""


class PendingStream(PendingCall, Protocol):
    """A call that is answered with a stream. ``complete`` and ``fail`` end it."""

    def add(self, item: StreamItem | StreamBindingFailure) -> None:
        """Takes an item. The ledger calls it only before the stream ends."""


class CallLedger:
    """The pending calls by invocation id."""

    __slots__ = ("_calls", "_cancelled", "_last_id", "_streams")

    def __init__(self) -> None:
        self._last_id = 0
        self._calls: dict[str, PendingCall] = {}
        self._streams: dict[str, PendingStream] = {}
        self._cancelled: dict[str, None] = {}  # the oldest first

    @property
    def cancelled(self) -> int:
        """The number of ordinary calls that were cancelled and are not answered yet.

        At most ``MAXIMUM_CANCELLED`` calls are counted. Streams are not counted.
        """
        return len(self._cancelled)

    def __len__(self) -> int:
        return len(self._calls) + len(self._streams)

    def next_id(self) -> str:
        """An id that no call on this connection has had: a decimal counter from 1 (C-6)."""
        self._last_id += 1
        return str(self._last_id)

    def open(self, invocation_id: str, call: PendingCall) -> None:
        """Adds ``call``, which is pending until one of the methods below removes it."""
        self._calls[invocation_id] = call

    def open_stream(self, invocation_id: str, stream: PendingStream) -> None:
        """Adds ``stream``, which is pending until one of the methods below removes it."""
        self._streams[invocation_id] = stream

    def settle(self, completion: Completion) -> None:
        """Ends the call that ``completion`` answers. A late answer is ignored (C-11)."""
        invocation_id = completion.invocation_id
        call = self._calls.pop(invocation_id, None) or self._streams.pop(invocation_id, None)
        if call is not None:
            call.complete(completion)
        elif self._cancelled:
            self._cancelled.pop(invocation_id, None)

    def add_item(self, item: StreamItem | StreamBindingFailure) -> None:
        """Gives ``item`` to its stream. An item for an unknown id is ignored (C-11).

        An item for an ordinary call fails the call, because only streams have items (C-10).
        """
        stream = self._streams.get(item.invocation_id)
        if stream is not None:
            stream.add(item)
            return
        call = self._calls.pop(item.invocation_id, None)
        if call is not None:
            call.fail(LocalProtocolError(_NO_STREAM))

    def cancel(self, invocation_id: str) -> bool:
        """Removes a call whose owner no longer waits for it. Returns whether it was pending."""
        if self._streams.pop(invocation_id, None) is not None:
            return True
        if self._calls.pop(invocation_id, None) is None:
            return False
        if len(self._cancelled) >= MAXIMUM_CANCELLED:
            del self._cancelled[next(iter(self._cancelled))]
        self._cancelled[invocation_id] = None
        return True

    def fail_all(self, end: ConnectionClosed) -> None:
        """Fails all calls because the connection ends (R-3).

        Each call gets a copy of ``end``. A shared exception would collect the tracebacks of all
        calls.
        """
        calls: list[PendingCall] = [*self._calls.values(), *self._streams.values()]
        self._calls.clear()
        self._streams.clear()
        self._cancelled.clear()
        for call in calls:
            copy = type(end)(
                str(end),
                end.allow_reconnect,
                summary=end.summary,
                public_summary=end.public_summary,
            )
            copy.__cause__ = end.__cause__
            call.fail(copy)
