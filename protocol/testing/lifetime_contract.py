"""``HubLifetimeContract``: the tests that every ``HubLifetimeManager`` has to pass."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import pytest

from ..errors import GroupLimitError, LocalProtocolError, TranscodingError
from ..messagepack.protocol import MessagePackHubProtocol
from ..messages import Close
from ..server.connection_context import Ending
from ..server.lifetime import HubLifetimeManager
from ..values.payload import Payload
from .lifetime_scene import LifetimeSuite, Receiver, Scene, with_scene

Send = Callable[[HubLifetimeManager], Awaitable[None]]

_SENDS: Final = [
    pytest.param(lambda it: it.send_all("X", []), "abcd", id="all"),
    pytest.param(lambda it: it.send_all("X", [], ("a", "z")), "bcd", id="all except"),
    pytest.param(lambda it: it.send_all("X", [], frozenset("abcd")), "", id="all except all"),
    pytest.param(lambda it: it.send_connections(["a"], "X", []), "a", id="client"),
    pytest.param(lambda it: it.send_connections(["z"], "X", []), "", id="no such client"),
    pytest.param(lambda it: it.send_connections(["c", "a"], "X", []), "ac", id="clients"),
    pytest.param(lambda it: it.send_connections("aba", "X", []), "ab", id="a client named twice"),
    pytest.param(lambda it: it.send_connections(["A"], "X", []), "", id="ids are ordinal"),
    pytest.param(lambda it: it.send_connections([], "X", []), "", id="no clients"),
    pytest.param(lambda it: it.send_groups(["g"], "X", []), "ab", id="group"),
    pytest.param(lambda it: it.send_groups(["G"], "X", []), "c", id="group names are ordinal"),
    pytest.param(lambda it: it.send_groups([""], "X", []), "c", id="empty group name"),
    pytest.param(lambda it: it.send_groups(["none"], "X", []), "", id="no such group"),
    pytest.param(lambda it: it.send_groups(["g"], "X", [], ("b",)), "a", id="group except"),
    pytest.param(lambda it: it.send_groups(["g", "h"], "X", []), "abb", id="groups"),
    pytest.param(lambda it: it.send_groups(["h", "h"], "X", []), "bb", id="a group named twice"),
    pytest.param(lambda it: it.send_users(["U"], "X", []), "ab", id="user"),
    pytest.param(lambda it: it.send_users(["u"], "X", []), "c", id="user ids are ordinal"),
    pytest.param(lambda it: it.send_users(["u", "U"], "X", []), "abc", id="users"),
    pytest.param(lambda it: it.send_users(["U", "U"], "X", []), "ab", id="a user named twice"),
    pytest.param(lambda it: it.send_users([""], "X", []), "", id="no such user"),
]
"""Sends, each with the names of the connections that get messages, one name for each message."""


class HubLifetimeContract(LifetimeSuite):
    """The tests of a lifetime manager. Subclass it as ``Test…`` and implement ``make``.

    Each test runs in an event loop of its own, and starts and closes the manager.
    """

    @pytest.mark.parametrize(("send", "expected"), _SENDS)
    @with_scene
    async def test_targets(self, scene: Scene, send: Send, expected: str) -> None:
        """``expected`` names a connection once for each message that it gets."""
        # G-3 … G-7
        await send(scene.manager)
        got = {name: len(await scene.targets(name)) for name in scene.receivers}
        assert got == {name: expected.count(name) for name in scene.receivers}

    @with_scene
    async def test_message(self, scene: Scene) -> None:
        """The message is an Invocation without an id; target and arguments are unchanged."""  # G-1
        await scene.manager.send_all("teXt", ["ü", None, msgspec.Raw(b'{"A_b":1}')])
        for receiver in scene.receivers.values():
            assert await scene.messages(receiver) == [
                {"type": 1, "target": "teXt", "arguments": ["ü", None, {"A_b": 1}]}
            ]

    @with_scene
    async def test_order(self, scene: Scene) -> None:
        """Sends by one caller arrive in order, also if they select clients in different ways."""
        # P-5
        await scene.manager.send_all("1", [])
        await scene.manager.send_connections(["a"], "2", [])
        await scene.manager.send_groups(["g"], "3", [])
        await scene.manager.send_users(["U"], "4", [])
        assert await scene.targets("a") == ["1", "2", "3", "4"]

    @with_scene
    async def test_adding_twice_is_once(self, scene: Scene) -> None:
        """Adding and removing are idempotent."""  # G-3
        await scene.manager.add_to_group("a", "g")
        await scene.manager.send_groups(["g"], "X", [])
        assert await scene.targets("a") == ["X"]
        for _ in range(2):
            await scene.manager.remove_from_group("a", "g")
            await scene.manager.send_groups(["g"], "X", [])
            assert await scene.targets("a") == []
        assert await scene.targets("b") == ["X"] * 3

    @with_scene
    async def test_unknown_members_are_ignored(self, scene: Scene) -> None:
        """Unknown connections and groups cause no error."""  # G-3
        await scene.manager.add_to_group("z", "g")
        await scene.manager.remove_from_group("z", "g")
        await scene.manager.remove_from_group("a", "none")
        await scene.manager.send_groups(["g"], "X", [])
        assert await scene.targets("a") == ["X"]

    @with_scene
    async def test_everything_ends_with_the_connection(self, scene: Scene) -> None:
        """A later connection with the same id has none of the earlier one's memberships."""
        # G-3, G-7
        for _ in range(2):  # the second call is ignored
            await scene.manager.on_disconnected(scene.receivers["b"].connection)
        assert set(scene.manager.connections) == set("acd")
        successor = Receiver("b")
        await scene.manager.on_connected(successor.connection)
        for send in (
            scene.manager.send_groups(["g", "h"], "group", []),
            scene.manager.send_users(["U"], "user", []),
            scene.manager.send_connections(["b"], "client", []),
        ):
            await send
        assert await scene.targets(successor) == ["client"]
        assert await scene.targets("b") == []
        assert await scene.targets("a") == ["group", "user"]

    @with_scene
    async def test_a_changed_user(self, scene: Scene) -> None:
        """A connection belongs to its new user only, and stays in its groups.

        A manager without support raises NotImplementedError.
        """  # AR-6
        connection = scene.receivers["a"].connection
        connection.user_identifier = "u"
        try:
            await scene.manager.on_user_changed(connection, "U")
        except NotImplementedError:
            return
        await scene.manager.send_users(["U"], "old", [])
        await scene.manager.send_users(["u"], "new", [])
        await scene.manager.send_groups(["g"], "group", [])
        assert await scene.targets("a") == ["new", "group"]
        assert await scene.targets("b") == ["old", "group"]
        await scene.manager.on_disconnected(connection)
        await scene.manager.send_users(["u"], "new", [])
        assert await scene.targets("a") == []
        assert await scene.targets("c") == ["new", "new"]

    @with_scene
    async def test_an_ended_connection_gets_nothing(self, scene: Scene) -> None:
        """Sends to an ended connection succeed silently until ``on_disconnected``."""  # G-7
        scene.receivers["a"].connection.abort()
        await scene.manager.send_all("X", [])
        await scene.manager.send_connections(["a"], "X", [])
        assert await scene.targets("a") == []
        assert await scene.targets("b") == ["X"]

    @with_scene
    async def test_a_lost_transport_fails_no_send(self, scene: Scene) -> None:
        """A lost transport that the server has not noticed yet causes no error."""  # G-7
        scene.receivers["a"].transport.abort()
        await scene.manager.send_all("X", [])
        assert await scene.targets("d") == ["X"]

    @with_scene
    async def test_closing(self, scene: Scene) -> None:
        """Only the named connection ends, with the reason as the error of its Close.

        A manager without support raises NotImplementedError.
        """  # G-9
        close = scene.manager.close_connection
        try:
            assert not await close("z", "unknown")
        except NotImplementedError:
            return
        assert await close("a", "No more.")
        assert await close("b")
        assert not await close("A")  # ids are ordinal
        assert not await close("a", "again")
        await scene.settle()
        endings = [it.connection.ending for it in scene.receivers.values()]
        assert endings == [Ending(Close(error="No more.")), Ending(Close()), None, None]

    @with_scene
    async def test_presence(self, scene: Scene) -> None:
        """Names and ids are ordinal. A connection counts until ``on_disconnected``.

        A manager without support raises NotImplementedError.
        """  # G-10
        manager = scene.manager
        try:
            assert await manager.count_connections() == 4
        except NotImplementedError:
            return
        assert [await manager.count_group(name) for name in ("g", "h", "G", "", "n")] == [
            2, 1, 1, 1, 0
        ]  # fmt: skip
        assert [await manager.count_user(name) for name in ("U", "u", "")] == [2, 1, 0]
        assert [await manager.has_connection(name) for name in ("a", "A", "z")] == [
            True, False, False
        ]  # fmt: skip
        await manager.remove_from_group("a", "g")
        await manager.on_disconnected(scene.receivers["b"].connection)
        assert await manager.count_connections() == 3
        assert [await manager.count_group(name) for name in "gh"] == [0, 0]
        assert await manager.count_user("U") == 1
        assert not await manager.has_connection("b")

    @pytest.mark.parametrize("value", [object(), float("nan"), msgspec.Raw(b'"\x1e"')])
    @with_scene
    async def test_arguments_that_cannot_be_written(self, scene: Scene, value: object) -> None:
        """The send raises LocalProtocolError; no connection gets a message or ends."""  # J-21
        sends: list[Callable[[], Awaitable[None]]] = [
            lambda: scene.manager.send_all("X", [value]),
            lambda: scene.manager.send_connections(["a"], "X", [value]),
            lambda: scene.manager.send_groups(["g"], "X", [value]),
            lambda: scene.manager.send_users(["U"], "X", [value]),
        ]
        for send in sends:
            with pytest.raises(LocalProtocolError):
                await send()
        await scene.manager.send_all("fine", [])
        for receiver in scene.receivers.values():
            assert await scene.targets(receiver) == ["fine"]

    @with_scene
    async def test_arguments_that_one_hub_protocol_cannot_write(self, scene: Scene) -> None:
        """Receivers with another hub protocol get the message, in any order."""  # J-21
        extension = Payload({"messagepack": msgspec.Raw(b"\xd4\x05\x00")})
        speakers = [scene.receivers[name] for name in "bc"]
        for receiver in speakers:
            receiver.connection.hub_protocol = MessagePackHubProtocol()
        sends: list[Callable[[], Awaitable[None]]] = [
            lambda: scene.manager.send_all("X", [extension]),
            lambda: scene.manager.send_connections("abcd", "X", [extension]),
            lambda: scene.manager.send_groups(["g", "G"], "X", [extension]),
            lambda: scene.manager.send_users(["U", "u"], "X", [extension]),
        ]
        for send in sends:
            with pytest.raises(TranscodingError, match="extension of type 5"):
                await send()
        for receiver in speakers:
            frames = await scene.received(receiver)
            assert frames == bytes.fromhex("0b960180c0a15891d4050090") * 4
        assert await scene.targets("a") == []

    @with_scene
    async def test_a_send_to_a_single_slow_client_waits(self, scene: Scene) -> None:
        """A send to one client waits until the client reads. Sends to several do not."""  # TG-8
        slow = scene.receivers["a"].transport
        slow.pause_reading()
        for send in (
            scene.manager.send_all("X", ["x" * 100_000]),
            scene.manager.send_connections(["a", "b"], "X", []),
            scene.manager.send_groups(["g"], "X", []),
            scene.manager.send_users(["U"], "X", []),
        ):
            await send
        sending = asyncio.create_task(scene.manager.send_connections(["a"], "X", []))
        await scene.settle()
        assert not sending.done()
        slow.resume_reading()
        await sending
        assert len(await scene.targets("a")) == 5

    @with_scene
    async def test_groups_of_one_connection_are_bounded(self, scene: Scene) -> None:
        """A refused group changes nothing. Each connection has its own limit."""
        await scene.manager.add_to_group("b", "i")  # the third group of b
        for _ in range(2):
            with pytest.raises(GroupLimitError):
                await scene.manager.add_to_group("b", "j")
        await scene.manager.add_to_group("b", "g")  # b is a member already
        await scene.manager.add_to_group("a", "j")
        await scene.manager.send_groups(["g", "i", "j"], "X", [])
        assert [len(await scene.targets(name)) for name in "ab"] == [2, 2]
        await scene.manager.remove_from_group("b", "i")
        await scene.manager.add_to_group("b", "j")
        await scene.manager.send_groups(["i", "j"], "X", [])
        assert [len(await scene.targets(name)) for name in "ab"] == [1, 1]

    @with_scene
    async def test_names_of_groups_are_bounded(self, scene: Scene) -> None:
        """The limit counts characters."""
        await scene.manager.add_to_group("a", "ü😀xyz")
        with pytest.raises(GroupLimitError):
            await scene.manager.add_to_group("a", "ü😀xyz!")
        await scene.manager.remove_from_group("a", "ü😀xyz!")
        await scene.manager.send_groups(["ü😀xyz", "ü😀xyz!"], "X", [])
        assert await scene.targets("a") == ["X"]

    @with_scene
    async def test_connections(self, scene: Scene) -> None:
        """``connections`` contains the connections of this process, by id."""
        expected = {name: it.connection for name, it in scene.receivers.items()}
        assert dict(scene.manager.connections) == expected
