"""GW-55: which of a user's access tokens opens a connection."""

from __future__ import annotations

from signalr_gateway.access.identity import Identity
from signalr_gateway.downstream.user_token import MAXIMUM_TOKENS, UserToken


def brought(token: str | None, expires_at: float | None) -> Identity:
    return Identity(token=token, expires_at=expires_at)


def test_the_token_that_expires_last() -> None:
    token = UserToken(brought("b", 2))
    token.offer(brought("a", 1))
    assert token() == "b"
    token.offer(brought("c", None))
    assert token() == "c"
    token.offer(brought(None, None))
    assert token() == "c"


def test_a_refused_token_does_not_win_again() -> None:
    token = UserToken(brought("b", 2))
    token.offer(brought("a", 1))
    assert token() == "b"
    assert token.refused()
    token.offer(brought("b", 2))
    assert token() == "a"
    assert not token.refused()
    assert token() == "b"  # the refusals may be temporary
    token.accepted()
    assert token() == "b"
    assert token.refused() is False


def test_a_flood_of_tokens() -> None:
    """The one of the latest call is always kept, so that it is tried."""
    token = UserToken(brought("0", 1000))
    for number in range(1, 100):
        token.offer(brought(str(number), 1000 + number))
    token.offer(brought("latest", 1))
    used = [token()]
    while token.refused():
        used.append(token())
    assert len(used) == MAXIMUM_TOKENS
    assert used[-1] == "latest"
