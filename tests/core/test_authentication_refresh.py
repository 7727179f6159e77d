"""The refresh of the authentication on both sides: URLs, answers, times (AR-1 … AR-3, AR-7)."""

import pytest

from protocol import AuthenticationRefreshError
from protocol.authentication_refresh import (
    is_refresh_required,
    read_lifetime,
    read_refreshed,
    refresh_delay,
    refresh_url,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/hub", "http://h/hub/refresh"),
        ("http://h/hub/", "http://h/hub/refresh"),
        ("https://h:1/hub?q=1#part", "https://h:1/hub/refresh?q=1"),
        ("http://h", "http://h/refresh"),
    ],
)
def test_url(url: str, expected: str) -> None:
    """AR-3: the query of the user is kept, and nothing is added to it."""
    assert refresh_url(url) == expected


@pytest.mark.parametrize(
    ("lifetime", "before", "delay"),
    [(3600, 300, 3300), (600, 300, 300), (599, 300, 299.5), (4, 300, 2), (4, 1, 3), (1, 300, 0.5)],
)
def test_delay(lifetime: float, before: float, delay: float) -> None:
    """AR-7: a short lifetime is halved."""
    assert refresh_delay(lifetime, before) == delay


@pytest.mark.parametrize(
    ("body", "lifetime"),
    [
        (b'{"tokenLifetimeSeconds":1799}', 1799),
        (b'{"tokenLifetimeSeconds":1.5,"more":[]}', 1.5),
        (b"{}", None),
        (b'{"tokenLifetimeSeconds":0}', None),
        (b'{"tokenLifetimeSeconds":-1}', None),
        (b'{"tokenLifetimeSeconds":null}', None),
        (b'{"tokenLifetimeSeconds":true}', None),
        (b'{"tokenLifetimeSeconds":"9"}', None),
        (b'{"tokenLifetimeSeconds":1' + b"0" * 400 + b"}", 2**31 - 1),
    ],
)
def test_refreshed(body: bytes, lifetime: float | None) -> None:
    """AR-2: any object is an answer; its lifetime counts if it is a positive number."""
    assert read_refreshed(body) == lifetime


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"5", b"{", b"<html>", b'{"a":"\xff"}'])
def test_what_is_no_answer(body: bytes) -> None:
    """AR-2."""
    with pytest.raises(AuthenticationRefreshError) as caught:
        read_refreshed(body)
    assert str(caught.value) == "Invalid refresh response JSON: expected an object."
    assert caught.value.status is None


def test_lifetimes_without_end() -> None:
    """AR-1: infinity counts as the longest lifetime."""
    assert read_lifetime(float("inf")) == 2**31 - 1
    assert read_lifetime(float("nan")) is None


@pytest.mark.parametrize(
    ("body", "is_required"),
    [
        (b'{"error":"authentication_refresh_required"}', True),
        (b'{"error":"authentication_refresh_required","error_description":"x"}', True),
        (b'{"error":"other"}', False),
        (b"{}", False),
        (b'["authentication_refresh_required"]', False),
        (b"", False),
    ],
)
def test_a_demand(body: bytes, is_required: bool) -> None:
    """AR-3."""
    assert is_refresh_required(body) is is_required
