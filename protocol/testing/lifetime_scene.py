"""``Scene``: a started lifetime manager with connected clients, for the suites of managers."""

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import msgspec

from ..json.protocol import JsonHubProtocol
from ..server.authentication import Principal
from ..server.connection_context import HubConnectionContext
from ..server.http_request import HttpRequestData
from ..server.lifetime import HubLifetimeManager
from ..server.options import HubOptions
from .memory_transport import memory_pair

_OPTIONS: Final = HubOptions(maximum_groups_per_connection=3, maximum_group_name_length=5)
_TURNS: Final = 20


class Receiver:
    """A connection for a lifetime manager, and the client's end of its transport."""

    def __init__(self, connection_id: str, user_id: str | None = None) -> None:
        near, self.transport = memory_pair()
        request = HttpRequestData("GET", "/hub", "", {}, None)
        user = None if user_id is None else Principal(user_id)
        self.connection = HubConnectionContext(connection_id, request, user, near, _OPTIONS)
        self.connection.hub_protocol = JsonHubProtocol()


class Scene:
    """A manager with connections a and b of user U, c of user u, and d without a user.

    Their groups: a is in g, b in g and h, c in G and in the group whose name is empty.
    """

    def __init__(self, manager: HubLifetimeManager, settle: Callable[[], Awaitable[None]]) -> None:
        self.manager: Final = manager
        self.settle: Final = settle
        users = {"a": "U", "b": "U", "c": "u", "d": None}
        self.receivers: Final = {name: Receiver(name, user) for name, user in users.items()}

    async def set_up(self) -> None:
        """Connects the receivers, and adds them to their groups."""
        for receiver in self.receivers.values():
            await self.manager.on_connected(receiver.connection)
        for connection_id, group in (("a", "g"), ("b", "g"), ("b", "h"), ("c", "G"), ("c", "")):
            await self.manager.add_to_group(connection_id, group)

    async def tear_down(self) -> None:
        """Disconnects all connections."""
        for connection in list(self.manager.connections.values()):
            await self.manager.on_disconnected(connection)

    async def targets(self, receiver: Receiver | str) -> list[str]:
        """Returns the targets of the invocations that a receiver has got, in order."""
        return [message["target"] for message in await self.messages(receiver)]

    async def messages(self, receiver: Receiver | str) -> list[Any]:
        """Returns the JSON messages that a receiver has got."""
        records = (await self.received(receiver)).split(b"\x1e")[:-1]
        return [msgspec.json.decode(record) for record in records]

    async def received(self, receiver: Receiver | str) -> bytes:
        """Returns the bytes that a receiver has got since the last call."""
        await self.settle()
        found = self.receivers[receiver] if isinstance(receiver, str) else receiver
        return found.transport.take()


_Suite = TypeVar("_Suite", bound="LifetimeSuite")
_Parameters = ParamSpec("_Parameters")


def with_scene(
    test: Callable[Concatenate[_Suite, Scene, _Parameters], Awaitable[None]],
) -> Callable[Concatenate[_Suite, _Parameters], None]:
    """Turns a coroutine function that takes a Scene into a plain test.

    The test makes the Scene, and needs no plugin of pytest.
    """

    def run(self: _Suite, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
        async def play() -> None:
            manager = await self.make()
            await manager.start()
            scene = Scene(manager, self.settle)
            await scene.set_up()
            try:
                await test(self, scene, *args, **kwargs)
            finally:
                await scene.tear_down()
                await manager.close()

        asyncio.run(play())

    signature = inspect.signature(test)
    parameters = [each for name, each in signature.parameters.items() if name != "scene"]
    update_wrapper(run, test)
    attributes = vars(run)
    del attributes["__wrapped__"]  # otherwise pytest would inspect the coroutine function
    attributes["__signature__"] = signature.replace(parameters=parameters)
    return run


class LifetimeSuite(ABC):
    """The base of the suites of lifetime managers."""

    @abstractmethod
    async def make(self) -> HubLifetimeManager:
        """Returns a manager without connections that is not started."""

    async def settle(self) -> None:
        """Returns when all that was sent has arrived.

        The default lets the loop run for a few turns. Override it for a manager that sends its
        messages through another process.
        """
        for _ in range(_TURNS):
            await asyncio.sleep(0)
