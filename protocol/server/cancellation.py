"""The running calls that end when their client cancels them or disconnects (S-27).

These are calls of methods with ``cancellable``. ``streams`` cancels the calls that stream.
"""

import asyncio


class CancellableCall:
    """A call that runs in the current task."""

    __slots__ = ("_task", "invocation_id", "is_cancelled")

    def __init__(self, invocation_id: str) -> None:
        self.invocation_id = invocation_id
        self.is_cancelled = False
        """Whether its client has cancelled it, or has disconnected."""
        self._task = asyncio.current_task()

    def has_caused(self, error: BaseException) -> bool:
        """Whether ``error`` is the cancellation of this call."""
        return self.is_cancelled and isinstance(error, asyncio.CancelledError)

    def cancel(self) -> None:
        """Cancels the task once, so that a second request does not disturb its cleanup."""
        if not self.is_cancelled and self._task is not None:
            self.is_cancelled = True
            self._task.cancel()


class CancellableCalls:
    """The cancellable calls of one connection. A list is searched: few calls run at a time."""

    __slots__ = ("_client_has_left", "_running")

    def __init__(self) -> None:
        self._running: list[CancellableCall] = []
        self._client_has_left = False

    def begin(self, invocation_id: str) -> CancellableCall:
        """Adds the call of the current task; cancels it if the client has disconnected."""
        call = CancellableCall(invocation_id)
        self._running.append(call)
        if self._client_has_left:
            call.cancel()
        return call

    def end(self, call: CancellableCall) -> None:
        """Removes a call that has ended."""
        self._running.remove(call)

    def cancel(self, invocation_id: str) -> None:
        """Cancels the calls with this id; an unknown id is ignored."""
        for call in self._running:
            if call.invocation_id == invocation_id:
                call.cancel()

    def cancel_all(self) -> None:
        """Cancels all calls, and those that begin later, because the client has disconnected."""
        self._client_has_left = True
        for call in self._running:
            call.cancel()
