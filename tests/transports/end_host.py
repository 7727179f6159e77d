"""A hub over real sockets that records how its connections end."""

import asyncio
from typing import Any

from protocol import HubOptions, hub_method
from tests.support.waiting import until

from .host import BasicHub, Host
from .raw_web_socket import (
    RawWebSocket,
)


class EndHub(BasicHub):
    ended: list[Exception | None]
    gate: asyncio.Event
    served: list[str]
    gate_failures: list[BaseException]
    held: list[str]

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ended.append(error)

    @hub_method
    async def hold(self) -> str:
        self.held.append(self.context.connection_id)
        try:
            await self.gate.wait()
        except BaseException as error:
            self.gate_failures.append(error)
            raise
        return "held"

    @hub_method
    async def tell_much(self, count: int) -> None:
        for number in range(count):
            await self.clients.caller.send("News", number, "x" * 512 * 1024)
            self.served.append(str(number))

    @hub_method
    def serve(self, name: str) -> None:
        self.served.append(name)

    @hub_method
    def large(self, size: int) -> str:
        return "x" * size


class EndHost(Host):
    """Records the errors that OnDisconnected is called with."""

    def __init__(self, options: HubOptions | None = None, **more: Any) -> None:
        super().__init__()
        self.ended: list[Exception | None] = []
        self.gate = asyncio.Event()
        self.served: list[str] = []
        self.gate_failures: list[BaseException] = []
        self.held: list[str] = []
        self.context = self.map(
            hub_class=EndHub, hub_options=options, hub_factory=self._make, **more
        )

    def _make(self) -> EndHub:
        hub = EndHub()
        hub.ended, hub.gate, hub.served = self.ended, self.gate, self.served
        hub.gate_failures, hub.held = self.gate_failures, self.held
        return hub

    async def has_ended(self) -> Exception | None:
        """Waits for OnDisconnected, and returns its error."""
        await until(lambda: self.ended)
        (error,) = self.ended
        return error


ECHO = b'{"type":1,"invocationId":"1","target":"Echo","arguments":["\xc3\xa9"]}\x1e'


def stop_reading(client: RawWebSocket) -> None:
    transport: Any = client.writer.transport
    transport.pause_reading()


def being_served() -> int:
    """How many WebSockets the server reads."""
    names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return list(names).count("WebSocketServerTransport._read")
