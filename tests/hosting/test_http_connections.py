"""The table of connections, at times that the test passes in (N-13, N-27, TG-4, TG-7)."""

from protocol import HttpTransportType
from protocol.hosting.http_connections import HttpConnection, HttpConnectionManager


def create(
    manager: HttpConnectionManager[HttpConnection],
    now: float = 0.0,
    *,
    path: str = "/hub",
    version: int = 1,
    maximum: int = 100,
) -> HttpConnection:
    connection = manager.create(path, version, now, lifetime=15.0, maximum=maximum)
    assert connection is not None
    return connection


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
    first = create(manager, 0.0, maximum=2)
    second = create(manager, 1.0, maximum=2)
    assert manager.create("/hub", 1, 14.9, 15.0, 2) is None
    assert manager.create("/hub", 1, 15.0, 15.0, 2) is not None
    assert manager.create("/hub", 1, 15.0, 15.0, 2) is None
    assert activate(manager, second)
    assert manager.create("/hub", 1, 15.0, 15.0, 2) is not None
    assert manager.find(first.token, 15.0) is None
    assert manager.find(second.token, 15.0) is second


def test_waiting_connections_are_counted_by_path() -> None:
    """N-27: each path has its own lifetime and limit, in one table (N-13)."""
    manager = HttpConnectionManager(HttpConnection)
    lasting = manager.create("/lasting", 1, 0.0, 60.0, 1)
    brief = manager.create("/brief", 1, 0.0, 5.0, 1)
    assert lasting is not None
    assert brief is not None
    assert manager.create("/lasting", 1, 4.0, 60.0, 1) is None
    assert manager.find(brief.token, 4.9) is brief
    assert manager.find(brief.token, 5.0) is None
    assert activate(manager, lasting, "/brief")
    assert manager.find(lasting.token, 100.0) is lasting
    assert manager.create("/lasting", 1, 5.0, 60.0, 1) is not None


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
    assert manager.find(second.token, 0.0) is second  # it waits still
    assert activate(manager, second, "/two", 1)
    for _ in range(2):
        manager.remove(first)
    assert activate(manager, third, "/one", 1)
    assert manager.is_full("/one", 1)
    assert manager.is_full("/two", 1)
