"""Decides how long the answer to a wrong receive key is delayed (GW-18).

Failures are counted for each connection and for each address. The answer to a right key is never
delayed, so a client that guesses keys does not slow down other clients at the same address.
"""

from __future__ import annotations

from typing import Final

from protocol.relaying import address_owner

FREE_PER_CONNECTION: Final = 5
"""Free failures of one connection: they are answered at once."""
FREE_PER_ADDRESS: Final = 20
"""Free failures of one address. Several clients may share an address."""
LONGEST_DELAY: Final = 5.0
"""Seconds."""
_FIRST_DELAY: Final = 0.1
_FORGET_AFTER: Final = 60.0
"""Seconds without a failure after which the failures of an address are forgotten."""
_MAXIMUM_ADDRESSES: Final = 10_000
"""A further address replaces the address whose last failure is the oldest."""


class KeyFailures:
    """Counts wrong receive keys. Times are in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._by_address: dict[str, tuple[int, float]] = {}  # count and last time, the oldest first

    def delay(self, of_connection: int, remote: str | None, now: float) -> float:
        """Count a failure, and return the seconds by which its answer is delayed.

        `of_connection` is the number of failures of the connection, including this one. `remote` is
        the address of the client, if known.
        """
        owner = address_owner(remote)
        count, last = self._by_address.pop(owner, (0, now))
        count = 1 if now - last >= _FORGET_AFTER else count + 1
        self._by_address[owner] = count, now
        if len(self._by_address) > _MAXIMUM_ADDRESSES:
            del self._by_address[next(iter(self._by_address))]
        return max(_delay(of_connection - FREE_PER_CONNECTION), _delay(count - FREE_PER_ADDRESS))


def _delay(excess: int) -> float:
    """The delay after `excess` failures beyond the free ones. It doubles with each failure."""
    if excess <= 0:
        return 0.0
    return min(_FIRST_DELAY * 2.0 ** min(excess - 1, 10), LONGEST_DELAY)
