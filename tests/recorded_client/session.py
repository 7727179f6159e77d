"""Our client with the interface of the recorded client: commands, replies and events of scenarios.

The recorded client was a program that received commands as JSON; here commands are function calls.
If a command needs a missing feature, ``missing`` names the feature, and the command fails.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from .connection import Connection, Event, NotBuiltError
from .dotnet_values import described

_FEATURES: Final = (
    "authentication-refresh",
    "client-results",
    "default-arguments",
    "messagepack",
    "newtonsoft",
    "pings",
    "reconnect",
    "stateful",
    "uploads",
)


class ClientError(Exception):
    """A command failed; ``error`` is what the reply says."""

    def __init__(self, error: Event) -> None:
        super().__init__(f"{error['type']}: {error['message']}")
        self.error = error


class _Features(tuple[str, ...]):
    """What the client can do; what else a scenario looks for is noted as missing."""

    _session: "Session"

    def __new__(cls, session: "Session", names: Sequence[str]) -> "_Features":
        features = super().__new__(cls, names)
        features._session = session
        return features

    def __contains__(self, name: object) -> bool:
        if super().__contains__(name):
            return True
        self._session.missing.add(str(name))
        return False


class Session:
    """Any number of connections by name, ``c`` unless a command says otherwise."""

    def __init__(self) -> None:
        self.argv = ("dotnet", "ours")  # as if the program of the recorded client were started
        self.info: Event = {
            "client": "python",
            "runtime": "python",
            "features": _Features(self, _FEATURES),
        }
        self.events: list[Event] = []
        self.missing: set[str] = set()
        self._connections: dict[str, Connection] = {}
        self._arrived = asyncio.Event()
        self._taken: dict[tuple[str, str | None], int] = {}
        self._commands: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._connections.values():
            await connection.end()
        for command in self._commands:
            command.cancel()
        if self._commands:
            await asyncio.wait(self._commands)

    # ---- commands

    def begin(self, cmd: str, **fields: Any) -> "asyncio.Future[Event]":
        """Runs a command beside others; a future of its reply."""
        reply = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(self._run(cmd, fields, reply))
        self._commands.add(running)
        return reply

    async def _run(self, cmd: str, fields: Event, answer: "asyncio.Future[Event]") -> None:
        reply: Event = {"event": "reply", "ok": True}
        began = time.monotonic()
        try:
            reply["result"] = await self._perform(cmd, fields)
        except NotBuiltError as error:
            self.missing.add(str(error))
            reply |= {"ok": False, "error": described(error)}
        except (Exception, asyncio.CancelledError) as error:
            reply |= {"ok": False, "error": described(error)}
        reply["ms"] = round((time.monotonic() - began) * 1000)
        self.say(reply)
        if not answer.done():  # the scenario may no longer wait for the reply
            answer.set_result(reply)

    async def _perform(self, cmd: str, fields: Event) -> Any:
        name = fields.pop("conn", "c")
        if cmd == "trace":
            raise NotBuiltError("tracing")
        if cmd == "build":
            self._connections[name] = Connection(name, self.say, fields)
            return None
        return await self._connections[name].perform(cmd, fields)

    async def command(self, cmd: str, timeout: float = 30, **fields: Any) -> Any:
        reply = await asyncio.wait_for(self.begin(cmd, **fields), timeout)
        if not reply["ok"]:
            raise ClientError(reply["error"])
        return reply.get("result")

    async def attempt(self, cmd: str, timeout: float = 30, **fields: Any) -> Event:
        try:
            return {"result": await self.command(cmd, timeout, **fields)}
        except ClientError as error:
            return {"error": error.error}
        except TimeoutError:
            return {"pending": True}

    async def build(self, **fields: Any) -> Any:
        return await self.command("build", **fields)

    async def on(self, method: str, types: Sequence[str] = (), **fields: Any) -> Any:
        return await self.command("on", method=method, types=list(types), **fields)

    async def start(self, **fields: Any) -> Any:
        return await self.command("start", **fields)

    async def stop(self, **fields: Any) -> Any:
        return await self.command("stop", **fields)

    async def dispose(self, **fields: Any) -> Any:
        return await self.command("dispose", **fields)

    async def invoke(self, target: str, *args: Any, **fields: Any) -> Any:
        return await self.command("invoke", target=target, args=list(args), **fields)

    async def send(self, target: str, *args: Any, **fields: Any) -> Any:
        return await self.command("send", target=target, args=list(args), **fields)

    async def stream(self, target: str, *args: Any, **fields: Any) -> Any:
        return await self.command("stream", target=target, args=list(args), **fields)

    async def state(self, **fields: Any) -> Any:
        return await self.command("state", **fields)

    # ---- events

    def say(self, event: Event) -> None:
        event["at"] = time.monotonic()
        self.events.append(event)
        self._arrived.set()

    def all(self, *kinds: str) -> list[Event]:
        return [event for event in self.events if event["event"] in kinds]

    async def event(self, kind: str, timeout: float = 5, conn: str | None = None) -> Event:
        """The next event of that kind that was not taken yet."""
        key = (kind, conn)
        async with asyncio.timeout(timeout):
            while True:
                found = [it for it in self.all(kind) if conn in (None, it.get("conn"))]
                if len(found) > self._taken.get(key, 0):
                    self._taken[key] = self._taken.get(key, 0) + 1
                    return found[self._taken[key] - 1]
                self._arrived.clear()
                await self._arrived.wait()
