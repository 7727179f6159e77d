"""The lifetime manager in memory: the contract, and what only it promises."""

import pytest

from protocol.aio.lifetime import DefaultHubLifetimeManager, HubLifetimeManager

from .lifetime_contract import HubLifetimeContract, Receiver
from .loop_clock import LoopClock


class TestDefaultHubLifetimeManager(HubLifetimeContract):
    async def make(self) -> HubLifetimeManager:
        return DefaultHubLifetimeManager()


async def test_one_frame_for_all(clock: LoopClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """G-8: a message is written once per hub protocol, and shared."""
    manager = DefaultHubLifetimeManager()
    frames: list[bytes] = []
    for name in "abc":
        receiver = Receiver(name, None, clock)
        monkeypatch.setattr(receiver.connection, "write", frames.append)
        await manager.on_connected(receiver.connection)
    await manager.send_all("X", ["text"])
    assert len(frames) == 3
    assert len({id(frame) for frame in frames}) == 1


async def test_nothing_is_kept(clock: LoopClock) -> None:
    """G-3: groups and users exist as long as they have members, and cost nothing later."""
    manager = DefaultHubLifetimeManager()
    for number in range(10):
        receiver = Receiver(f"c{number}", f"u{number}", clock)
        await manager.on_connected(receiver.connection)
        await manager.add_to_group(receiver.connection.connection_id, f"g{number}")
        await manager.add_to_group(receiver.connection.connection_id, "left")
        await manager.remove_from_group(receiver.connection.connection_id, "left")
        assert "left" not in repr(vars(manager))
        await manager.on_disconnected(receiver.connection)
    tables = [value for value in vars(manager).values() if isinstance(value, dict)]
    assert len(tables) == 4
    assert tables == [{}] * 4
