"""The table of connections, at times that the test passes in (N-13, N-27, TG-4, TG-7)."""

import operator
from base64 import urlsafe_b64decode
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import HttpTransportType
from protocol.hosting.http_answer import json_answer
from protocol.hosting.http_connections import HttpConnection, HttpConnectionManager
from protocol.hosting.waiting_connections import WaitingConnections


def create(
    manager: HttpConnectionManager[HttpConnection],
    now: float = 0.0,
    *,
    path: str = "/hub",
    version: int = 1,
    remote: str | None = None,
) -> HttpConnection:
    return manager.create(path, version, now, lifetime=15.0, remote=remote)


def activate(
    manager: HttpConnectionManager[HttpConnection],
    connection: HttpConnection,
    path: str = "/hub",
    maximum: int = 100,
) -> bool:
    return manager.activate(connection, HttpTransportType.LONG_POLLING, path, maximum)


def test_ids() -> None:
    """N-13: 22 characters of base64url each; id and token differ, and none is used twice."""
    manager = HttpConnectionManager(HttpConnection)
    connections = [create(manager) for _ in range(50)]
    ids = [it.connection_id for it in connections] + [it.token for it in connections]
    assert len(set(ids)) == 100
    assert all(len(id) == 22 and id.replace("-", "").replace("_", "").isalnum() for id in ids)


def test_all_bits_of_a_token_are_random() -> None:
    """N-13: each of the 128 bits is set in some tokens and not in others."""
    manager = HttpConnectionManager(HttpConnection)
    tokens = [urlsafe_b64decode(create(manager).token + "==") for _ in range(100)]
    numbers = [int.from_bytes(token) for token in tokens]
    assert {len(token) for token in tokens} == {16}
    assert reduce(operator.or_, numbers) == 2**128 - 1
    assert reduce(operator.and_, numbers) == 0


def test_a_repr_shows_no_token() -> None:
    manager = HttpConnectionManager(HttpConnection)
    connection = create(manager)
    assert connection.token not in repr(connection)
    assert connection.token not in repr(json_answer(connection.token.encode()))


def test_version_0() -> None:
    """N-12: the id is the token."""
    connection = create(HttpConnectionManager(HttpConnection), version=0)
    assert connection.token == connection.connection_id


def test_find() -> None:
    """N-13, TG-4: by the token, in its exact letter case; not by the public id."""
    manager = HttpConnectionManager(HttpConnection)
    connection = create(manager)
    assert manager.find(connection.token, 0.0) is connection
    assert manager.find(connection.token.swapcase(), 0.0) is None
    assert manager.find(connection.connection_id, 0.0) is None
    assert manager.find("", 0.0) is None


def test_expiry() -> None:
    """N-27: exactly after its lifetime, whether or not the table was used meanwhile."""
    manager = HttpConnectionManager(HttpConnection)
    first, second = create(manager, 100.0), create(manager, 110.0)
    assert manager.find(first.token, 114.9) is first
    assert manager.find(first.token, 115.0) is None
    assert manager.find(second.token, 124.9) is second
    assert manager.find(second.token, 200.0) is None
    assert manager.find(first.token, 0.0) is None


def test_an_active_connection_does_not_expire() -> None:
    """TG-7: the first transport keeps it until its end; then the token is invalid."""
    manager = HttpConnectionManager(HttpConnection)
    connection = create(manager)
    assert activate(manager, connection)
    assert connection.is_active
    assert manager.find(connection.token, 1e9) is connection
    manager.remove(connection)
    assert manager.find(connection.token, 0.0) is None
    manager.remove(connection)


def test_a_retired_connection_keeps_its_place() -> None:
    """Its methods may still run; the token is invalid (section P)."""
    manager = HttpConnectionManager(HttpConnection)
    connection = create(manager)
    assert activate(manager, connection, maximum=1)
    manager.retire(connection)
    assert manager.find(connection.token, 0.0) is None
    assert manager.is_full("/hub", 1)
    manager.remove(connection)
    manager.remove(connection)
    assert not manager.is_full("/hub", 1)
    assert activate(manager, create(manager), maximum=1)


def test_the_number_of_waiting_connections_is_bounded() -> None:
    """N-27: only waiting connections count, until they expire or are activated."""
    manager = HttpConnectionManager(HttpConnection)
    first, second = create(manager, 0.0), create(manager, 1.0)
    assert not manager.make_room("/hub", 3, 14.9)
    assert not manager.make_room("/hub", 2, 15.0)
    third = create(manager, 15.0)
    assert activate(manager, second)
    assert not manager.make_room("/hub", 2, 15.0)
    fourth = create(manager, 15.0)
    assert manager.make_room("/hub", 2, 15.0)
    found = [manager.find(it.token, 15.0) for it in (first, second, third, fourth)]
    assert found == [None, second, None, fourth]


def test_waiting_connections_are_counted_by_path() -> None:
    """N-27: each path has its own lifetime and limit, in one table (N-13)."""
    manager = HttpConnectionManager(HttpConnection)
    lasting = manager.create("/lasting", 1, 0.0, 60.0)
    brief = manager.create("/brief", 1, 0.0, 5.0)
    assert not manager.make_room("/other", 1, 4.0)
    assert manager.find(brief.token, 4.9) is brief
    assert manager.find(brief.token, 5.0) is None
    assert activate(manager, lasting, "/brief")
    assert manager.find(lasting.token, 100.0) is lasting
    assert not manager.make_room("/lasting", 1, 5.0)


@pytest.mark.parametrize("flood", ["192.0.2.1", "2001:db8:1:2::{:x}", "::ffff:192.0.2.1", None])
def test_an_address_cannot_hold_all_places(flood: str | None) -> None:
    """N-27: its own oldest connections make room for others and for itself."""
    manager = HttpConnectionManager(HttpConnection)
    first = create(manager, remote="198.51.100.1")
    held: list[HttpConnection] = []
    for number in range(20):
        manager.make_room("/hub", 10, 0.0)
        held.append(create(manager, remote=flood and flood.format(number)))
    assert manager.make_room("/hub", 10, 0.0)
    second = create(manager, remote="2001:db8:1:3::1")
    assert manager.find(first.token, 0.0) is first
    assert manager.find(second.token, 0.0) is second
    assert [manager.find(it.token, 0.0) for it in held] == [None] * 12 + held[12:]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_which_connection_is_dropped(steps: list[tuple[str, bool]]) -> None:
    """N-27: the oldest of an address that has most, whatever came and went before."""
    waiting: WaitingConnections[str] = WaitingConnections()
    model: dict[str, str] = {}  # addresses by token, by age
    for number, (address, is_removed) in enumerate(steps):
        token = str(number)
        if is_removed and model:
            gone = next((it for it, owner in model.items() if owner == address), "unknown")
            waiting.remove(gone)
            model.pop(gone, None)
        elif len(model) == 5:
            waiting.drop_one()
            most = max(list(model.values()).count(owner) for owner in set(model.values()))
            (dropped,) = model.keys() - set(waiting.in_order)
            owner = model[dropped]
            owned = [it for it, other in model.items() if other == owner]
            assert (len(owned), owned[0]) == (most, dropped)
            del model[dropped]
        else:
            waiting.add(token, token, address)
            model[token] = address
        assert list(waiting.in_order) == list(model)
        assert len(waiting) == len(model)
        assert all(waiting.get(it) == it for it in model)


def test_a_connection_without_negotiate() -> None:
    """TG-3: it is in the table from its activation to its end."""
    manager = HttpConnectionManager(HttpConnection)
    connection = manager.create_unnegotiated("/hub", 0.0)
    token = connection.token
    assert token == connection.connection_id
    assert manager.find(token, 0.0) is None
    assert activate(manager, connection)
    assert manager.find(token, 100.0) is connection
    manager.remove(connection)
    assert manager.find(token, 100.0) is None


def test_the_number_of_active_connections_is_bounded() -> None:
    """Each path has its own limit; a connection that ends frees its place, and only once."""
    manager = HttpConnectionManager(HttpConnection)
    first, second, third = (create(manager) for _ in range(3))
    assert activate(manager, first, "/one", 1)
    assert manager.is_full("/one", 1)
    assert not activate(manager, second, "/one", 1)
    assert not second.is_active
    assert manager.find(second.token, 0.0) is second  # it still waits
    assert activate(manager, second, "/two", 1)
    for _ in range(2):
        manager.remove(first)
    assert activate(manager, third, "/one", 1)
    assert manager.is_full("/one", 1)
    assert manager.is_full("/two", 1)
