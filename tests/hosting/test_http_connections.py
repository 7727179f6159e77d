"""The table of negotiated connections, at times that the test gives (N-13, N-27, TG-4, TG-7)."""

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
    """N-13: 22 characters of base64url each, id and token differ, and never come twice."""
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
    """N-13, TG-4: by the token, ordinally; the public id finds nothing."""
    manager = HttpConnectionManager(HttpConnection)
    connection = create(manager)
    assert manager.find(connection.token, 0.0) is connection
    assert manager.find(connection.token.swapcase(), 0.0) is None
    assert manager.find(connection.connection_id, 0.0) is None
    assert manager.find("", 0.0) is None


def test_expiry() -> None:
    """N-27: dropped after its lifetime, to the second, whether or not anybody looks."""
    manager = HttpConnectionManager(HttpConnection)
    first, second = create(manager, 100.0), create(manager, 110.0)
    assert manager.find(first.token, 114.9) is first
    assert manager.find(first.token, 115.0) is None
    assert manager.find(second.token, 124.9) is second
    assert manager.find(second.token, 200.0) is None
    assert manager.find(first.token, 0.0) is None


def test_a_connection_that_was_picked_up_does_not_expire() -> None:
    """TG-7: the transport that came first has it for life; then the token is spent."""
    manager = HttpConnectionManager(HttpConnection)
    connection = create(manager)
    assert activate(manager, connection)
    assert connection.is_active
    assert manager.find(connection.token, 1e9) is connection
    manager.remove(connection)
    assert manager.find(connection.token, 0.0) is None
    manager.remove(connection)


def test_a_retired_connection_keeps_its_place() -> None:
    """P: its methods may still run; the token means nothing any more."""
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


def test_their_number_is_bounded() -> None:
    """N-27: only those that wait count; room comes back with expiry and with pick-up."""
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


def test_each_path_has_waiting_ones_of_its_own() -> None:
    """N-27: their lifetime and their number are its own; the table is not (N-13)."""
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


def test_a_connection_made_on_the_spot() -> None:
    """TG-3: without negotiate; it is in the table as long as it lives."""
    manager = HttpConnectionManager(HttpConnection)
    connection = manager.create_unnegotiated("/hub", 0.0)
    token = connection.token
    assert token == connection.connection_id
    assert manager.find(token, 0.0) is None
    assert activate(manager, connection)
    assert manager.find(token, 100.0) is connection
    manager.remove(connection)
    assert manager.find(token, 100.0) is None


def test_the_number_of_active_ones_is_bounded() -> None:
    """Each path has room of its own, which comes back when a connection ends, and only once."""
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
