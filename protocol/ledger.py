"""The pending calls of one end of a connection: those that wait for the other end's Completion.

This module assigns ids, matches answers to calls, and ends each call exactly once. What a call is,
for example a future, is left to its owner. Calls that the other end makes have no entries, because
the worker that runs such a call answers it once. Streams are not supported yet.
"""

from typing import Final, Protocol

from .errors import ConnectionClosed, LocalProtocolError, SignalRError
from .messages import Completion, StreamItem

# For a call that is answered with a stream item (C-10).
_NO_STREAM: Final = "Streaming hub methods must be called as streams, not invoked."


class PendingCall(Protocol):
    """A call that waits for its answer. The ledger calls at most one of the two methods, once."""

    def complete(self, completion: Completion) -> None:
        """Ends the call with the answer of the other end."""

    def fail(self, error: SignalRError) -> None:
        """Ends the call without an answer. No other call gets the same ``error`` object."""


class CallLedger:
    """The pending calls by invocation id."""

    __slots__ = ("_calls", "_last_id")

    def __init__(self) -> None:
        self._last_id = 0
        self._calls: dict[str, PendingCall] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def next_id(self) -> str:
        """An id that no call on this connection has had: a decimal counter from 1 (C-6)."""
        self._last_id += 1
        return str(self._last_id)

    def open(self, invocation_id: str, call: PendingCall) -> None:
        """Adds ``call``, which is pending until one of the methods below removes it."""
        self._calls[invocation_id] = call

    def settle(self, message: Completion | StreamItem) -> None:
        """Ends the call that ``message`` answers. A late answer is ignored (C-11).

        A stream item fails the call: an ordinary call must not be answered with a stream (C-10).
        """
        call = self._calls.pop(message.invocation_id, None)
        if call is None:
            return
        if type(message) is Completion:
            call.complete(message)
        else:
            call.fail(LocalProtocolError(_NO_STREAM))

    def forget(self, invocation_id: str) -> bool:
        """Removes a call whose owner no longer waits for it. Returns whether it was pending."""
        return self._calls.pop(invocation_id, None) is not None

    def fail_all(self, end: ConnectionClosed) -> None:
        """Fails all calls because the connection ends (R-3).

        Each gets a copy of ``end``: a shared exception would collect the tracebacks of all calls.
        """
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            copy = type(end)(str(end), end.allow_reconnect, summary=end.summary)
            copy.__cause__ = end.__cause__
            call.fail(copy)
