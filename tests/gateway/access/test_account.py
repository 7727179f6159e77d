"""GW-63: which credentials belong to one user."""

from __future__ import annotations

import pytest

from protocol import Principal
from signalr_gateway.access.account import account_of
from signalr_gateway.access.api_keys import KeyOwner


def test_credentials_of_one_user() -> None:
    """Neither the key, nor the roles, nor other claims of a token make another user."""
    claims = {"iss": "https://a.example"}
    first = account_of(Principal("1", claims=claims), "1")
    roles = frozenset({"admin"})
    assert account_of(Principal("1", roles, claims | {"jti": "2"}, 5.0), "1") == first
    owner, other = KeyOwner("1", key="blue"), KeyOwner("1", claims={"key": "green"}, key="green")
    assert account_of(owner, "1") == account_of(other, "1")


def test_different_users() -> None:
    accounts = [
        account_of(Principal("1", claims={"iss": "https://a.example"}), "1"),
        account_of(Principal("1", claims={"iss": "https://b.example"}), "1"),
        account_of(Principal("1", claims={"iss": "https://a.example"}), "2"),
        account_of(Principal("1", claims={"iss": "https://a.example"}), None),
        account_of(Principal("1"), "1"),
        account_of(Principal("1", claims={"iss": "None"}), "1"),
        account_of(Principal("1", claims={"iss": 5}), "1"),
        account_of(Principal("1", claims={"iss": "5"}), "1"),
        account_of(Principal("1", claims={"iss": ["5"]}), "1"),
        account_of(Principal("1", claims={"iss": "5', '1"}), "2"),
        account_of(Principal("1", claims={"iss": "5"}), "1', '2"),
        account_of(KeyOwner("1", key="blue"), "1"),
    ]
    assert len(set(accounts)) == len(accounts)


@pytest.mark.parametrize("user_id", ["", "x" * 100_000, "\ud800"])
def test_the_length_does_not_depend_on_the_id(user_id: str) -> None:
    assert len(account_of(Principal(user_id), user_id)) == 64
