"""Our client and ASP.NET Core with nginx between them, over each transport that nginx passes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from protocol import HttpTransportType, HubConnection, HubConnectionBuilder
from protocol.http_transport_type import TRANSPORT_NAMES
from tests.interop.proxies import Proxy, running_proxy
from tests.interop.python_client import Diary
from tests.interop.servers import HubServer

pytestmark = pytest.mark.parametrize("program", ["system-text-json"], indirect=True)

EACH = pytest.mark.parametrize(
    "transport", [pytest.param(it, id=name) for it, name in TRANSPORT_NAMES.items()]
)


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(hub: HubServer, tmp_path: Path) -> AsyncIterator[Proxy]:
    async with running_proxy(hub, tmp_path) as proxy:
        yield proxy


async def talk(connection: HubConnection) -> None:
    """Calls and events in both directions.

    The second event is sent after a long time without messages of the client.
    """
    diary = Diary(connection)
    async with connection:
        assert await connection.invoke("Add", 1, 2) == 3
        text = "x" * 200_000
        assert await connection.invoke("Echo", text) == text
        await connection.send("SendToCaller", "told")
        await connection.send("Later", 1500, "later")
        assert await diary.calls.wait(2) == [("told",), ("later",)]


@EACH
async def test_behind_a_prefix(proxy: Proxy, transport: HttpTransportType) -> None:
    await talk(
        HubConnectionBuilder().with_url(proxy.url("upgrading"), transports=transport).build()
    )


async def test_a_proxy_that_does_not_upgrade(proxy: Proxy) -> None:
    """N-24: the hub takes the WebSocket's request for a poll; events are next, by a new offer."""
    await talk(HubConnectionBuilder().with_url(proxy.url("plain")).build())
    await proxy.asked(r"^GET /plain/chathub\?id=\S+ 200")
    await proxy.asked(r"^POST /plain/chathub\?id=\S+ 200")


@EACH
async def test_a_cookie_that_leads_to_the_right_server(
    proxy: Proxy, transport: HttpTransportType
) -> None:
    """TC-4: whoever does not show the cookie of negotiate's answer is lost."""
    await talk(HubConnectionBuilder().with_url(proxy.url("sticky"), transports=transport).build())


@EACH
async def test_a_hub_that_has_moved(proxy: Proxy, transport: HttpTransportType) -> None:
    """N-21: 307 on negotiate, and on whatever follows."""
    url = f"{proxy.url('moved')}?tenant=a%2Fb"
    await talk(HubConnectionBuilder().with_url(url, transports=transport).build())
    await proxy.asked(r"^POST /moved/chathub/negotiate\?tenant=a%2Fb&negotiateVersion=1 307")
    await proxy.asked(r"^POST /upgrading/chathub/negotiate\?tenant=a%2Fb&negotiateVersion=1 200")
