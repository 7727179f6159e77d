"""The authentication of a connection expires, and clients renew it, over each transport."""

import asyncio
from functools import partial
from typing import Any, Final

import pytest

from protocol import (
    AuthenticationRefreshContext,
    AuthenticationRefreshError,
    ConnectionClosed,
    EndpointOptions,
    HttpTransportType,
    HubConnection,
    HubConnectionState,
)
from protocol.transports.server import http_dispatcher
from tests.support.loop_time import LoopTime
from tests.support.number_hub import NumberHub, token_user
from tests.support.waiting import until
from tests.transports.client.builders import builder

from .host import CLOSE_TIMEOUT, Host

LIFETIME: Final = 10.0
TRANSPORTS: Final = (
    HttpTransportType.WEB_SOCKETS,
    HttpTransportType.SERVER_SENT_EVENTS,
    HttpTransportType.LONG_POLLING,
)


class Tokens:
    """A token factory. Its tokens expire ``LIFETIME`` after they were made."""

    def __init__(self, name: str = "ann") -> None:
        self.name = name
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"{self.name}:{self.count}:{asyncio.get_running_loop().time() + LIFETIME}"


@pytest.fixture
async def time(monkeypatch: pytest.MonkeyPatch) -> LoopTime:
    """The time of the loop, which is also that of the server's wall clock."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(http_dispatcher, "_wall_clock", lambda: loop.time())
    return LoopTime(monkeypatch)


def host(**options: Any) -> Host:
    host = Host()
    host.map(
        hub_class=NumberHub,
        endpoint_options=EndpointOptions(
            authenticate=token_user,
            authorize=True,
            close_on_authentication_expiration=True,
            close_timeout=CLOSE_TIMEOUT,
            **options,
        ),
    )
    return host


class Client:
    """A connection, and what its callbacks get."""

    def __init__(self, host: Host, transport: HttpTransportType) -> None:
        self.tokens = Tokens()
        self.connection: HubConnection = builder(
            f"{host.url}/hub", transports=transport, access_token_factory=self.tokens
        ).build()
        self.refreshed: list[float | None] = []
        self.failures: list[Exception] = []
        self.numbers: list[str] = []
        self.closed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.connection.on_authentication_refreshed(self.refreshed.append)
        self.connection.on_authentication_refresh_failed(self.failures.append)
        self.connection.on_closed(self.closed.set_result)
        self.connection.on("Refreshed", self.numbers.append)

    async def __aenter__(self) -> "Client":
        await self.connection.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.stop()

    def has_refreshed(self, count: int) -> bool:
        return len(self.numbers) == count

    async def number(self) -> str:
        return await self.connection.invoke("Number", result_type=str)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_expiry(time: LoopTime, transport: HttpTransportType) -> None:
    """A-8: the connection ends with a Close that allows a reconnect."""
    async with host().run() as running, Client(running, transport) as client:
        time.skip(LIFETIME / 2)
        await client.number()
        time.skip(LIFETIME / 2)
        end = await client.closed
        assert isinstance(end, ConnectionClosed)
        assert end.allow_reconnect
        assert "error" not in str(end)
        assert client.tokens.count <= 2


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_that_refreshes_stays(time: LoopTime, transport: HttpTransportType) -> None:
    """AR-1 … AR-7, A-8: calls see the user of the newest token."""
    async with (
        host(enable_authentication_refresh=True).run() as running,
        Client(running, transport) as client,
    ):
        for count in range(1, 5):
            before = await client.number()
            time.skip(LIFETIME / 2)
            await until(partial(client.has_refreshed, count))
            assert await client.number() == client.numbers[-1] != before
        assert len(client.refreshed) == 4
        assert {round(lifetime or 0) for lifetime in client.refreshed} <= {9, 10}
        assert client.failures == []
        assert client.connection.state is HubConnectionState.CONNECTED


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_refresh_that_is_refused(time: LoopTime, transport: HttpTransportType) -> None:
    """AR-3, AR-5a, A-8: the connection stays until its authentication expires."""
    asked: list[AuthenticationRefreshContext] = []

    async def refuse(context: AuthenticationRefreshContext) -> bool:
        asked.append(context)
        return False

    options: dict[str, Any] = {
        "enable_authentication_refresh": True,
        "on_authentication_refresh": refuse,
    }
    async with host(**options).run() as running, Client(running, transport) as client:
        before = await client.number()
        time.skip(LIFETIME / 2)
        await until(lambda: client.failures)
        [failure] = client.failures
        assert isinstance(failure, AuthenticationRefreshError)
        assert failure.status == 403
        [context] = asked
        assert context.connection_id == client.connection.connection_id
        assert context.http_request.path == "/hub/refresh"
        assert await client.number() == before
        time.skip(LIFETIME / 2)
        assert await client.closed is not None
        assert len(asked) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_refresh_by_another_user(time: LoopTime, transport: HttpTransportType) -> None:
    """AR-6: the connection ends, and the new user gets nothing that belongs to the old one."""
    async with (
        host(enable_authentication_refresh=True).run() as running,
        Client(running, transport) as client,
    ):
        client.tokens.name = "bob"
        with pytest.raises(AuthenticationRefreshError):
            await client.connection.refresh_authentication()
        end = await client.closed
        assert isinstance(end, ConnectionClosed)
        assert not end.allow_reconnect


async def test_a_server_without_refreshes(time: LoopTime) -> None:
    """AR-3, AR-5a."""
    async with host().run() as running, Client(running, TRANSPORTS[0]) as client:
        with pytest.raises(AuthenticationRefreshError) as caught:
            await client.connection.refresh_authentication()
        assert caught.value.status == 404
        assert await client.number() == "2"
