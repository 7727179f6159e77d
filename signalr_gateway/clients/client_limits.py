"""The limits of one client address, and of all POSTs together (GW-52, GW-53).

It counts and decides. `http.limit_guard` refuses requests, and `clients.gateway_hub` refuses calls
and connections of its clients.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping

from protocol.relaying import LogThinning

from ..orchestration.limits import Limits
from ..routing.client_address import ClientAddresses
from ..routing.token_buckets import TokenBuckets

log = logging.getLogger(__name__)


class ClientLimits:
    """The state of all limits of clients. A limit that is not set is not counted."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        """`now` returns the seconds of a monotonic clock."""
        self._limits = limits
        self._now = now
        self._addresses = ClientAddresses(limits.trusted_proxies)
        self._calls = _buckets(limits.calls_per_second)
        self._connects = _buckets(limits.connects_per_second)
        self._connections: Counter[str] = Counter()  # by address; only addresses with connections
        self._posts = 0
        self._refused: Counter[str] = Counter()
        self._thinning = LogThinning()

    @property
    def apply_to_requests(self) -> bool:
        """Whether a limit is set that requests have to pass."""
        limits = (self._calls, self._connects, self._limits.maximum_posts)
        return any(each is not None for each in limits)

    def wait_of_call(self, remote: str | None, headers: Mapping[str, str]) -> int:
        """Count a call. Returns 0, or the seconds after which the client may call again."""
        return self._wait("calls_per_second", self._calls, remote, headers)

    def wait_of_connect(self, remote: str | None, headers: Mapping[str, str]) -> int:
        """Count an attempt to connect. Returns 0, or the seconds until the next attempt."""
        return self._wait("connects_per_second", self._connects, remote, headers)

    def enter_post(self) -> bool:
        """Count a POST that begins. Returns False if too many are under way."""
        maximum = self._limits.maximum_posts
        if maximum is not None and self._posts >= maximum and self._refuses("maximum_posts"):
            return False
        self._posts += 1
        return True

    def leave_post(self) -> None:
        """Count a POST that has ended."""
        self._posts -= 1

    def enter_connection(self, remote: str | None, headers: Mapping[str, str]) -> str | None:
        """Count a connection, and return the address for `leave_connection`.

        Returns None, and counts nothing, if the address has too many connections.
        """
        maximum = self._limits.maximum_connections_per_address
        if maximum is None:
            return ""
        address = self._addresses.find(remote, headers)
        name = "maximum_connections_per_address"
        if self._connections[address] >= maximum and self._refuses(name):
            return None
        self._connections[address] += 1
        return address

    def leave_connection(self, address: str) -> None:
        """Count a connection that has ended."""
        if self._connections[address] > 1:
            self._connections[address] -= 1
        else:
            del self._connections[address]

    def _wait(
        self,
        name: str,
        buckets: TokenBuckets | None,
        remote: str | None,
        headers: Mapping[str, str],
    ) -> int:
        if buckets is None:
            return 0
        wait = buckets.take(self._addresses.find(remote, headers), self._now())
        return math.ceil(wait) if wait and self._refuses(name) else 0

    def _refuses(self, name: str) -> bool:
        """Count and log that the limit `name` is exceeded. Returns False in a dry run."""
        self._refused[name] += 1
        is_dry = self._limits.dry_run
        action = "would be refused" if is_dry else "was refused"
        text = "the limit %s is exceeded: a client %s (%d so far)"
        log.log(self._thinning.level(name), text, name, action, self._refused[name])
        return not is_dry


def _buckets(per_second: int | None) -> TokenBuckets | None:
    return None if per_second is None else TokenBuckets(per_second)
