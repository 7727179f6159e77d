"""Programs that are stopped for longer than their timeouts, blocked event loops, and a wall clock
that jumps. The timeouts are below a second."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from protocol import HubOptions, map_hub
from signalr_gateway.serving.listener import serving
from tests.interop.chat_hub import ChatHub
from tests.interop.drivers import ClientDriver, DrivenConnection, ProcessDriver, node_driver_argv
from tests.interop.journal import REPEATEDLY
from tests.interop.python_driver import PythonDriver
from tests.interop.servers import GatewayServer, HubServer, python_hub, running

TRANSPORTS = ("WebSockets", "ServerSentEvents", "LongPolling")
LONGER_THAN_TIMEOUTS = 1.6
"""Seconds for which programs are stopped or blocked."""


async def idle() -> None:
    """Lets the time pass that is longer than the timeouts."""
    never = asyncio.get_running_loop().create_future()
    await asyncio.wait({never}, timeout=LONGER_THAN_TIMEOUTS)


def block() -> None:
    """Blocks the event loop of this process for longer than the timeouts."""
    time.sleep(LONGER_THAN_TIMEOUTS)


async def connections(driver: ClientDriver, url: str, **options: Any) -> list[DrivenConnection]:
    """One connection over each transport, which has started."""
    options = {"keepAlive": 100, **options}
    made = [await driver.connect(url, transports=name, **options) for name in TRANSPORTS]
    for connection in made:
        await connection.on("ReceiveText", "string")
        await connection.start()
    return made


async def use(connection: DrivenConnection) -> None:
    """Checks that calls and events arrive."""
    assert (await connection.invoke("Add", 1, 2, result="int")).value == 3
    await connection.send("SendToCaller", "still here")
    assert (await connection.calls("ReceiveText", 1))[0][0].value == "still here"


async def go_on(clients: list[DrivenConnection]) -> None:
    """Checks that the clients are connected and were never disconnected, and stops them."""
    assert [client.kinds() for client in clients] == [[] for _ in clients]
    await asyncio.gather(*map(use, clients))
    await asyncio.gather(*(client.stop() for client in clients))
    assert [client.kinds() for client in clients] == [["closed"] for _ in clients]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def impatient_hub() -> AsyncIterator[HubServer]:
    """A hub that pings often, and disconnects silent clients soon."""
    program = python_hub().with_environment(HUB_KEEPALIVE="100", HUB_TIMEOUT="900")
    async with running(program) as hub:
        yield hub


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def patient_hub() -> AsyncIterator[HubServer]:
    """A hub that pings often."""
    async with running(python_hub().with_environment(HUB_KEEPALIVE="100")) as hub:
        yield hub


async def test_a_stopped_hub_keeps_its_clients(
    impatient_hub: HubServer, node_driver: ClientDriver
) -> None:
    """K-3: what clients sent while the hub was stopped is read before the timeout counts."""
    clients = await connections(node_driver, impatient_hub.url)
    clients += await connections(PythonDriver(), impatient_hub.url)
    impatient_hub.freeze()
    await idle()
    impatient_hub.thaw()
    await go_on(clients)


async def test_a_stopped_client_is_disconnected(impatient_hub: HubServer) -> None:
    """K-3, TL-11: the client reconnects when it continues. A client that polls never times out."""
    driver = await ProcessDriver.start(*node_driver_argv())
    clients = await connections(driver, impatient_hub.url, reconnect=REPEATEDLY)
    ids = [str((await client.invoke("ConnectionId")).plain) for client in clients]
    driver.freeze()
    for connection_id in ids[:2]:
        await impatient_hub.gave_up(connection_id)
    driver.thaw()
    for client in clients[:2]:
        await client.event("reconnected")
    await asyncio.gather(*map(use, clients))
    assert clients[2].kinds() == []
    await driver.exit()


async def test_a_blocked_client(patient_hub: HubServer) -> None:
    """K-2: what the hub sent while the client's event loop was blocked is read before the timeout
    counts."""
    clients = await connections(PythonDriver(), patient_hub.url, serverTimeout=900)
    block()
    await go_on(clients)


class WallClock:
    """The time of ``time.time``, which a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = time.time
        self.offset = 0.0
        monkeypatch.setattr(time, "time", lambda: self._real() + self.offset)


@asynccontextmanager
async def hub_in_this_process() -> AsyncIterator[str]:
    app = web.Application()
    options = HubOptions(keep_alive_interval=0.1, client_timeout_interval=0.9)
    map_hub(app, "/chathub", ChatHub, hub_options=options)
    async with serving(app, "127.0.0.1", 0) as address:
        yield f"{address}/chathub"


async def test_a_wall_clock_that_jumps(
    node_driver: ClientDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K-1…K-4: a day forward ends no connection, and a day back delays no ping.

    The hub and one client are in this process. The other client keeps its time.
    """
    wall_clock = WallClock(monkeypatch)
    async with hub_in_this_process() as url:
        clients = await connections(node_driver, url, serverTimeout=900)
        clients += await connections(PythonDriver(), url, serverTimeout=900)
        for offset in (86_400.0, -86_400.0):
            wall_clock.offset = offset
            await idle()
        await go_on(clients)


GATEWAY = """
[gateway_hub]
keep_alive_interval = 0.1
client_timeout_interval = 0.9

[hubs.chatservice]
url = "{url}"
keep_alive_interval = 0.1
server_timeout = 0.9

[hubs.chatservice.routes.add]
invoke_method = "Add"
receive_method = "ReceiveText"
"""


async def test_a_stopped_gateway(
    patient_hub: HubServer, node_driver: ClientDriver, tmp_path: Path
) -> None:
    """K-2, K-3: it keeps its clients and its connection to the hub."""
    path = tmp_path / "gateway.toml"
    path.write_text(GATEWAY.format(url=patient_hub.url), encoding="utf-8")
    async with GatewayServer("run", str(path)) as gateway:
        await gateway.hubs_are("connected")
        clients = await connections(node_driver, gateway.url("/gatewayhub"))
        clients += await connections(PythonDriver(), gateway.url("/gatewayhub"))
        gateway.freeze()
        await idle()
        gateway.thaw()
        assert (await gateway.post("chatservice", "add", "[1, 2]")).body == b"3"
        assert [client.kinds() for client in clients] == [[] for _ in clients]
        await asyncio.gather(*(client.stop() for client in clients))
        assert not [line for line in gateway.output if "reconnecting" in line]
