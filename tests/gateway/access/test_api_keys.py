"""GW-39: API keys."""

from __future__ import annotations

import pytest

from protocol import AuthenticationFailure, HttpRequestData, Principal
from signalr_gateway.access.api_keys import PREFIX, ApiKey, ApiKeys, key_hash, new_key
from signalr_gateway.access.authenticators import FirstOf

KEY, SECOND = new_key(), new_key()
EXPIRES = 1_000.0


def request(query: str = "", **headers: str) -> HttpRequestData:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequestData("POST", "/", query, named, None)


def api_keys(now: float = 0.0) -> ApiKeys:
    stored = [
        ApiKey(name="first", user_id="orders", hash=key_hash(KEY), expires_at=EXPIRES),
        ApiKey(name="second", user_id="orders", hash=key_hash(SECOND), scopes=("a", "b")),
    ]
    return ApiKeys(stored, lambda: now)


@pytest.mark.parametrize(
    "carrier",
    [
        request(X_Api_Key=KEY),
        request(Authorization=f"Bearer {KEY}"),
        request(Authorization=f"bearer  {KEY} "),
        request(f"x=1&access_token={KEY}"),
    ],
)
async def test_where_a_key_is_sent(carrier: HttpRequestData) -> None:
    user = await api_keys().authenticate(carrier)
    assert isinstance(user, Principal)
    assert (user.user_id, user.claims["key"], user.expires_at) == ("orders", "first", EXPIRES)


async def test_two_keys_of_an_owner_are_valid_at_a_time() -> None:
    user = await api_keys().authenticate(request(X_Api_Key=SECOND))
    assert isinstance(user, Principal)
    assert (user.user_id, user.claims) == ("orders", {"key": "second", "scope": "a b"})


@pytest.mark.parametrize(
    "key",
    [new_key(), KEY[:-1], KEY + "x", key_hash(KEY), "", "\udcff"],
    ids=["another", "too short", "too long", "the hash", "empty", "not UTF-8"],
)
async def test_a_wrong_key(key: str) -> None:
    """The stored hash does not serve as a key."""
    assert isinstance(await api_keys().authenticate(request(X_Api_Key=key)), AuthenticationFailure)


async def test_an_expired_key_is_refused_like_a_wrong_one() -> None:
    keys = api_keys(now=EXPIRES)
    expired = await keys.authenticate(request(X_Api_Key=KEY))
    assert isinstance(expired, AuthenticationFailure)
    assert expired == await keys.authenticate(request(X_Api_Key="wrong"))
    assert isinstance(await keys.authenticate(request(X_Api_Key=SECOND)), Principal)


@pytest.mark.parametrize(
    "other", [request(), request(Authorization="Bearer eyJ"), request("access_token=eyJ")]
)
async def test_other_tokens_are_not_keys(other: HttpRequestData) -> None:
    assert await api_keys().authenticate(other) is None


async def test_the_first_credentials_decide() -> None:
    """A wrong key is not tried as anything else."""
    others = ApiKeys([ApiKey(name="x", user_id="x", hash=key_hash(SECOND))])
    both = FirstOf([others, api_keys()])
    assert isinstance(await both.authenticate(request(X_Api_Key=KEY)), AuthenticationFailure)
    assert await both.authenticate(request()) is None


def test_keys_are_random_and_recognizable() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith(PREFIX) and len(key) == len(PREFIX) + 43 for key in keys)


def test_a_hash_is_not_shown() -> None:
    assert key_hash(KEY) not in repr(ApiKey(name="n", user_id="u", hash=key_hash(KEY)))
