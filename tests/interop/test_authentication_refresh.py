"""The .NET 11 client replaces its access token while it is connected to our hub server."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio
from aiohttp import web

from protocol import (
    AuthenticationRefreshContext,
    EndpointOptions,
    map_hub,
)
from tests.interop.drivers import ClientDriver, DriverError, ProcessDriver, dotnet_driver_argv
from tests.interop.matrix import cells
from tests.support.number_hub import NumberHub, token_user
from tests.transports.host import running

VERSION: Final = "11.0.0"
SHORT, LONG, UNUSED = 6.0, 10.0, 1000.0
"""Seconds until tokens expire. The client refreshes at half of what is left."""


def accept(context: AuthenticationRefreshContext) -> bool:
    return bool(context.new_user.claims["number"] != "refused")


def token(number: str, lifetime: float, name: str = "ann") -> str:
    return f"{name}:{number}:{time.time() + lifetime}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def url() -> AsyncIterator[str]:
    app = web.Application()
    options = EndpointOptions(
        authenticate=token_user,
        authorize=True,
        close_on_authentication_expiration=True,
        enable_authentication_refresh=True,
        on_authentication_refresh=accept,
    )
    map_hub(app, "/numbers", NumberHub, endpoint_options=options)
    async with running(app) as address:
        yield f"{address}/numbers"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client() -> AsyncIterator[ClientDriver]:
    driver = await ProcessDriver.start(*dotnet_driver_argv(VERSION))
    yield driver
    await driver.exit()


async def test_the_client_stays(url: str, client: ClientDriver) -> None:
    """AR-1 … AR-7, A-8: over each transport, beyond the expiry of the token it has opened with."""

    async def stay(transport: str) -> None:
        # The client asks for a token for negotiate, once more for a WebSocket, and to refresh.
        opening = 2 if transport == "WebSockets" else 1
        tokens = [token("1", SHORT)] * opening + [token("2", LONG), token("3", UNUSED)]
        connection = await client.connect(url, transports=transport, tokens=tokens)
        await connection.on("Refreshed", "string")
        await connection.start()
        assert (await connection.invoke("Number", result="string")).value == "1"
        await connection.event("refreshed", 2)  # the second one is later than the first expiry
        calls = await connection.calls("Refreshed", 2)
        assert [[each.value for each in call] for call in calls] == [["2"], ["3"]]
        assert (await connection.invoke("Number", result="string")).value == "3"
        assert connection.kinds() == ["refreshed", "refreshed"]
        assert await connection.state() == "Connected"
        await connection.stop()

    await asyncio.gather(*map(stay, cells.TRANSPORTS))


@pytest.mark.parametrize("transport", cells.TRANSPORTS)
async def test_a_refresh_that_is_refused(url: str, client: ClientDriver, transport: str) -> None:
    """AR-3, AR-5a: the client is told, and the connection stays."""
    opening = 2 if transport == "WebSockets" else 1
    tokens = [token("1", UNUSED)] * opening + [token("refused", UNUSED)]
    connection = await client.connect(url, transports=transport, tokens=tokens)
    await connection.start()
    with pytest.raises(DriverError, match="403"):
        await connection.refresh()
    await connection.event("refreshFailed")
    assert (await connection.invoke("Number", result="string")).value == "1"
    await connection.stop()


async def test_a_refresh_of_another_user(url: str, client: ClientDriver) -> None:
    """AR-6: the connection ends, perhaps before the client has read the answer."""
    tokens = [token("1", UNUSED)] * 2 + [token("2", UNUSED, "bob")]
    connection = await client.connect(url, transports="WebSockets", tokens=tokens)
    await connection.start()
    with pytest.raises(DriverError):
        await connection.refresh()
    await connection.closed()
    assert await connection.state() == "Disconnected"
