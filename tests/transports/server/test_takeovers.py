"""A storm of takeovers: many sockets at once for one connection with stateful reconnect."""

import asyncio
import gc
import json
from contextlib import suppress
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web

from protocol import EndpointOptions, HttpRequestData, Hub, Principal, hub_method, map_hub
from tests.support.hub_messages import STATEFUL_HANDSHAKE, call, joined, sequence
from tests.support.waiting import until
from tests.transports.host import running

TAKEOVERS: Final = 100
STRANGERS: Final = 40
STORMS: Final = 2
LASTING_TASKS: Final = 7
"""Those of the test, its reader, and the server with one connection."""


class NumberHub(Hub):
    noted: list[int]

    @hub_method
    async def note(self, number: int) -> int:
        self.noted.append(number)
        await self.clients.all.send("Noted", number)
        return number


def user_of(request: HttpRequestData) -> Principal:
    return Principal(user_id=request.headers.get("X-User"), roles=frozenset(), claims={})


class Socket:
    """A WebSocket of the connection, and what it receives until it ends."""

    def __init__(self, web_socket: aiohttp.ClientWebSocketResponse) -> None:
        self._web_socket = web_socket
        self.records: list[dict[str, Any]] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._web_socket:
            self.records += map(json.loads, message.data.split("\x1e")[:-1])

    async def send(self, *records: Any) -> None:
        with suppress(ConnectionError):  # another socket has taken over
            await self._web_socket.send_bytes(joined(*records))

    def messages(self) -> list[Any]:
        """The numbers of the events and the results, in order of arrival."""
        values = {1: lambda it: it["arguments"], 3: lambda it: it["result"]}
        return [values[it["type"]](it) for it in self.records if it["type"] in values]


class Client:
    """The client of one connection of user A. It acknowledges nothing."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self._id = ""
        self._calls: list[dict[str, Any]] = []

    async def connect(self) -> None:
        query = "negotiateVersion=1&useStatefulReconnect=true"
        async with self._session.post(
            f"{self._url}/negotiate?{query}", headers={"X-User": "A"}
        ) as answer:
            self._id = (await answer.json())["connectionToken"]
        socket = await self._open()
        await socket.send(STATEFUL_HANDSHAKE)
        await until(lambda: socket.records == [{}])

    async def _open(self, user: str = "A") -> Socket:
        headers = {"X-User": user}
        return Socket(await self._session.ws_connect(f"{self._url}?id={self._id}", headers=headers))

    async def take_over(self) -> Socket:
        """Opens another socket, and sends all calls again."""
        socket = await self._open()
        await socket.send(sequence(1), *self._calls)
        return socket

    async def refused(self) -> int:
        """The status of the answer to another user."""
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await self._open("B")
        return error.value.status

    async def storm(self) -> Socket:
        """Makes a call, and opens many sockets at once. Returns the one that is left."""
        number = len(self._calls)
        self._calls.append(call("Note", number, id=str(number)))
        async with asyncio.TaskGroup() as group:
            opening = [group.create_task(self.take_over()) for _ in range(TAKEOVERS)]
            refusals = [group.create_task(self.refused()) for _ in range(STRANGERS)]
        assert {task.result() for task in refusals} == {403}
        sockets = [task.result() for task in opening]
        await until(lambda: sum(not it.reading.done() for it in sockets) == 1)
        (socket,) = (it for it in sockets if not it.reading.done())
        return socket


async def test_a_storm_of_takeovers() -> None:
    """SR-12, A-9: one socket is left and gets every message, no call is lost or run twice, another
    user is refused, and a storm leaves no objects in memory."""
    NumberHub.noted = []
    app = web.Application()
    options = EndpointOptions(authenticate=user_of, allow_stateful_reconnects=True)
    map_hub(app, "/hub", NumberHub, endpoint_options=options)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with running(app) as url, aiohttp.ClientSession(connector=connector) as session:
        client = Client(f"{url}/hub", session)
        await client.connect()
        expected: list[Any] = []
        objects: list[int] = []
        left = await client.storm()
        for number in range(STORMS):
            if number:
                left = await client.storm()
            expected += [[number], number]
            await until(lambda: len(left.messages()) >= len(expected))  # noqa: B023
            assert left.records[0] == sequence(1)
            assert left.messages() == expected
            await until(lambda: len(asyncio.all_tasks()) <= LASTING_TASKS)  # those of the server
            gc.collect()
            objects.append(len(gc.get_objects()))
        assert objects[-1] - objects[-2] < 2 * TAKEOVERS
        last = await client.take_over()
        await until(left.reading.done)
        await until(lambda: last.messages() == expected)
    assert NumberHub.noted == [*range(STORMS)]
