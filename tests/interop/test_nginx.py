"""Clients and our hub server with Debian's nginx between them (docs/deployment.md).

The tests run with two configurations: with only `proxy_pass`, so that nginx buffers and lets no
WebSockets through, and with the documented configuration.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from protocol import (
    EndpointOptions,
    HttpTransportType,
    Hub,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    NegotiationError,
    map_hub,
)
from signalr_gateway import Orchestrator, create_app
from signalr_gateway.serving.listener import serving, taken
from tests.interop.drivers import ClientDriver
from tests.interop.nginx import USUAL, Proxy, documented, nginx_before, running_nginx
from tests.interop.processes import free_port
from tests.interop.servers import HubServer

ours = pytest.mark.parametrize("program", ["python"], indirect=True)

WEB_SOCKETS = HttpTransportType.WEB_SOCKETS
SERVER_SENT_EVENTS = HttpTransportType.SERVER_SENT_EVENTS
LONG_POLLING = HttpTransportType.LONG_POLLING


@pytest_asyncio.fixture(loop_scope="session")
async def usual(hub: HubServer, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with nginx_before(hub.url, USUAL, tmp_path) as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="session")
async def recommended(hub: HubServer, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with nginx_before(hub.url, documented(), tmp_path) as proxy:
        yield proxy


def connection_by(proxy: Proxy, transports: HttpTransportType) -> HubConnection:
    return (
        HubConnectionBuilder().with_url(f"{proxy.address}/chathub", transports=transports).build()
    )


async def converses(connection: HubConnection) -> None:
    """Calls are answered and events arrive, small ones and large ones, each at once."""
    received: list[str] = []
    connection.on("ReceiveText", received.append)
    await connection.start()
    for number in range(20):
        text = f"{number} " + "x" * (30_000 if number % 5 == 0 else 10)
        await connection.invoke("SendToCaller", text)
        assert received[-1] == text
    assert await connection.invoke("Add", 1, 2) == 3
    await connection.stop()
    assert len(received) == 20


@ours
@pytest.mark.parametrize("transport", [SERVER_SENT_EVENTS, LONG_POLLING])
async def test_usual_configuration(usual: Proxy, transport: HttpTransportType) -> None:
    await converses(connection_by(usual, transport))


@ours
async def test_usual_configuration_lets_no_web_socket_through(usual: Proxy) -> None:
    with pytest.raises(NegotiationError):
        await connection_by(usual, WEB_SOCKETS).start()
    await converses(connection_by(usual, HttpTransportType.ALL))
    await usual.served('"text/event-stream" "-" 200 "text/event-stream"')


@ours
@pytest.mark.parametrize("transport", [WEB_SOCKETS, SERVER_SENT_EVENTS, LONG_POLLING])
async def test_recommended_configuration(recommended: Proxy, transport: HttpTransportType) -> None:
    await converses(connection_by(recommended, transport))


@ours
async def test_official_clients_fall_back(driver: ClientDriver, usual: Proxy) -> None:
    """By themselves, to events."""
    connection = await driver.connect(f"{usual.address}/chathub")
    await connection.on("ReceiveText", "string")
    await connection.start()
    await connection.invoke("SendToCaller", "by events")
    [[argument]] = await connection.calls("ReceiveText", 1)
    assert argument.value == "by events"
    await connection.stop()
    await usual.served('"text/event-stream" "-" 200 "text/event-stream"')


@ours
async def test_official_clients_get_their_web_socket(
    driver: ClientDriver, recommended: Proxy
) -> None:
    connection = await driver.connect(f"{recommended.address}/chathub")
    await connection.start()
    assert (await connection.invoke("Add", 1, 2, result="int")).value == 3
    await connection.stop()
    await recommended.served('"websocket" 101 ')


@ours
async def test_a_client_that_leaves_is_noticed(hub: HubServer, usual: Proxy) -> None:
    """nginx hangs up on the hub when its client does."""
    connection = connection_by(usual, SERVER_SENT_EVENTS)
    await connection.start()
    connection_id = connection.connection_id
    await connection.stop()
    assert connection_id is not None
    await hub.disconnected(connection_id)


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(tmp_path: Path) -> AsyncIterator[Proxy]:
    """The documented configuration before a hub with a list of origins."""
    app = web.Application()
    options = EndpointOptions(allowed_origins=["https://app.example"])
    map_hub(app, "/chathub", Hub, endpoint_options=options)
    async with (
        serving(app, "127.0.0.1", 0) as address,
        nginx_before(address, documented(), tmp_path) as proxy,
    ):
        yield proxy


async def test_pages_of_the_proxy_s_own_origin(guarded: Proxy) -> None:
    """The hub sees the Host that the browser sees: its own pages need not be listed."""
    async with aiohttp.ClientSession() as http:
        url = f"{guarded.address}/chathub"
        for origin in (guarded.address, "https://app.example"):
            async with http.ws_connect(url, headers={"Origin": origin}) as web_socket:
                await web_socket.close()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(url, headers={"Origin": "https://other.example"})
        assert caught.value.status == 403


async def test_a_gateway_on_a_unix_socket(tmp_path: Path) -> None:
    """GW-58: with the documented configuration and the documented address of the socket."""
    file = tmp_path / "gateway.sock"
    port = free_port()
    site = documented().replace("http://127.0.0.1:8080", f"http://unix:{file}")
    site = site.replace("listen 80;", f"listen 127.0.0.1:{port};")
    async with (
        taken((), 0, local_sockets=[f"unix:{file}"]) as address,
        address.serving(create_app(Orchestrator())),
        running_nginx(site, tmp_path),
        HubConnectionBuilder()
        .with_url(f"http://127.0.0.1:{port}/gatewayhub", transports=WEB_SOCKETS)
        .build() as client,
    ):
        call = {"Api": "nosuch", "Key": "room"}
        with pytest.raises(HubException, match="There is no route"):
            await client.invoke("InvokeDownstreamHub", call)
