"""10 000 numbered events to 200 clients, while the real hub behind the gateway stops twice."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.interop.drivers import ClientDriver, DrivenConnection
from tests.interop.journal import PATIENCE
from tests.interop.servers import GatewayServer, HubServer

pytestmark = pytest.mark.parametrize("program", ["newtonsoft"], indirect=True)

CLIENTS = 200
EVENTS = 10_000
CALL = 1000
"""Events that one call of the hub's method sends."""
STOPPED, KILLED = 3000, 6000
"""The first numbers of the calls during which the hub stops: by SIGTERM, and by SIGKILL."""

SEPARATOR = "\x1e"
PING = '{"type":6}' + SEPARATOR


def record(number: int) -> str:
    """The text of an event as a client receives it."""
    arguments = f"[[{number}],{{}}]"
    return f'{{"type":1,"target":"ReceiveNumber","arguments":{arguments}}}{SEPARATOR}'


class Listener:
    """A client that keeps a digest of all that it receives, and on request the text."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, keep: list[str] | None) -> None:
        self._socket = socket
        self._keep = keep
        self._digest = hashlib.sha256()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> str:
        """Reads until the last event has arrived; returns the digest."""
        last = record(EVENTS - 1)
        tail = ""
        while not tail.endswith(last):
            text = (await self._socket.receive_str()).replace(PING, "")
            self._digest.update(text.encode())
            if self._keep is not None:
                self._keep.append(text)
            tail = (tail + text)[-len(last) :]
        return self._digest.hexdigest()


@asynccontextmanager
async def listening(gateway: GatewayServer, kept: list[str]) -> AsyncIterator[list[Listener]]:
    """As many clients as there should be but for two, of which one keeps what it hears."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        listeners = []
        for number in range(CLIENTS - 2):
            socket = await session.ws_connect(gateway.url("/gatewayhub"), max_msg_size=0)
            await socket.send_str('{"protocol":"json","version":1}' + SEPARATOR)
            assert await socket.receive_str() == "{}" + SEPARATOR
            listeners.append(Listener(socket, kept if number == 0 else None))
        yield listeners


async def listener(driver: ClientDriver, gateway: GatewayServer) -> DrivenConnection:
    client = await driver.connect(gateway.url("/gatewayhub"))
    await client.on("ReceiveNumber", "object", "object")
    await client.start()
    return client


async def sent(gateway: GatewayServer, body: str) -> int:
    """The answer to a call that was sent to the hub."""
    while (status := (await gateway.post("chatservice", "count", body)).status) == 503:
        pass  # the gateway has waited for the hub itself
    return status


async def count(gateway: GatewayServer, hub: HubServer) -> dict[int, int]:
    """Lets the hub count to the end; how each call was answered, by its first number.

    A call that may have run is not made again, and the next one does not wait for the hub. A call
    that was never sent (503), because the hub takes long to start, is made again.
    """
    statuses = {}
    going = {STOPPED: hub.stop, KILLED: hub.kill}
    coming: list[asyncio.Task[None]] = []
    for first in range(0, EVENTS, CALL):
        hold = "half" if first in going else ""
        call = asyncio.create_task(sent(gateway, json.dumps([first, CALL, hold])))
        if first in going:
            await hub.holding(hold)
            await going[first]()
        statuses[first] = await call
        if first in going:
            coming.append(asyncio.create_task(hub.start()))
    await asyncio.gather(*coming)
    return statuses


async def test_gaps_only_while_the_hub_is_away(
    own_hub: HubServer, dotnet_driver: ClientDriver, node_driver: ClientDriver
) -> None:
    """GW-24, GW-27, GW-9: no event twice, none out of order, and all clients the same."""
    text: list[str] = []
    async with (
        GatewayServer.before({"chatservice": own_hub}) as gateway,
        listening(gateway, text) as listeners,
    ):
        official = [await listener(driver, gateway) for driver in (dotnet_driver, node_driver)]
        statuses = await count(gateway, own_hub)
        async with asyncio.timeout(PATIENCE):
            digests = await asyncio.gather(*(it.reading for it in listeners))
        assert len(set(digests)) == 1
        records = "".join(text).split(SEPARATOR)[:-1]
        numbers = [json.loads(each)["arguments"][0][0] for each in records]
        for client in official:
            calls = await client.calls("ReceiveNumber", len(numbers))
            assert [arguments[0].plain for arguments in calls] == [[it] for it in numbers]
            await client.stop()

    assert statuses == {
        first: 502 if first in (STOPPED, KILLED) else 200 for first in range(0, EVENTS, CALL)
    }
    assert numbers == sorted(set(numbers))
    missing = set(range(EVENTS)) - set(numbers)
    half = CALL // 2
    after_stop = set(range(STOPPED + half, STOPPED + CALL))
    after_kill = set(range(KILLED + half, KILLED + CALL))
    assert missing >= after_stop | after_kill
    lost = missing - after_stop - after_kill  # lost with the killed connection
    assert lost <= set(range(KILLED, KILLED + half))
    assert lost == set(range(KILLED + half - len(lost), KILLED + half))
