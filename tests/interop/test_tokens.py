"""A hub that demands a token: all clients over each transport, and our client when it is revoked.

The hub is ASP.NET Core's, as the measure, and ours.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial

import pytest
import pytest_asyncio

from protocol import HubConnectionBuilder, NegotiationError
from protocol.http_transport_type import TRANSPORT_NAMES, HttpTransportType
from signalr_gateway import HubRouteInfo, Orchestrator
from tests.gateway.gateway_clients import Inbox
from tests.gateway.running_gateway import running_gateway
from tests.interop.drivers import DriverError
from tests.interop.journal import REPEATEDLY
from tests.interop.matrix import cells
from tests.interop.matrix.peers import Peers
from tests.interop.python_client import Diary
from tests.interop.servers import HubServer
from tests.interop.token_hub import user_of_token
from tests.support.waiting import until

HUBS = pytest.mark.parametrize("target", [cells.ASPNETCORE, cells.HUB])
EACH_TRANSPORT = pytest.mark.parametrize("transport", cells.TRANSPORTS)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def peers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Peers]:
    async with AsyncExitStack() as stack:
        yield Peers(stack, tmp_path_factory.mktemp("tokens"))


@pytest_asyncio.fixture(loop_scope="session")
async def hub(peers: Peers, target: str) -> HubServer:
    hub = (await peers.target(target)).hub
    assert hub is not None
    return hub


def expected_tokens(client: str, transport: str, token: str) -> set[tuple[str, str, str]]:
    """Where a client sends its token, by transport (A-2, A-3).

    The DELETE that ends long polling is left out for .NET clients: they send none if the hub ends
    their last poll first.
    """
    header = {(token, "header", "POST")}  # negotiate, and what is sent
    uses_query = {
        cells.CHROMIUM: ("WebSockets", "ServerSentEvents"),
        cells.NODE: ("ServerSentEvents",),
    }
    place = "query" if transport in uses_query.get(client, ()) else "header"
    end = transport == "LongPolling" and client not in cells.DOTNET
    return header | {(token, place, "GET")} | ({(token, "header", "DELETE")} if end else set())


@HUBS
@EACH_TRANSPORT
@pytest.mark.parametrize("client", cells.CLIENTS)
async def test_a_token(
    peers: Peers, hub: HubServer, target: str, client: str, transport: str
) -> None:
    """A-2, A-3, A-4: it is accepted from where the client puts it, and says who calls."""
    token = f"ann.{cells.CLIENTS.index(client)}-{transport}"
    driver = await peers.driver(client)
    connection = await driver.connect(hub.token_url, transports=transport, token=token)
    await connection.start()
    assert (await connection.invoke("Who", result="string")).value == "ann"
    await connection.stop()
    expected = expected_tokens(client, transport, token)

    def shown() -> set[tuple[str, str, str]]:
        return {each for each in hub.tokens() if each[0] == token}

    await until(lambda: shown() >= expected, interval=0.01)  # a line comes after its answer
    assert shown() <= expected | {(token, "header", "DELETE")}


@HUBS
@EACH_TRANSPORT
@pytest.mark.parametrize("client", cells.CLIENTS)
async def test_no_valid_token(
    peers: Peers, hub: HubServer, target: str, client: str, transport: str
) -> None:
    """A-1: negotiate is answered 401, and no client gets further."""
    driver = await peers.driver(client)
    await hub.revoke("revoked")
    for more in ({}, {"token": "revoked"}):
        connection = await driver.connect(hub.token_url, transports=transport, **more)
        with pytest.raises(DriverError, match="401"):
            await connection.start()
    assert "revoked" not in {token for token, _, _ in hub.tokens()}


@HUBS
@pytest.mark.parametrize(
    "transport",
    [
        pytest.param(transport, id=name)
        for transport, name in TRANSPORT_NAMES.items()
        if transport is not HttpTransportType.WEB_SOCKETS
    ],
)
async def test_our_client_when_its_token_is_revoked(
    hub: HubServer, target: str, transport: HttpTransportType
) -> None:
    """A-5: it asks for a new one, and the call that was refused is repeated."""
    name = f"bob.{transport.name}"
    numbers = iter(range(1, 10))
    connection = (
        HubConnectionBuilder()
        .with_url(
            hub.token_url,
            transports=transport,
            access_token_factory=lambda: f"{name}-{next(numbers)}",
        )
        .build()
    )
    async with connection:
        assert await connection.invoke("Who") == "bob"
        await hub.revoke(f"{name}-1")
        assert await connection.invoke("Who") == "bob"

    def posted() -> set[str]:
        return {token for token, _, method in hub.tokens() if method == "POST"}

    await until(lambda: {f"{name}-1", f"{name}-2"} <= posted(), interval=0.01)


@HUBS
async def test_our_client_when_its_token_is_refused_at_a_reconnect(
    hub: HubServer, target: str
) -> None:
    """A-5, N-20: each attempt asks for a token of its own, and a 401 is not repeated."""
    await hub.revoke("eve.2")
    numbers = iter(range(2, 10))
    connection = (
        HubConnectionBuilder()
        .with_url(hub.token_url, access_token_factory=lambda: f"eve.{next(numbers)}")
        .build()
    )
    with pytest.raises(NegotiationError, match="401") as caught:
        await connection.start()
    assert caught.value.status == 401
    async with connection:
        assert await connection.invoke("Who") == "eve"
    assert next(numbers) == 5  # one for each negotiate, one for the WebSocket


@HUBS
async def test_a_connection_per_user(hub: HubServer, target: str) -> None:
    """GW-55: the hub behind a gateway knows the callers, and its events reach one user."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        routes = orchestrator.add_hub(
            "tokens", lambda it: it.with_url(hub.token_url).build(), connection="per_user"
        )
        routes.add_route("who", HubRouteInfo(invoke_method="Who"))
        routes.add_route("tell", HubRouteInfo(invoke_method="Tell", receive_method="Told"))

    async with (
        running_gateway(orchestrate, connected=False, authenticate=user_of_token) as gateway,
        AsyncExitStack() as stack,
    ):
        inboxes: dict[str, Inbox] = {}
        for user in ("ann", "bob"):
            token = f"{user}.per-user"
            builder = HubConnectionBuilder().with_url(
                f"{gateway.url}/gatewayhub", access_token_factory=partial(str, token)
            )
            client = builder.build()
            inboxes[user] = Inbox(client)
            await stack.enter_async_context(client)
            headers = {"Authorization": f"Bearer {token}"}
            assert (await gateway.post("tokens/who", b"[]", **headers)).body == f'"{user}"'.encode()
            assert (await gateway.post("tokens/tell", b"[]", **headers)).status == 200
        for user, inbox in inboxes.items():
            assert await inbox.take() == ("Told", f'[["{user}"],{{}}]'.encode())
            assert inbox.empty
        await hub.revoke("eve.per-user")
        refused = await gateway.post("tokens/who", b"[]", Authorization="Bearer eve.per-user")
        assert refused.problem["code"] == "not-authorized"


@pytest.mark.parametrize("program", ["system-text-json", "python"], indirect=True)
async def test_our_client_reconnects_with_new_tokens(own_hub: HubServer) -> None:
    """N-20, A-5: the hub is killed and comes back; the reconnect begins with a token of its own."""
    numbers = iter(range(1, 1000))
    connection = (
        HubConnectionBuilder()
        .with_url(own_hub.token_url, access_token_factory=lambda: f"kim.{next(numbers)}")
        .with_automatic_reconnect([delay / 1000 for delay in REPEATEDLY])
        .build()
    )
    diary = Diary(connection)
    async with connection:
        await own_hub.kill()
        await diary.change("reconnecting")
        await own_hub.start()
        await diary.change("reconnected")
        assert await connection.invoke("Who") == "kim"

    def tokens_of(requests: str) -> set[str]:
        return {token for token, _, method in own_hub.tokens() if method == requests}

    await until(lambda: {"kim.2"} < tokens_of("GET"), interval=0.01)
    assert {"kim.1"} < tokens_of("POST")
    assert not tokens_of("POST") & tokens_of("GET")
