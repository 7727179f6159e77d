"""GW-55: `connection = "per_user"`, with a hub that knows its users by their tokens."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import web

from protocol import (
    AuthenticationFailure,
    EndpointOptions,
    HttpRequestData,
    Hub,
    HubConnection,
    HubConnectionBuilder,
    HubContext,
    HubException,
    HubOptions,
    JsonHubProtocol,
    Principal,
    hub_method,
    map_hub,
)
from protocol.relaying import QueuePolicy, authenticator_of
from protocol.testing import TcpLink
from signalr_gateway import BroadcastType, HubRouteInfo, Orchestrator, create_app
from signalr_gateway.access.api_keys import ApiKey, ApiKeys, key_hash, new_key
from signalr_gateway.access.authenticators import FirstOf
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.serving.listener import serving
from tests.gateway.gateway_clients import Inbox
from tests.gateway.hand_clock import HandClock, settle
from tests.gateway.running_gateway import Answer, RunningGateway, running_gateway
from tests.support.waiting import until

KEY = new_key()


def bearer(request: HttpRequestData) -> str:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return token or request.query("access_token") or ""


def user_of(request: HttpRequestData) -> Principal | None:
    """A token is ``user``, ``user@issuer`` or ``user.expiry.text``."""
    token = bearer(request)
    name, _, rest = token.partition(".")
    name, _, issuer = name.partition("@")
    expires_at = float(rest.partition(".")[0]) if rest else None
    claims = {"iss": issuer, "unwritable": object()}
    return Principal(name, claims=claims, expires_at=expires_at) if name else None


class UserHub(Hub):
    @hub_method
    def who(self) -> str | None:
        return self.context.user_identifier

    @hub_method
    async def items(self) -> AsyncIterator[str | None]:
        yield self.context.user_identifier

    @hub_method
    def abort(self) -> None:
        self.context.abort()

    @hub_method
    async def hold(self) -> None:
        await self.context.connection_aborted.wait()


class RunningUserHub:
    """The hub behind the gateway. `tokens` has the token of each negotiate."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.refused: set[str] = set()
        self.url = ""
        self.context: HubContext

    def authenticate(self, request: HttpRequestData) -> Principal | AuthenticationFailure | None:
        if request.path.endswith("/negotiate"):
            self.tokens.append(bearer(request))
        if bearer(request) in self.refused:
            return AuthenticationFailure()
        return Principal(bearer(request).partition(".")[0])  # with the issuer

    @property
    def connections(self) -> int:
        return self.context.connection_count


@pytest.fixture
async def hub() -> AsyncIterator[RunningUserHub]:
    hub = RunningUserHub()
    app = web.Application()
    options = EndpointOptions(authenticate=hub.authenticate, authorize=True)
    hub.context = map_hub(app, "/users", UserHub, endpoint_options=options)
    async with serving(app, "127.0.0.1", 0) as url:
        hub.url = f"{url}/users"
        yield hub


def build_for(url: str) -> Any:
    return lambda builder: builder.with_url(url).build()


@asynccontextmanager
async def gateway_before(
    hub: RunningUserHub,
    clock: HandClock | None = None,
    gateway_options: Mapping[str, Any] = MappingProxyType({}),
    build: Any = None,
    **options: Any,
) -> AsyncIterator[RunningGateway]:
    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub(
            "users", build or build_for(hub.url), connection="per_user", **options
        ).add_route("who", HubRouteInfo(invoke_method="Who", receive_method="News")).add_route(
            "items", HubRouteInfo(invoke_method="Items", streams=True)
        ).add_route("hold", HubRouteInfo(invoke_method="Hold")).add_route(
            "abort", HubRouteInfo(invoke_method="Abort")
        ).add_route(
            "group",
            HubRouteInfo(
                receive_method="ToGroup", broadcast_type=BroadcastType.GROUP, receive_group="g"
            ),
        ).add_route(
            "one",
            HubRouteInfo(
                receive_method="ToOne",
                broadcast_type=BroadcastType.INDIVIDUAL,
                queue_policy=QueuePolicy.LATEST,
            ),
        )

    keys = ApiKeys([ApiKey(name="k", user_id="ann", hash=key_hash(KEY))])
    authenticator = FirstOf([keys, authenticator_of(user_of)])
    async with running_gateway(
        orchestrate,
        connected=False,
        clock=clock,
        authenticate=authenticator,
        authorize=False,
        **gateway_options,
    ) as gateway:
        yield gateway


@asynccontextmanager
async def client_of(
    gateway: RunningGateway, token: str | None
) -> AsyncIterator[tuple[HubConnection, Inbox]]:
    builder = HubConnectionBuilder().with_url(
        f"{gateway.url}/gatewayhub", access_token_factory=lambda: token
    )
    client = builder.with_hub_protocol(JsonHubProtocol()).build()
    inbox = Inbox(client)
    async with client:
        yield client, inbox


async def who(gateway: RunningGateway, token: str, route: str = "who") -> Answer:
    return await gateway.post(f"users/{route}", b"[]", Authorization=f"Bearer {token}")


# --- calls ---------------------------------------------------------------------------------


async def test_each_user_has_one_connection(hub: RunningUserHub) -> None:
    """The hub sees each caller as itself, and one connection of each."""
    async with gateway_before(hub) as gateway:
        for user in ("ann", "bob", "ann"):
            assert (await who(gateway, user)).body == f'"{user}"'.encode()
        assert json.loads((await who(gateway, "bob", "items")).body) == "bob"
        async with client_of(gateway, "ann") as (client, _):
            call = {"Api": "users", "Key": "who", "DataArray": []}
            assert await client.invoke("InvokeDownstreamHub", call) == "ann"
            items = client.stream("StreamDownstreamHub", call | {"Key": "items"})
            assert [item async for item in items] == ["ann"]
        assert (hub.connections, hub.tokens) == (2, ["ann", "bob"])
        health = json.loads((await gateway.request("GET", "/healthz")).body)
        assert health["status"] == "ok"
        assert health["hubs"]["users"]["state"] == "per_user"
        assert health["hubs"]["users"]["userConnections"] == 2
    await until(lambda: hub.connections == 0)


async def test_callers_without_a_user(hub: RunningUserHub) -> None:
    """No anonymous caller gets a connection, and nothing reaches the hub."""
    async with gateway_before(hub) as gateway:
        answer = await gateway.post("users/who", b"[]")
        assert (answer.status, answer.problem["code"]) == (401, "not-authenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        async with client_of(gateway, None) as (client, _):
            for method, call in (
                ("InvokeDownstreamHub", {"Key": "who", "DataArray": []}),
                ("SubscribeToRoute", {"Key": "one", "UserId": "ann"}),
            ):
                with pytest.raises(HubException, match="has a connection for each user"):
                    await client.invoke(method, {"Api": "users", **call})
    assert hub.tokens == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Api_Key": KEY},
        {"X_Api_Key": KEY, "Authorization": "Bearer bob"},
        {"Authorization": f"Bearer {KEY}"},
    ],
)
async def test_an_api_key_is_not_passed_on(hub: RunningUserHub, headers: dict[str, str]) -> None:
    """Also not a token beside the key, which belongs to an unknown user."""
    async with gateway_before(hub) as gateway:
        answer = await gateway.post("users/who", b"[]", **headers)
    assert (answer.status, answer.problem["code"]) == (403, "not-authorized")
    assert hub.tokens == []


async def test_a_token_that_the_hub_does_not_accept(
    hub: RunningUserHub, caplog: pytest.LogCaptureFixture
) -> None:
    """The call fails at once, and the connection is given up. A new token works."""
    hub.refused.add("ulla.1.hush")
    clock = HandClock()  # which does not move: no call waits
    async with gateway_before(hub, clock) as gateway:
        answer = await who(gateway, "ulla.1.hush")
        assert (answer.status, answer.problem["code"]) == (403, "not-authorized")
        assert "does not accept the token of this caller" in answer.problem["detail"]
        assert gateway.parts.downstreams["users"].user_connections == 0
        assert (await who(gateway, "ulla.2.hush")).body == b'"ulla"'
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert any("hub 'users', connection of a user: cannot connect" in line for line in lines)
    assert "hush" not in caplog.text
    assert "ulla" not in caplog.text


async def test_the_token_that_expires_last_is_used(hub: RunningUserHub) -> None:
    """A reconnect sends the newest token of the user, not the one of the latest call."""
    async with gateway_before(hub) as gateway, client_of(gateway, "ann.10"):
        for token in ("ann.20", "ann.15"):
            assert (await who(gateway, token)).status == 200
        assert (await who(gateway, "ann.15", "abort")).status == 502
        await until(lambda: len(hub.tokens) == 2)
    assert hub.tokens == ["ann.10", "ann.20"]


async def test_equal_ids_of_two_issuers_are_two_users(hub: RunningUserHub) -> None:
    """GW-63: neither call runs over the connection of the other user."""
    async with gateway_before(hub) as gateway:
        for token in ("ann@a", "ann@b", "ann@a"):
            assert (await who(gateway, token)).body == f'"{token}"'.encode()
        assert hub.tokens == ["ann@a", "ann@b"]


async def test_a_refused_token_gives_way_to_another_one(hub: RunningUserHub) -> None:
    """The call does not fail, although the refused token expires last and a client holds it."""
    async with gateway_before(hub, HandClock()) as gateway, client_of(gateway, "ann.20"):
        await until(lambda: hub.connections == 1)
        hub.refused.add("ann.20")
        assert (await who(gateway, "ann.20", "abort")).status == 502
        for _ in range(2):
            assert (await who(gateway, "ann.10")).body == b'"ann"'
    assert hub.tokens == ["ann.20", "ann.20", "ann.10"]


async def test_a_refresh_does_not_change_the_token_of_a_client(hub: RunningUserHub) -> None:
    """The token of the opening request keeps its own expiry."""
    first, later, last = (f"ann.{10**10 + seconds}" for seconds in (10, 20, 90))
    tokens = [first]
    options = EndpointOptions(enable_authentication_refresh=True)
    async with gateway_before(hub, gateway_options={"endpoint_options": options}) as gateway:
        builder = HubConnectionBuilder().with_url(
            f"{gateway.url}/gatewayhub", access_token_factory=lambda: tokens[-1]
        )
        async with builder.build() as client:
            await until(lambda: hub.connections == 1)
            tokens.append(last)
            await client.refresh_authentication()
            call = {"Api": "users", "Key": "who", "DataArray": []}
            assert (await who(gateway, later)).status == 200
            assert await client.invoke("InvokeDownstreamHub", call) == "ann"
            assert (await who(gateway, first, "abort")).status == 502
            await until(lambda: len(hub.tokens) == 2)
    assert hub.tokens == [first, later]


async def test_a_refused_token_ends_the_retries_of_a_builder(hub: RunningUserHub) -> None:
    """A policy that never gives up does not keep the connection from another token."""

    def build_with_retries(builder: HubConnectionBuilder) -> HubConnection:
        return builder.with_url(link.url).with_automatic_reconnect(lambda _context: 0.0).build()

    async with (
        TcpLink(hub.url) as link,
        gateway_before(hub, HandClock(), build=build_with_retries) as gateway,
        client_of(gateway, "ann.20"),
    ):
        assert (await who(gateway, "ann.20")).body == b'"ann"'
        hub.refused.add("ann.20")
        link.cut()
        await until(lambda: len(hub.tokens) > 1)  # the gateway reconnects
        assert (await who(gateway, "ann.10")).body == b'"ann"'
    assert set(hub.tokens) == {"ann.20", "ann.10"}


async def test_a_spare_connection_whose_token_is_refused(hub: RunningUserHub) -> None:
    """The call is not answered in place of another user, and the next one uses another token."""
    clock = HandClock()
    async with gateway_before(hub, clock, invoke_timeout=5, circuit_timeouts=None) as gateway:
        assert (await who(gateway, "ann.20")).status == 200
        held = asyncio.create_task(who(gateway, "ann.20", "hold"))
        await until(lambda: clock.is_waiting_for(5))
        await clock.advance(5)
        assert (await held).problem["code"] == "hub-timeout"
        hub.refused.add("ann.20")
        behind_held = asyncio.create_task(who(gateway, "ann.10"))
        await until(lambda: hub.tokens == ["ann.20", "ann.20"])
        await until(lambda: clock.is_waiting_for(5))
        await clock.advance(5)
        assert (await behind_held).problem["code"] == "hub-timeout"
        assert (await who(gateway, "ann.10")).body == b'"ann"'
    assert hub.tokens == ["ann.20", "ann.20", "ann.10"]


async def test_a_refresh_that_changes_the_issuer(
    hub: RunningUserHub, caplog: pytest.LogCaptureFixture
) -> None:
    """GW-63: the client is neither the old user nor, without a token of it, the new one.

    When a later refresh restores the old user, it gets the events of this user again.
    """
    of_a, of_b = f"ann@a.{10**10}", f"ann@b.{10**10}"
    tokens, clock = [of_a], HandClock()
    options = EndpointOptions(enable_authentication_refresh=True)
    gateway_options = {"endpoint_options": options}
    async with gateway_before(hub, clock, gateway_options) as gateway:
        builder = HubConnectionBuilder().with_url(
            f"{gateway.url}/gatewayhub", access_token_factory=lambda: tokens[-1]
        )
        async with builder.build() as client:
            call = {"Api": "users", "Key": "who", "DataArray": []}
            inbox = Inbox(client)
            await until(lambda: hub.connections == 1)
            tokens.append(of_b)
            await client.refresh_authentication()
            with pytest.raises(HubException, match="has none to pass on"):
                await client.invoke("InvokeDownstreamHub", call)
            assert "a client gets no events of hub 'users'" in caplog.text
            await hub.context.clients.user("ann@a").send("News", "after the change")
            tokens.append(of_a)
            await client.refresh_authentication()
            await clock.advance(300)  # the time after which a connection without a use is closed
            assert gateway.parts.downstreams["users"].user_connections == 1
            assert await client.invoke("InvokeDownstreamHub", call) == "ann@a"
            await hub.context.clients.user("ann@a").send("News", "restored")
            assert await inbox.take() == ("News", b'[["restored"],{}]')
    assert hub.tokens == [of_a]


# --- how many, and how long ----------------------------------------------------------------


async def test_no_more_users_than_allowed(hub: RunningUserHub) -> None:
    async with gateway_before(hub, maximum_user_connections=1) as gateway:
        held = asyncio.create_task(who(gateway, "ann", "hold"))
        await until(lambda: hub.connections == 1)
        answer = await who(gateway, "bob")
        assert (answer.status, answer.problem["code"]) == (503, "hub-busy")
        assert answer.headers["Retry-After"] == "1"
        assert answer.problem["detail"] == (
            "Hub 'users' has connections of 1 users, and may have no more."
        )
        held.cancel()
        await asyncio.wait([held])
        while (answer := await who(gateway, "bob")).status == 503:
            pass  # the gateway has not noticed yet that the caller has disconnected
        assert answer.body == b'"bob"'  # the connection of ann, which is not used, gave way
        await until(lambda: hub.connections == 1)


async def test_a_client_of_one_user_too_many(
    hub: RunningUserHub, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays connected without events, and the user whose connection is open keeps it."""
    async with (
        gateway_before(hub, maximum_user_connections=1) as gateway,
        client_of(gateway, "ann") as (ann, inbox),
    ):
        await until(lambda: hub.connections == 1)
        async with client_of(gateway, "bob") as (bob, others):
            call = {"Api": "users", "Key": "who", "DataArray": []}
            with pytest.raises(HubException, match="has connections of 1 users"):
                await bob.invoke("InvokeDownstreamHub", call)
            assert await ann.invoke("InvokeDownstreamHub", call) == "ann"
            await hub.context.clients.all.send("News", "for all")
            assert await inbox.take() == ("News", b'[["for all"],{}]')
            assert others.empty
    assert hub.tokens == ["ann"]
    assert "a client gets no events of hub 'users'" in caplog.text
    assert "bob" not in caplog.text


async def test_a_call_keeps_the_connection_open(hub: RunningUserHub) -> None:
    """The time without a use begins when the call has ended."""
    clock = HandClock()
    options: dict[str, Any] = {"user_connection_idle_timeout": 10, "invoke_timeout": 25}
    async with gateway_before(hub, clock, **options) as gateway:
        assert (await who(gateway, "ann")).status == 200
        held = asyncio.create_task(who(gateway, "ann", "hold"))
        await until(lambda: clock.is_waiting_for(25))
        await clock.advance(24)
        users = gateway.parts.downstreams["users"]
        assert (users.user_connections, hub.connections) == (1, 1)
        await clock.advance(1)
        assert (await held).problem["code"] == "hub-timeout"
        await clock.advance(9)
        assert users.user_connections == 1
        await clock.advance(1)
        assert users.user_connections == 0


async def test_a_connection_that_is_not_used_is_closed(hub: RunningUserHub) -> None:
    """A client of the user keeps the connection open, as it may get events."""
    clock = HandClock()
    async with gateway_before(hub, clock, user_connection_idle_timeout=60) as gateway:
        async with client_of(gateway, "ann"):
            await until(lambda: hub.connections == 1)
            assert (await who(gateway, "bob")).status == 200
            await clock.advance(59)
            assert gateway.parts.downstreams["users"].user_connections == 2
            await clock.advance(1)
            assert gateway.parts.downstreams["users"].user_connections == 1
            await until(lambda: hub.connections == 1)
        await until(lambda: gateway.clients == 0)
        await settle()
        await clock.advance(60)
        assert gateway.parts.downstreams["users"].user_connections == 0
        await until(lambda: hub.connections == 0)


# --- events --------------------------------------------------------------------------------


async def test_events_go_to_the_clients_of_their_user(hub: RunningUserHub) -> None:
    """To all of this user, whether the hub sends to one user or to all, and to no other client."""
    async with (
        gateway_before(hub) as gateway,
        client_of(gateway, "ann") as (ann, first),
        client_of(gateway, "ann") as (_, second),
        client_of(gateway, "bob") as (bob, others),
        client_of(gateway, None) as (_, anonymous),
    ):
        await until(lambda: hub.connections == 2)
        group = {"Api": "users", "Key": "group", "ReceiveGroup": "g"}
        route = {"Api": "users", "Key": "one", "UserId": "label"}
        for client in (ann, bob):
            await client.invoke("SubscribeToGroup", group)
            await client.invoke("SubscribeToRoute", route)
        for target in ("News", "ToGroup", "ToOne"):
            await hub.context.clients.user("ann").send(target, "for ann")
        await hub.context.clients.all.send("News", "for all")
        for_ann, for_all = b'[["for ann"],{}]', b'[["for all"],{}]'
        expected = [("News", for_ann), ("ToGroup", for_ann), ("ToOne", for_ann), ("News", for_all)]
        assert sorted([await first.take() for _ in expected]) == sorted(expected)
        assert [await second.take() for _ in range(2)] == [("News", for_ann), ("News", for_all)]
        assert await others.take() == ("News", for_all)
        await ann.invoke("UnsubscribeFromGroup", group)
        await hub.context.clients.user("ann").send("ToGroup", "nobody")
        await hub.context.clients.user("ann").send("News", "last")
        assert await first.take() == ("News", b'[["last"],{}]')
        assert others.empty
        assert anonymous.empty


async def test_events_do_not_go_to_a_user_with_the_same_id(hub: RunningUserHub) -> None:
    """GW-63: neither to that of another issuer, nor to the owner of an API key with this id."""
    async with (
        gateway_before(hub) as gateway,
        client_of(gateway, "ann@a") as (_, inbox),
        client_of(gateway, "ann@b") as (_, of_other_issuer),
        client_of(gateway, KEY) as (_, of_key),
    ):
        await until(lambda: hub.connections == 2)
        await hub.context.clients.user("ann@a").send("News", "for ann of a")
        await hub.context.clients.user("ann@b").send("News", "for ann of b")
        assert await inbox.take() == ("News", b'[["for ann of a"],{}]')
        assert await of_other_issuer.take() == ("News", b'[["for ann of b"],{}]')
        for each in (inbox, of_other_issuer, of_key):
            assert each.empty


async def test_a_connection_that_cannot_be_built(
    hub: RunningUserHub, caplog: pytest.LogCaptureFixture
) -> None:
    """The client stays connected without the events of this hub, and an error is logged."""
    builds = iter([build_for(hub.url)])

    def build_once(builder: HubConnectionBuilder) -> HubConnection:
        connection: HubConnection = next(builds)(builder)
        return connection

    async with (
        gateway_before(hub, build=build_once) as gateway,
        client_of(gateway, "ann") as (
            client,
            _,
        ),
    ):
        group = {"Api": "users", "Key": "group", "ReceiveGroup": "?"}
        with pytest.raises(HubException, match="is not the group"):  # it is still served
            await client.invoke("SubscribeToGroup", group)
    (record,) = [each for each in caplog.records if "gets no events" in each.getMessage()]
    assert record.levelno == logging.ERROR


async def test_a_claim_that_cannot_be_written(
    hub: RunningUserHub, caplog: pytest.LogCaptureFixture
) -> None:
    """The client stays connected without the events of this hub, and an error is logged."""
    claims = {"unwritable": "X-Claim"}
    async with (
        gateway_before(hub, forwarded_claims=claims) as gateway,
        client_of(gateway, "ann") as (client, _),
    ):
        group = {"Api": "users", "Key": "group", "ReceiveGroup": "?"}
        with pytest.raises(HubException, match="is not the group"):  # it is still served
            await client.invoke("SubscribeToGroup", group)
        assert (await who(gateway, "ann")).status == 500
    (record,) = [each for each in caplog.records if "gets no events" in each.getMessage()]
    assert record.levelno == logging.ERROR
    assert "claim 'unwritable' has a value without a form in JSON (object)" in record.getMessage()
    assert hub.tokens == []


# --- configuration -------------------------------------------------------------------------


def test_events_of_another_gateway_have_no_user() -> None:
    """GW-56: they would go to all clients."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", build, connection="per_user", relayed=True)
    with pytest.raises(OrchestrationError, match="cannot be combined with relayed events"):
        orchestrator.require_users(has_tokens=True, may_change_user=False)


def build(builder: HubConnectionBuilder) -> HubConnection:
    return builder.with_url("http://127.0.0.1:9/hub").build()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "per_user needs authentication with tokens"),
        (
            {
                "authenticate": user_of,
                "hub_options": HubOptions(
                    allow_user_identifier_change_on_authentication_refresh=True
                ),
            },
            "per_user cannot be combined with allow_user_identifier_change_on_",
        ),
    ],
)
def test_options_of_the_gateway_that_do_not_fit(options: dict[str, Any], problem: str) -> None:
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", build, connection="per_user")
    with pytest.raises(OrchestrationError, match=f"hub 'h', connection: {problem}"):
        create_app(orchestrator, **options)


@pytest.mark.parametrize(
    "build",
    [
        lambda builder: builder.with_url("http://h/", access_token_factory=lambda: "hush").build(),
        lambda builder: builder.with_url("http://h/", headers={"authorization": "hush"}).build(),
        lambda builder: HubConnectionBuilder().with_url("http://h/").build(),
    ],
    ids=["token", "header", "another builder"],
)
async def test_a_function_with_credentials_of_its_own(build: Any) -> None:
    """All users would have these credentials, so the gateway does not start."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", build, connection="per_user")
    app = create_app(orchestrator, authenticate=user_of)
    with pytest.raises(OrchestrationError, match="hub 'h', build_hub_connection: ") as caught:
        async with serving(app, "127.0.0.1", 0):
            pass
    assert "hush" not in str(caught.value)
