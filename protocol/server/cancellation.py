"""The calls that end when their client cancels them or disconnects (S-27).

These are the streams to the client, and the calls of methods that are declared ``cancellable``.
``invoker`` and ``streams`` run the calls, and answer cancelled calls.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False, kw_only=True)
class CancellableCall:
    """A call, from its receipt to its end."""

    invocation_id: str
    is_cancelled: bool = False
    _task: "asyncio.Task[Any] | None" = field(default=None, init=False)

    @property
    def has_begun(self) -> bool:
        """Whether the call runs, or has run."""
        return self._task is not None

    def begin(self) -> None:
        """Notes that the current task runs the call, so that ``cancel`` cancels this task.

        Raises CancelledError if the call is cancelled already.
        """
        self._task = asyncio.current_task()
        if self.is_cancelled:
            raise asyncio.CancelledError

    def cancel(self) -> None:
        """Cancels the call. Repeated calls do nothing, so that they do not disturb its cleanup."""
        if not self.is_cancelled:
            self.is_cancelled = True
            if self._task is not None:
                self._task.cancel()

    def has_caused(self, error: BaseException) -> bool:
        """Whether ``error`` is the cancellation of this call."""
        return self.is_cancelled and isinstance(error, asyncio.CancelledError)


class CancellableCalls:
    """The calls of one connection that can be cancelled."""

    __slots__ = ("_calls", "_client_has_left")

    def __init__(self) -> None:
        self._calls: dict[str, list[CancellableCall]] = {}  # by id, which several calls may have
        self._client_has_left = False

    def add(self, call: CancellableCall) -> None:
        """Adds a call. If the client has disconnected, cancels it."""
        self._calls.setdefault(call.invocation_id, []).append(call)
        if self._client_has_left:
            call.cancel()

    def remove(self, call: CancellableCall) -> None:
        """Removes a call that has ended."""
        calls = self._calls[call.invocation_id]
        calls.remove(call)
        if not calls:
            del self._calls[call.invocation_id]

    def cancel(self, invocation_id: str) -> None:
        """Cancels the calls with this id. An unknown id is ignored."""
        for call in self._calls.get(invocation_id, ()):
            call.cancel()

    def cancel_all(self) -> None:
        """Cancels all calls, because the client has disconnected. Later calls are cancelled too."""

        # U-8
        self._client_has_left = True
        for calls in self._calls.values():
            for call in calls:
                call.cancel()
