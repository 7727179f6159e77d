"""The limits of one address, one user and one API key, and of all POSTs together (GW-49, GW-52).

It counts and decides. `http.limit_guard` refuses requests of addresses, `http.api` refuses calls of
users and keys, and `clients.gateway_hub` refuses calls and connections of its clients.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from protocol import Principal
from protocol.relaying import LogThinning

from ..access.account import account_of
from ..access.api_keys import KeyOwner
from ..orchestration.limits import Limits
from ..routing.client_address import ClientAddresses
from ..routing.token_buckets import TokenBuckets

log = logging.getLogger(__name__)


class Kind(Enum):
    """A kind of subject that has limits. The value names the kind in the texts of refusals."""

    ADDRESS = "address"
    USER = "user"
    KEY = "API key"


@dataclass(frozen=True, slots=True)
class Subject:
    """One address, user or key. Its calls and its connections are counted together."""

    kind: Kind
    name: str


class LimitExceeded(Exception):
    """A client exceeds the limit that `option` sets. The text says so, without a full stop.

    `wait` is the number of seconds after which the client may try again; 0 if it is unknown.
    """

    def __init__(self, text: str, option: str, wait: int = 0) -> None:
        super().__init__(text)
        self.option = option
        self.wait = wait


_CALLS = {
    Kind.ADDRESS: "calls_per_second",
    Kind.USER: "calls_per_second_per_user",
    Kind.KEY: "calls_per_second_per_key",
}
_CONNECTS = {Kind.ADDRESS: "connects_per_second"}
_CONNECTIONS = {
    Kind.ADDRESS: "maximum_connections_per_address",
    Kind.USER: "maximum_connections_per_user",
    Kind.KEY: "maximum_connections_per_key",
}


class ClientLimits:
    """The state of all limits of clients. A limit that is not set is not counted.

    `remote` is the other end of a connection, and `headers` are the headers of its request. `user`
    is None for anonymous callers, which have no limits of users. `access.account` decides which
    credentials belong to one user.
    """

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        """`now` returns the seconds of a monotonic clock."""
        self._limits = limits
        self._now = now
        self._addresses = ClientAddresses(limits.trusted_proxies)
        self._calls = _buckets(limits, _CALLS)
        self._connects = _buckets(limits, _CONNECTS)
        self._maxima = _set_limits(limits, _CONNECTIONS)
        self._connections: Counter[Subject] = Counter()  # only subjects with connections
        self._posts = 0
        self._refused: Counter[str] = Counter()
        self._thinning = LogThinning()

    @property
    def apply_to_requests(self) -> bool:
        """Whether a limit is set that is checked before the user of a request is known."""
        rates = Kind.ADDRESS in self._calls or Kind.ADDRESS in self._connects
        return rates or self._limits.maximum_posts is not None

    def address(self, remote: str | None, headers: Mapping[str, str]) -> str:
        """The address of a client, behind trusted proxies too (GW-53)."""
        return self._addresses.find(remote, headers)

    def count_call(self, remote: str | None, headers: Mapping[str, str]) -> None:
        """Count a call of an address. Raises `LimitExceeded`."""
        if Kind.ADDRESS in self._calls:
            self._take("calls", _CALLS, self._calls, [self._address(remote, headers)])

    def count_call_of_user(self, user: Principal | None, user_id: str | None) -> None:
        """Count a call of a user, and of the API key of the user. Raises `LimitExceeded`."""
        if user is not None and (Kind.USER in self._calls or Kind.KEY in self._calls):
            self._take("calls", _CALLS, self._calls, _subjects_of(user, user_id))

    def count_connect(self, remote: str | None, headers: Mapping[str, str]) -> None:
        """Count an attempt of an address to connect. Raises `LimitExceeded`."""
        if self._connects:
            self._take("connects", _CONNECTS, self._connects, [self._address(remote, headers)])

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

    def enter_connection(
        self,
        remote: str | None,
        headers: Mapping[str, str],
        user: Principal | None = None,
        user_id: str | None = None,
    ) -> list[Subject]:
        """Count a connection, and return the argument of `leave_connection` for it.

        Raises `LimitExceeded`, and counts nothing, if one of the subjects has too many connections.
        """
        subjects = [] if user is None else _subjects_of(user, user_id)
        if Kind.ADDRESS in self._maxima:
            subjects.append(self._address(remote, headers))
        counted = [each for each in subjects if each.kind in self._maxima]
        for each in counted:
            option = _CONNECTIONS[each.kind]
            if self._connections[each] >= self._maxima[each.kind] and self._refuses(option):
                raise LimitExceeded(f"This {each.kind.value} has too many connections", option)
        self._connections.update(counted)
        return counted

    def leave_connection(self, counted: Iterable[Subject]) -> None:
        """Count a connection that has ended."""
        for each in counted:
            self._connections[each] -= 1
            if not self._connections[each]:
                del self._connections[each]

    def _address(self, remote: str | None, headers: Mapping[str, str]) -> Subject:
        return Subject(Kind.ADDRESS, self.address(remote, headers))

    def _take(
        self,
        verb: str,
        options: Mapping[Kind, str],
        buckets: Mapping[Kind, TokenBuckets],
        subjects: Iterable[Subject],
    ) -> None:
        """Take a token of each subject. Raises `LimitExceeded` at the first that has none."""
        for each in subjects:
            if each.kind in buckets:
                wait = buckets[each.kind].take(each.name, self._now())
                option = options[each.kind]
                if wait and self._refuses(option):
                    text = f"This {each.kind.value} {verb} too often"
                    raise LimitExceeded(text, option, math.ceil(wait))

    def _refuses(self, option: str) -> bool:
        """Count and log that the limit `option` is exceeded. Returns False in a dry run."""
        self._refused[option] += 1
        is_dry = self._limits.dry_run
        action = "would be refused" if is_dry else "was refused"
        text = "the limit %s is exceeded: a client %s (%d so far)"
        level = self._thinning.level(option, self._now())
        log.log(level, text, option, action, self._refused[option])
        return not is_dry


def _subjects_of(user: Principal, user_id: str | None) -> list[Subject]:
    """The API key that `user` has used, if any, and then the user.

    The key is first, so that a call above the limit of the key does not count for the user.
    """
    subjects = [Subject(Kind.USER, account_of(user, user_id))]
    if isinstance(user, KeyOwner):
        subjects.insert(0, Subject(Kind.KEY, user.key))
    return subjects


def _set_limits(limits: Limits, options: Mapping[Kind, str]) -> dict[Kind, int]:
    values = {kind: getattr(limits, option) for kind, option in options.items()}
    return {kind: value for kind, value in values.items() if value is not None}


def _buckets(limits: Limits, options: Mapping[Kind, str]) -> dict[Kind, TokenBuckets]:
    return {kind: TokenBuckets(rate) for kind, rate in _set_limits(limits, options).items()}
