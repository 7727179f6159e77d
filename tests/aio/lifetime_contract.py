"""What every ``HubLifetimeManager`` has to do (section G): subclass, and give ``make``.

One that spans several processes passes the same tests as the one in memory.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from protocol import (
    GroupLimitError,
    LocalProtocolError,
    MessagePackHubProtocol,
    Payload,
    Principal,
    TranscodingError,
)
from protocol.aio.connection import HubConnectionContext
from protocol.aio.context import HttpRequestData
from protocol.aio.lifetime import HubLifetimeManager
from protocol.aio.options import HubOptions
from protocol.json_protocol import JsonHubProtocol

from .loop_clock import LoopClock
from .memory_transport import MemoryTransport, memory_pair

OPTIONS = HubOptions(maximum_groups_per_connection=3, maximum_group_name_length=5)
_PROTOCOL = JsonHubProtocol()


class Receiver:
    """A registered connection, and what arrives at its far end."""

    def __init__(self, connection_id: str, user_id: str | None, clock: LoopClock) -> None:
        near, self.transport = memory_pair()
        request = HttpRequestData("GET", "/hub", "", {}, None)
        user = None if user_id is None else Principal(user_id)
        self.connection = HubConnectionContext(connection_id, request, user, near, OPTIONS)
        self.connection.hub_protocol = _PROTOCOL
        self._clock = clock

    @property
    def near(self) -> MemoryTransport:
        return self.transport.peer

    async def take(self) -> list[str]:
        """Targets of the invocations that have arrived, in order."""
        return [message["target"] for message in await self.messages()]

    async def messages(self) -> list[Any]:
        records = (await self.received()).split(b"\x1e")[:-1]
        return [msgspec.json.decode(record) for record in records]

    async def received(self) -> bytes:
        await self._clock.settle()
        return self.transport.take()


Send = Callable[[HubLifetimeManager], Awaitable[None]]


class HubLifetimeContract(ABC):
    """a and b belong to user U, c to user u, d to nobody; who is in which group: ``receivers``."""

    @abstractmethod
    async def make(self) -> HubLifetimeManager:
        """A manager without connections, ready for use."""

    @pytest.fixture
    async def manager(self) -> HubLifetimeManager:
        return await self.make()

    @pytest.fixture
    async def receivers(self, manager: HubLifetimeManager, clock: LoopClock) -> dict[str, Receiver]:
        receivers = {
            name: Receiver(name, user, clock)
            for name, user in (("a", "U"), ("b", "U"), ("c", "u"), ("d", None))
        }
        for receiver in receivers.values():
            await manager.on_connected(receiver.connection)
        for connection_id, group in (("a", "g"), ("b", "g"), ("b", "h"), ("c", "G"), ("c", "")):
            await manager.add_to_group(connection_id, group)
        return receivers

    @pytest.mark.parametrize(
        ("send", "expected"),
        [
            pytest.param(lambda m: m.send_all("X", []), "abcd", id="G-5 all"),
            pytest.param(lambda m: m.send_all("X", [], ("a", "z")), "bcd", id="G-5 all except"),
            pytest.param(lambda m: m.send_all("X", [], frozenset("abcd")), "", id="G-5 nobody"),
            pytest.param(lambda m: m.send_connections(["a"], "X", []), "a", id="G-5 client"),
            pytest.param(lambda m: m.send_connections(["z"], "X", []), "", id="G-7 gone"),
            pytest.param(lambda m: m.send_connections(["c", "a"], "X", []), "ac", id="G-5 clients"),
            pytest.param(lambda m: m.send_connections("aba", "X", []), "ab", id="G-6 clients once"),
            pytest.param(lambda m: m.send_connections(["A"], "X", []), "", id="ids are ordinal"),
            pytest.param(lambda m: m.send_connections([], "X", []), "", id="no clients"),
            pytest.param(lambda m: m.send_groups(["g"], "X", []), "ab", id="G-5 group"),
            pytest.param(lambda m: m.send_groups(["G"], "X", []), "c", id="G-3 case-sensitive"),
            pytest.param(lambda m: m.send_groups([""], "X", []), "c", id="G-3 empty name"),
            pytest.param(lambda m: m.send_groups(["none"], "X", []), "", id="G-7 no such group"),
            pytest.param(
                lambda m: m.send_groups(["g"], "X", [], ("b",)), "a", id="G-5 group except"
            ),
            pytest.param(lambda m: m.send_groups(["g", "h"], "X", []), "abb", id="G-6 two groups"),
            pytest.param(lambda m: m.send_groups(["h", "h"], "X", []), "bb", id="G-6 named twice"),
            pytest.param(lambda m: m.send_users(["U"], "X", []), "ab", id="G-4 user"),
            pytest.param(lambda m: m.send_users(["u"], "X", []), "c", id="G-4 ordinal"),
            pytest.param(lambda m: m.send_users(["u", "U"], "X", []), "abc", id="G-5 users"),
            pytest.param(lambda m: m.send_users(["U", "U"], "X", []), "ab", id="G-6 users once"),
            pytest.param(lambda m: m.send_users([""], "X", []), "", id="G-4 nobody"),
        ],
    )
    async def test_targets(
        self,
        manager: HubLifetimeManager,
        receivers: dict[str, Receiver],
        send: Send,
        expected: str,
    ) -> None:
        """G-3 … G-7: who gets a message, and how often."""
        await send(manager)
        got = {name: len(await receiver.take()) for name, receiver in receivers.items()}
        assert got == {name: expected.count(name) for name in receivers}

    async def test_message(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """G-1: an Invocation without an id, target and raw arguments as they are."""
        await manager.send_all("teXt", ["ü", None, msgspec.Raw(b'{"A_b":1}')])
        for receiver in receivers.values():
            assert await receiver.messages() == [
                {"type": 1, "target": "teXt", "arguments": ["ü", None, {"A_b": 1}]}
            ]

    async def test_order(self, manager: HubLifetimeManager, receivers: dict[str, Receiver]) -> None:
        """P-5: sends by one caller arrive in the order they were made, whatever they address."""
        await manager.send_all("1", [])
        await manager.send_connections(["a"], "2", [])
        await manager.send_groups(["g"], "3", [])
        await manager.send_users(["U"], "4", [])
        assert await receivers["a"].take() == ["1", "2", "3", "4"]

    async def test_adding_twice_is_once(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """G-3: membership is idempotent both ways."""
        await manager.add_to_group("a", "g")
        await manager.send_groups(["g"], "X", [])
        assert await receivers["a"].take() == ["X"]
        for _ in range(2):
            await manager.remove_from_group("a", "g")
            await manager.send_groups(["g"], "X", [])
            assert await receivers["a"].take() == []
        assert await receivers["b"].take() == ["X"] * 3

    async def test_unknown_members_are_ignored(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """G-3: no error, and no membership for one who comes later under that id."""
        await manager.add_to_group("z", "g")
        await manager.remove_from_group("z", "g")
        await manager.remove_from_group("a", "none")
        await manager.send_groups(["g"], "X", [])
        assert await receivers["a"].take() == ["X"]

    async def test_everything_ends_with_the_connection(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver], clock: LoopClock
    ) -> None:
        """G-3, G-7: memberships are not inherited by a later connection of the same id."""
        await manager.on_disconnected(receivers["b"].connection)
        await manager.on_disconnected(receivers["b"].connection)  # once more is harmless
        assert set(manager.connections) == set("acd")
        successor = Receiver("b", None, clock)
        await manager.on_connected(successor.connection)
        for send in (
            manager.send_groups(["g", "h"], "group", []),
            manager.send_users(["U"], "user", []),
            manager.send_connections(["b"], "client", []),
        ):
            await send
        assert await successor.take() == ["client"]
        assert await receivers["b"].take() == []
        assert await receivers["a"].take() == ["group", "user"]

    async def test_an_ended_connection_gets_nothing(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """G-7: between its end and its deregistration, sends to it succeed silently."""
        receivers["a"].connection.abort()
        await manager.send_all("X", [])
        await manager.send_connections(["a"], "X", [])
        assert await receivers["a"].take() == []
        assert await receivers["b"].take() == ["X"]

    async def test_a_vanished_transport_harms_nobody(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """G-7: a dead socket that nobody has noticed yet is no error."""
        receivers["a"].transport.abort()
        await manager.send_all("X", [])
        assert await receivers["d"].take() == ["X"]

    @pytest.mark.parametrize("value", [object(), float("nan"), msgspec.Raw(b'"\x1e"')])
    async def test_arguments_that_cannot_be_written(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver], value: object
    ) -> None:
        """J-21, done better: the sender learns it, no connection is harmed."""
        sends: list[Callable[[], Awaitable[None]]] = [
            lambda: manager.send_all("X", [value]),
            lambda: manager.send_connections(["a"], "X", [value]),
            lambda: manager.send_groups(["g"], "X", [value]),
            lambda: manager.send_users(["U"], "X", [value]),
        ]
        for send in sends:
            with pytest.raises(LocalProtocolError):
                await send()
        await manager.send_all("fine", [])
        for receiver in receivers.values():
            assert await receiver.take() == ["fine"]

    async def test_arguments_that_one_hub_protocol_cannot_write(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """J-21: who speaks another gets them all the same, wherever it stands in the table."""
        extension = Payload({"messagepack": msgspec.Raw(b"\xd4\x05\x00")})
        speakers = [receivers[name] for name in "bc"]
        for receiver in speakers:
            receiver.connection.hub_protocol = MessagePackHubProtocol()
        sends: list[Callable[[], Awaitable[None]]] = [
            lambda: manager.send_all("X", [extension]),
            lambda: manager.send_connections("abcd", "X", [extension]),
            lambda: manager.send_groups(["g", "G"], "X", [extension]),
            lambda: manager.send_users(["U", "u"], "X", [extension]),
        ]
        for send in sends:
            with pytest.raises(TranscodingError, match="extension of type 5"):
                await send()
        for receiver in speakers:
            frames = await receiver.received()
            assert frames == bytes.fromhex("0b960180c0a15891d4050090") * 4
        assert await receivers["a"].take() == []

    async def test_a_send_to_a_single_slow_client_waits(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver], clock: LoopClock
    ) -> None:
        """TG-8: who sends much to one client goes at its pace; other sends wait for nobody."""
        slow = receivers["a"].transport
        slow.pause_reading()
        for send in (
            manager.send_all("X", ["x" * 100_000]),
            manager.send_connections(["a", "b"], "X", []),
            manager.send_groups(["g"], "X", []),
            manager.send_users(["U"], "X", []),
        ):
            await send
        sending = asyncio.create_task(manager.send_connections(["a"], "X", []))
        await clock.settle()
        assert not sending.done()
        slow.resume_reading()
        await sending
        assert len(await receivers["a"].take()) == 5

    @pytest.mark.parametrize("group", [None, 1])
    async def test_group_names_are_text(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver], group: Any
    ) -> None:
        """G-3: null is the one name that is refused."""
        with pytest.raises(TypeError, match="A group name is a str"):
            await manager.add_to_group("a", group)
        with pytest.raises(TypeError, match="A group name is a str"):
            await manager.remove_from_group("a", group)

    async def test_groups_of_one_connection_are_bounded(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """What is refused changes nothing; leaving makes room, and the others have their own."""
        await manager.add_to_group("b", "i")  # its third
        for _ in range(2):
            with pytest.raises(GroupLimitError, match="is in 3 groups, as many as it may"):
                await manager.add_to_group("b", "j")
        await manager.add_to_group("b", "g")  # where it is already
        await manager.add_to_group("a", "j")
        await manager.send_groups(["g", "i", "j"], "X", [])
        assert [len(await receivers[name].take()) for name in "ab"] == [2, 2]
        await manager.remove_from_group("b", "i")
        await manager.add_to_group("b", "j")
        await manager.send_groups(["i", "j"], "X", [])
        assert [len(await receivers[name].take()) for name in "ab"] == [1, 1]

    async def test_names_of_groups_are_bounded(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """By characters."""
        await manager.add_to_group("a", "ü😀xyz")
        with pytest.raises(GroupLimitError, match="has 6 characters, more than the 5 allowed"):
            await manager.add_to_group("a", "ü😀xyz!")
        await manager.remove_from_group("a", "ü😀xyz!")
        await manager.send_groups(["ü😀xyz", "ü😀xyz!"], "X", [])
        assert await receivers["a"].take() == ["X"]

    async def test_connections(
        self, manager: HubLifetimeManager, receivers: dict[str, Receiver]
    ) -> None:
        """The table of this process's connections."""
        assert {name: it.connection for name, it in receivers.items()} == dict(manager.connections)
