"""The refresh of a connection's authentication: its URL, its answers, and when it is due.

A client that gets a new token before the old one expires posts it to ``{hub}/refresh``, and keeps
its connection. The functions convert values, bodies and URLs. Timers are left to ``client``,
requests to ``transports``, and users to ``hosting`` and ``server``.
"""

from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from .errors import DECODING_FAILURES, AuthenticationRefreshError

CONNECTION_TOKEN_HEADER: Final = "X-SignalR-Connection-Token"
"""The header of a refresh that names the connection (AR-3)."""
REFRESH_REQUIRED: Final = "authentication_refresh_required"
"""The error in an answer to a poll with status 409 that makes a client refresh (AR-3)."""
REFRESH_BEFORE_EXPIRATION: Final = 300.0
"""Seconds between a refresh and the expiry of the token that it replaces (AR-7)."""
LONGEST_LIFETIME: Final = 2**31 - 1
"""The largest lifetime in seconds. Longer lifetimes count as this lifetime (AR-1)."""
_LIFETIME: Final = "tokenLifetimeSeconds"


# ---- client


def refresh_url(url: str) -> str:
    """The URL of the refresh for the hub at ``url``, with its query, without its fragment."""
    scheme, host, path, query, _ = urlsplit(url)
    path = path if path.endswith("/") else path + "/"
    return urlunsplit((scheme, host, path + "refresh", query, ""))


def refresh_delay(lifetime: float, before_expiration: float) -> float:
    """Seconds until a token that is valid for ``lifetime`` seconds is refreshed (AR-7).

    The token is refreshed ``before_expiration`` seconds before it expires. If ``lifetime`` is
    shorter than twice this time, the token is refreshed after half of its lifetime.
    """
    return max(lifetime - before_expiration, lifetime / 2)


def read_lifetime(value: object) -> float | None:
    """The lifetime in seconds that a server has sent, or None if it sent no positive number."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(min(value, LONGEST_LIFETIME))
    return None


def read_refreshed(body: bytes) -> float | None:
    """The lifetime in the answer to a successful refresh, or None if the answer has none (AR-2).

    Raises AuthenticationRefreshError if the answer is not a JSON object.
    """
    answer = _read_object(body)
    if answer is None:
        raise AuthenticationRefreshError("Invalid refresh response JSON: expected an object.")
    return read_lifetime(answer.get(_LIFETIME))


def is_refresh_required(body: bytes) -> bool:
    """Whether the answer to a poll, of status 409, asks the client to refresh (AR-3)."""
    answer = _read_object(body)
    return answer is not None and answer.get("error") == REFRESH_REQUIRED


def _read_object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = msgspec.json.decode(body)
    except DECODING_FAILURES:
        return None
    return answer if isinstance(answer, dict) else None


# ---- server


def remaining_lifetime(expires_at: float | None, now: float) -> int | None:
    """The whole seconds from ``now`` until a token expires, as they are sent (AR-1).

    Both times are seconds since the epoch. None if the token does not expire. The result is at
    least 1, because a client takes 0 for a token that does not expire.
    """
    if expires_at is None:
        return None
    return max(1, int(min(expires_at - now, LONGEST_LIFETIME)))


def write_refreshed(lifetime: int | None) -> bytes:
    """The body of the answer to a refresh that has succeeded (AR-2)."""
    return msgspec.json.encode({} if lifetime is None else {_LIFETIME: lifetime})


def write_refusal(code: str) -> bytes:
    """The body of the answer to a refresh that is refused (AR-3)."""
    return msgspec.json.encode({"error": code})
