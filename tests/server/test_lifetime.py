"""Properties of DefaultHubLifetimeManager that the contract does not require."""

import pytest

from protocol import DefaultHubLifetimeManager
from protocol.testing.lifetime_scene import Receiver


async def test_one_frame_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """G-8: a message is written once per hub protocol, and shared."""
    manager = DefaultHubLifetimeManager()
    frames: list[bytes] = []
    for name in "abc":
        receiver = Receiver(name)
        monkeypatch.setattr(receiver.connection, "write", frames.append)
        await manager.on_connected(receiver.connection)
    await manager.send_all("X", ["text"])
    assert len(frames) == 3
    assert len({id(frame) for frame in frames}) == 1


async def test_nothing_is_kept() -> None:
    """G-3: groups and users take memory only while they have members."""
    manager = DefaultHubLifetimeManager()
    for number in range(10):
        receiver = Receiver(f"c{number}", f"u{number}")
        await manager.on_connected(receiver.connection)
        await manager.add_to_group(receiver.connection.connection_id, f"g{number}")
        await manager.add_to_group(receiver.connection.connection_id, "left")
        await manager.remove_from_group(receiver.connection.connection_id, "left")
        assert "left" not in repr(vars(manager))
        await manager.on_disconnected(receiver.connection)
    tables = [value for value in vars(manager).values() if isinstance(value, dict)]
    assert len(tables) == 4
    assert tables == [{}] * 4
