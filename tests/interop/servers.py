"""The servers of the tests as processes: the chat hub, in C# and in Python, and the gateway.

A server keeps its port when it is killed and started again, so that its clients can come back.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import aiohttp

from tests.interop.builds import dotnet_program, require
from tests.interop.processes import LineProcess, free_port


@dataclass(frozen=True)
class HubProgram:
    """How a chat hub is started; all of them print the same lines and offer the same methods."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def with_environment(self, **environment: str) -> "HubProgram":
        return replace(self, environment={**self.environment, **environment})


def aspnetcore_hub(**environment: str) -> HubProgram:
    """The hub on ASP.NET Core; `dotnet/chat-hub/Program.cs` lists its environment."""
    assembly = dotnet_program("chat-hub", NewtonsoftVersion="10.0.15")
    return HubProgram((require("dotnet"), str(assembly)), environment)


def python_hub() -> HubProgram:
    """The same hub on this library's server."""
    return HubProgram((sys.executable, "-m", "tests.interop.chat_hub"))


class HubServer:
    """A chat hub with an address of its own, through all its lives."""

    def __init__(self, program: HubProgram) -> None:
        self._program = program
        self._address = f"http://127.0.0.1:{free_port()}"
        self._lives: list[LineProcess] = []

    @property
    def url(self) -> str:
        return f"{self._address}/chathub"

    async def start(self) -> None:
        """Starts it, again if need be, and waits until it serves."""
        process = await LineProcess.start(
            *self._program.argv, "--urls", self._address, env=self._program.environment
        )
        self._lives.append(process)
        await process.line("^LISTENING ")

    async def stop(self) -> None:
        """Asks it to shut down in good order, and waits."""
        await self._lives[-1].interrupt()

    async def kill(self) -> None:
        await self._lives[-1].kill()

    def freeze(self) -> None:
        """Lets it neither answer nor ping any more; its connections stay open."""
        self._lives[-1].freeze()

    async def holding(self, name: str) -> None:
        """Waits until the call Hold(name) runs in the hub."""
        await self._lives[-1].line(f"^HOLDING {name}$")

    async def release(self, name: str) -> None:
        """Lets the call Hold(name) go on."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._address}/release/{name}") as response,
        ):
            assert response.status == 204

    async def disconnected(self, connection_id: str) -> None:
        """Waits until the hub has noticed the end of a connection."""
        await self._lives[-1].line(f"^DISCONNECTED {connection_id}$")

    def lines(self, pattern: str) -> list[str]:
        """What it printed in all its lives, where `pattern` is found."""
        return [found.string for life in self._lives for found in life.matching(pattern)]


class GatewayServer:
    """The gateway as its users run it: a process of its own."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.address = f"http://127.0.0.1:{free_port()}"
        self._arguments = arguments
        self._environment = environment
        self._process: LineProcess
