"""Token buckets, which limit how often each client may do something (GW-52).

It has no clock. `clients.client_limits` decides what is counted and for whom.
"""

from __future__ import annotations

from typing import Final

BURST: Final = 5.0
"""Seconds. A client that was idle may use the tokens of this time at once."""
MAXIMUM_KEYS: Final = 10_000
"""Clients in one table. A further client replaces the one whose last use is the oldest."""


class TokenBuckets:
    """A bucket for each key, which gets `per_second` tokens a second. Times are in seconds."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._size = per_second * BURST
        # Tokens and last use by the hash of the key, the oldest first. A user id may be long.
        self._buckets: dict[int, tuple[float, float]] = {}

    def take(self, key: str, now: float) -> float:
        """Take a token and return 0; if there is none, return the seconds until there is one."""
        bucket = hash(key)
        tokens, last = self._buckets.pop(bucket, (self._size, now))
        tokens = min(self._size, tokens + (now - last) * self._per_second)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._per_second
        self._buckets[bucket] = (tokens if wait else tokens - 1), now
        if len(self._buckets) > MAXIMUM_KEYS:
            del self._buckets[next(iter(self._buckets))]
        return wait
