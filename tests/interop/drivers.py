"""Official clients in other languages, which get their commands from here as lines of JSON.

`dotnet/client-driver`, `node/driver.mjs` and, in a browser, `node/driver.html` have the same
commands, so that one test can use each of them. A value that a client passes to its user arrives as
`Value`.
"""

import asyncio
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.interop.browser import Page
from tests.interop.builds import dotnet_program, node_program, require
from tests.interop.journal import PATIENCE, Journal
from tests.interop.processes import LineProcess
from tests.interop.versions import build_properties


@dataclass(frozen=True)
class Value:
    """A value that the client's user has received.

    `type` is the name of its type in .NET or JavaScript, None for null. The value of a JsonElement
    or a JToken is its JSON text.
    """

    type: str | None
    value: Any

    @property
    def plain(self) -> Any:
        """The value itself, JSON text decoded."""
        is_json = self.type in {"JsonElement", "JObject", "JArray"}
        return json.loads(self.value) if is_json else self.value


def dotnet_driver_argv(version: str) -> tuple[str, ...]:
    """How the driver of the .NET client of that release is started."""
    program = dotnet_program("client-driver", **build_properties(version))
    return require("dotnet"), str(program)


def node_driver_argv() -> tuple[str, ...]:
    """How the driver of the JavaScript client is started."""
    return require("node"), str(node_program() / "driver.mjs")


class DriverError(Exception):
    """An exception that a command threw in the client, with the name of its type and its
    message."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(f"{type}: {message}")
        self.type = type
        self.message = message


@dataclass(frozen=True)
class Event:
    """An event of a connection: `call`, `tallied`, `closed`, `reconnecting` or `reconnected`."""

    kind: str
    detail: dict[str, Any]

    def is_call(self, method: str) -> bool:
        return self.kind == "call" and self.detail["method"] == method


class ClientDriver(ABC):
    """A driver; it holds any number of connections."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._connections: dict[str, DrivenConnection] = {}

    async def connect(self, url: str, **options: Any) -> "DrivenConnection":
        """A new connection, not started yet; options are those of the command `build`."""
        name = f"c{next(self._numbers)}"
        connection = self._connections[name] = DrivenConnection(self, name)
        await self.command("build", conn=name, url=url, **options)
        return connection

    async def command(self, cmd: str, **fields: Any) -> Any:
        """Sends a command and waits for its reply. Raises DriverError when it threw."""
        number = next(self._numbers)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        await self._write(json.dumps({"cmd": cmd, "id": number, **fields}))
        async with asyncio.timeout(PATIENCE):
            return await reply

    @abstractmethod
    async def _write(self, line: str) -> None:
        """Sends a command to the driver."""

    def _receive(self, line: str) -> None:
        if not line.startswith("{"):
            return  # a message of the runtime; a test that misses a reply shows it among the lines
        message = json.loads(line)
        if message["event"] == "reply":
            reply = self._replies.pop(message["id"])
            if reply.done():  # no test waits for this reply any more
                return
            if message["ok"]:
                reply.set_result(message["result"])
            else:
                reply.set_exception(DriverError(**message["error"]))
        elif "conn" in message:
            event = Event(message["event"], message["detail"])
            self._connections[message["conn"]].events.add(event)


class ProcessDriver(ClientDriver):
    """A driver that is a process of its own."""

    _process: LineProcess

    @classmethod
    async def start(cls, *argv: str) -> "ProcessDriver":
        driver = cls()
        driver._process = await LineProcess.start(*argv, on_line=driver._receive)
        await driver._process.line('"ready"')
        return driver

    async def exit(self) -> None:
        """Ends the driver like a program that is finished."""
        await self._process.end_input()

    def freeze(self) -> None:
        """Suspends the driver until ``thaw``."""
        self._process.freeze()

    def thaw(self) -> None:
        self._process.thaw()

    async def kill(self) -> None:
        """Kills the driver, so that no connection is closed."""
        await self._process.kill()

    async def _write(self, line: str) -> None:
        await self._process.write(line + "\n")


class PageDriver(ClientDriver):
    """A driver in a tab of a browser."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page

    @classmethod
    async def open(cls, page: Page, url: str) -> "PageDriver":
        """`url` is the address of `driver.html`, whose origin is the origin of all requests."""
        driver = cls(page)
        await page.open("about:blank")
        await page.bind("report", driver._receive)
        await page.go(url)
        await page.evaluate("typeof drive === 'function' || Promise.reject('no driver')")
        return driver

    async def _write(self, line: str) -> None:
        await self._page.evaluate(f"void drive({json.dumps(line)})")


class DrivenConnection:
    """A HubConnection in a driver process."""

    def __init__(self, driver: ClientDriver, name: str) -> None:
        self.events = Journal[Event](f"events of {name}")
        self._driver = driver
        self._name = name

    async def on(self, method: str, *types: str) -> None:
        """Registers a handler whose calls `calls` reads. JavaScript ignores the types."""
        await self._command("on", method=method, types=types)

    async def answer(
        self, method: str, *types: str, result: str | None = None, throws: str | None = None
    ) -> None:
        """Registers a handler that answers a client result with a text or an exception."""
        thrown = {} if throws is None else {"throws": throws}
        fields = {"returns": "string", "result": result, **thrown}
        await self._command("on", method=method, types=types, **fields)

    async def start(self) -> str:
        """Starts the connection and returns its id, which the .NET client of ASP.NET Core 2 does
        not know."""
        return str((await self._command("start"))["connectionId"])

    async def stop(self) -> None:
        await self._command("stop")

    async def refresh(self) -> None:
        """Sends a new access token, as the .NET client from version 11 on can."""
        await self._command("refresh")

    async def state(self) -> str:
        """The client's name for its state, such as `Connected`."""
        return str((await self._command("state"))["state"])

    async def invoke(
        self,
        target: str,
        *args: Any,
        result: str = "object",
        types: Sequence[str] = (),
        upload: Sequence[int] | None = None,
    ) -> Value:
        """Invokes and waits for the result of that .NET type. Raises DriverError.

        ``types`` are those of the arguments, where the next best ones will not do. The items of
        ``upload`` are sent as a stream, the last argument.
        """
        more: dict[str, Any] = {"types": types} if types else {}
        if upload is not None:
            more["upload"] = upload
        return Value(
            **await self._command("invoke", target=target, args=args, result=result, **more)
        )

    async def stream(
        self,
        target: str,
        *args: Any,
        result: str,
        take: int | None = None,
        upload: Sequence[int] | None = None,
    ) -> list[Any]:
        """The items of a stream, of that .NET type. Raises DriverError.

        After ``take`` items the stream is cancelled. ``upload`` is as in ``invoke``.
        """
        given = {"take": take, "upload": upload}
        more = {name: value for name, value in given.items() if value is not None}
        items = await self._command("stream", target=target, args=args, result=result, **more)
        return [Value(**item).value for item in items]

    async def send(self, target: str, *args: Any) -> None:
        await self._command("send", target=target, args=args)

    async def tally(self, method: str, count: int) -> None:
        """Registers a handler of the numbers from 0 to ``count`` - 1, for `tallied`."""
        await self._command("tally", method=method, count=count)

    async def tallied(self) -> tuple[int, list[int]]:
        """Waits for the last number of a tally.

        Returns how many numbers have arrived, and those that did not follow their predecessors.
        """
        detail = await self.event("tallied")
        return detail["received"], detail["strange"]

    async def send_numbers(self, target: str, first: int, count: int) -> None:
        """Sends ``count`` consecutive numbers, each in a message of its own."""
        await self._command("sendNumbers", target=target, first=first, count=count)

    async def event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Waits until `count` events of this kind have arrived; returns the detail of the last of
        them."""
        events = await self.events.wait(count, lambda event: event.kind == kind)
        return events[count - 1].detail

    async def closed(self, count: int = 1) -> str | None:
        """Waits until the connection has ended `count` times; returns the error of the last end."""
        error = (await self.event("closed", count))["error"]
        return None if error is None else f"{error['type']}: {error['message']}"

    def kinds(self) -> list[str]:
        """The kinds of the events so far, without calls of handlers."""
        return [event.kind for event in self.events.entries if event.kind != "call"]

    async def calls(self, method: str, count: int) -> list[list[Value]]:
        """Waits until `method` was called `count` times; returns the arguments of each call so
        far."""
        calls = await self.events.wait(count, lambda event: event.is_call(method))
        return [[Value(**argument) for argument in call.detail["args"]] for call in calls]

    async def _command(self, cmd: str, **fields: Any) -> Any:
        return await self._driver.command(cmd, conn=self._name, **fields)
