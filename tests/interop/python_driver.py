"""Our client with the interface of the drivers, so that the same tests run with all clients.

It runs in this process, and has the commands of `dotnet/client-driver` and `node/driver.mjs`.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from protocol import (
    HttpTransportType,
    HubConnection,
    HubConnectionBuilder,
    HubStream,
    JsonHubProtocol,
    MessagePackHubProtocol,
)
from tests.interop.drivers import ClientDriver
from tests.vectors.value_types import Person

_TRANSPORTS: Final = {
    "WebSockets": HttpTransportType.WEB_SOCKETS,
    "ServerSentEvents": HttpTransportType.SERVER_SENT_EVENTS,
    "LongPolling": HttpTransportType.LONG_POLLING,
}
_HUB_PROTOCOLS: Final = {"json": JsonHubProtocol, "messagepack": MessagePackHubProtocol}
_TYPES: Final = {"object": Any, "string": str, "int": int, "Person": Person}

Write = Callable[[dict[str, Any]], None]


class PythonDriver(ClientDriver):
    """Runs each command in a task of its own, as the other drivers do."""

    def __init__(self) -> None:
        super().__init__()
        self._driven: dict[str, _Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def _write(self, line: str) -> None:
        task = asyncio.create_task(self._answer(json.loads(line)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, command: dict[str, Any]) -> None:
        name, reply = command["conn"], {"event": "reply", "id": command["id"]}
        try:
            result = None
            if command["cmd"] == "build":
                self._driven[name] = _Connection(command, self._tell)
            else:
                result = await self._driven[name].run(command)
        except Exception as error:  # any exception that the client's user would get
            self._tell({**reply, "ok": False, "error": _described(error)})
        else:
            self._tell({**reply, "ok": True, "result": result})

    def _tell(self, event: dict[str, Any]) -> None:
        self._receive(json.dumps(event))


class _Connection:
    """One HubConnection, the commands on it, and the events it raises."""

    def __init__(self, command: dict[str, Any], write: Write) -> None:
        self._name = command["conn"]
        self._write = write
        hub = self._hub = _built(command)
        hub.on_closed(lambda error: self._event("closed", error=_described(error)))
        hub.on_reconnecting(lambda error: self._event("reconnecting", error=_described(error)))
        hub.on_reconnected(lambda new_id: self._event("reconnected", connectionId=new_id))

    def _event(self, kind: str, **detail: Any) -> None:
        self._write({"event": kind, "conn": self._name, "detail": detail})

    async def run(self, command: dict[str, Any]) -> Any:
        hub = self._hub
        match command["cmd"]:
            case "start":
                await hub.start()
            case "stop":
                await hub.stop()
            case "state":
                pass
            case "on":
                self._add_handler(command)
                return None
            case "send":
                await hub.send(command["target"], *_arguments(command))
                return None
            case "invoke":
                wanted: Any = _TYPES[command["result"]]
                arguments = _arguments(command)
                return _value(await hub.invoke(command["target"], *arguments, result_type=wanted))
            case "tally":
                self._tally(command)
                return None
            case "sendNumbers":
                for number in range(command["first"], command["first"] + command["count"]):
                    await hub.send(command["target"], number)
                return None
            case "stream":
                return await self._stream(command)
            case other:
                raise ValueError(f"unknown command '{other}'")
        return {"state": hub.state.value, "connectionId": hub.connection_id}

    def _add_handler(self, command: dict[str, Any]) -> None:
        method = command["method"]

        def called(*arguments: Any) -> None:
            self._event("call", method=method, args=[_value(argument) for argument in arguments])

        def answer(*arguments: Any) -> Any:
            if "throws" in command:
                raise LookupError(command["throws"])
            return command["result"]

        self._hub.on(method, answer if "returns" in command else called)

    def _tally(self, command: dict[str, Any]) -> None:
        numbers: list[int] = []

        def called(number: int) -> None:
            numbers.append(number)
            if number == command["count"] - 1:
                pairs = itertools.pairwise([-1, *numbers])
                strange = [number for before, number in pairs if number != before + 1]
                self._event("tallied", received=len(numbers), strange=strange)

        self._hub.on(command["method"], called)

    async def _stream(self, command: dict[str, Any]) -> list[Any]:
        """Returns the items. After ``take`` items the stream is cancelled."""
        items: list[Any] = []
        stream: HubStream[Any] = self._hub.stream(
            command["target"], *_arguments(command), item_type=_TYPES[command["result"]]
        )
        async with contextlib.aclosing(stream):
            async for item in stream:
                items.append(_value(item))
                if len(items) == command.get("take"):
                    break
        return items


def _built(command: dict[str, Any]) -> HubConnection:
    name = command.get("protocol", "json")
    if name not in _HUB_PROTOCOLS:
        raise ValueError(f"this client has no protocol '{name}'")
    transports = _TRANSPORTS.get(command.get("transports", ""), HttpTransportType.ALL)
    token = command.get("token")
    builder = HubConnectionBuilder().with_url(
        command["url"], transports=transports, access_token_factory=token and (lambda: token)
    )
    builder.with_hub_protocol(_HUB_PROTOCOLS[name]())
    if "keepAlive" in command:
        builder.with_keep_alive_interval(command["keepAlive"] / 1000)
    if "serverTimeout" in command:
        builder.with_server_timeout(command["serverTimeout"] / 1000)
    if "reconnect" in command:
        builder.with_automatic_reconnect([delay / 1000 for delay in command["reconnect"]])
    return builder.build()


def _arguments(command: dict[str, Any]) -> list[Any]:
    given: list[Any] = command["args"]
    if "upload" in command:
        return [*given, _uploaded(command["upload"])]
    if "types" not in command:
        return given
    json_protocol = JsonHubProtocol()
    return [
        json_protocol.value_reader(_TYPES[name])(msgspec.Raw(json.dumps(value)))
        for value, name in zip(given, command["types"], strict=True)
    ]


async def _uploaded(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def _value(value: Any) -> dict[str, Any]:
    plain = json.loads(bytes(JsonHubProtocol().encode_value(value)))
    return {"type": None if value is None else type(value).__name__, "value": plain}


def _described(error: BaseException | None) -> dict[str, str] | None:
    return None if error is None else {"type": type(error).__name__, "message": str(error)}
