"""The calls we opened and have no answer for. Each ends exactly once.

Decides ids and matches answers to calls; what a call is (a future, a stream) is the caller's.
"""

from typing import Generic, TypeVar

Call = TypeVar("Call")


class CallLedger(Generic[Call]):
    """Open calls by invocation id: a decimal counter from 1, per connection (C-6)."""

    def __init__(self) -> None:
        self._last_id = 0
        self._open: dict[str, Call] = {}

    def __len__(self) -> int:
        return len(self._open)

    def next_id(self) -> str:
        """An id that no call on this connection has had."""
        self._last_id += 1
        return str(self._last_id)

    def open(self, invocation_id: str, call: Call) -> None:
        """Enters ``call``; it stays until ``close`` or ``drain`` hands it out."""
        self._open[invocation_id] = call

    def close(self, invocation_id: str) -> Call | None:
        """The call that ends now; None when there is none, as for a late answer (C-11)."""
        return self._open.pop(invocation_id, None)

    def drain(self) -> list[Call]:
        """All open calls, which end now because the connection does (R-3)."""
        calls = list(self._open.values())
        self._open.clear()
        return calls
