"""The ways in which a connection ends, and a hub that records how its connections end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from protocol import Hub, HubOptions, hub_method
from tests.support.hub_messages import CLOSE
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness

EndOfConnection: TypeAlias = Callable[[MemoryClient, ServerHarness], Awaitable[None]]


async def leave(client: MemoryClient, _harness: ServerHarness) -> None:
    client.vanish()


async def finish(client: MemoryClient, _harness: ServerHarness) -> None:
    client.transport.finish()


async def close(client: MemoryClient, _harness: ServerHarness) -> None:
    client.send(CLOSE)


async def break_rule(client: MemoryClient, _harness: ServerHarness) -> None:
    client.send("nonsense")


async def shut_down(_client: MemoryClient, harness: ServerHarness) -> None:
    await harness.server.close()


CLOSED = "Connection closed with an error."


def closed(details: str = "") -> dict[str, Any]:
    return {"type": 7, "error": CLOSED + details, "allowReconnect": True}


class EndingHub(Hub):
    """``ended`` collects the errors that OnDisconnected is called with."""

    ended: list[Exception | None]
    release: asyncio.Event
    served: list[str]

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ended.append(error)

    @hub_method
    def echo(self, value: Any) -> Any:
        return value

    @hub_method
    def serve(self, name: str) -> None:
        self.served.append(name)

    @hub_method
    async def hold(self) -> str:
        await self.release.wait()
        return "held"

    @hub_method
    async def abort(self) -> str:
        await self.clients.caller.send("Before")
        self.context.abort()
        await self.clients.caller.send("After")
        return "dropped"

    @hub_method
    async def until_aborted(self) -> None:
        await self.context.connection_aborted.wait()
        self.ended.append(LookupError("seen"))


class Endings:
    def __init__(self, serve: MakeServer, options: HubOptions | None = None) -> None:
        self.ended: list[Exception | None] = []
        self.release = asyncio.Event()
        self.served: list[str] = []
        self.harness: ServerHarness = serve(EndingHub, options, hub_factory=self._make)

    def _make(self) -> EndingHub:
        hub = EndingHub()
        hub.ended, hub.release, hub.served = self.ended, self.release, self.served
        return hub
