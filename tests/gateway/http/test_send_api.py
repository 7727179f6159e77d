"""GW-60, GW-61: sending to clients without a hub, counting clients, and disconnecting one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from protocol import (
    HttpRequestData,
    HttpTransportType,
    HubConnection,
    HubConnectionBuilder,
    Principal,
)
from protocol.hub_protocol import HubProtocol
from signalr_gateway.access.api_keys import ApiKey, ApiKeys, key_hash, new_key
from signalr_gateway.cli.running import require_access_rules
from signalr_gateway.config.authentication import authenticator
from signalr_gateway.config.authentication_tables import ApiKeyTable, AuthenticationTable
from signalr_gateway.config.file import ConfigError, GatewayConfig, load_config
from signalr_gateway.config.reading import Place
from signalr_gateway.config.schema import Listen, SendTable
from signalr_gateway.config.sources import UsageError
from signalr_gateway.http.send_api import allow_all
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.serving.app import create_app
from tests.gateway.gateway_clients import COMBINATIONS, Inbox
from tests.gateway.running_gateway import Answer, RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, sample_routes
from tests.support.waiting import until

SEND = "/api/Gateway/send"
JSON = {"Content-Type": "application/json"}
MESSAGE = b'{"target":"News","arguments":[1]}'


def authenticate(request: HttpRequestData) -> Principal | None:
    name = request.query("user")
    return Principal(name) if name else None


@pytest.fixture
async def gateway(hub: RunningHub) -> AsyncIterator[RunningGateway]:
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        send=allow_all,
        authenticate=authenticate,
        authorize=False,
    ) as gateway:
        yield gateway


def client_of(
    gateway: RunningGateway,
    user: str = "",
    transport: HttpTransportType = HttpTransportType.WEB_SOCKETS,
    hub_protocol: HubProtocol | None = None,
) -> HubConnection:
    url = f"{gateway.url}/gatewayhub?user={user}"
    builder = HubConnectionBuilder().with_url(url, transports=transport)
    if hub_protocol is not None:
        builder = builder.with_hub_protocol(hub_protocol)
    return builder.build()


async def send(gateway: RunningGateway, receivers: str, body: bytes = MESSAGE) -> Answer:
    return await gateway.request("POST", f"{SEND}/{receivers}", body, JSON)


async def count(gateway: RunningGateway, receivers: str) -> int:
    answer = await gateway.request("GET", f"{SEND}/{receivers}/count")
    assert answer.status == 200
    body: dict[str, int] = msgspec.json.decode(answer.body)
    exists = await gateway.request("HEAD", f"{SEND}/{receivers}")
    assert exists.status == (200 if body["count"] else 404)
    return body["count"]


@pytest.mark.parametrize(
    ("transport", "hub_protocol"),
    COMBINATIONS,
    ids=[f"{transport.name}-{spoken.name}" for transport, spoken in COMBINATIONS],
)
async def test_each_kind_of_receivers(
    gateway: RunningGateway, transport: HttpTransportType, hub_protocol: HubProtocol
) -> None:
    """GW-60, GW-61: the named clients get the message, and are counted."""
    client = client_of(gateway, "Ann", transport, hub_protocol)
    other = client_of(gateway, "ann")
    inbox, others = Inbox(client), Inbox(other)
    decode = msgspec.json.decode if hub_protocol.name == "json" else msgspec.msgpack.decode
    async with client, other:
        await until(lambda: gateway.clients == 2)
        group = {"Api": "sample", "Key": "group", "ReceiveGroup": "ChatGroup"}
        await client.invoke("SubscribeToGroup", group)
        label = {"Api": "sample", "Key": "one", "UserId": "A/b"}
        await client.invoke("SubscribeToRoute", label)
        for receivers in (
            "group/ChatGroup",
            "user/Ann",
            f"connection/{client.connection_id}",
            "route/SAMPLE/One/a%2FB",
        ):
            assert await count(gateway, receivers) == 1
            body = b'{"target":"%s","arguments":[[1, "\xc3\xbc"], null]}' % receivers[:5].encode()
            answer = await send(gateway, receivers, body)
            assert (answer.status, answer.body) == (202, b"")
            target, arguments = await inbox.take()
            assert (target, decode(arguments)) == (receivers[:5], [[1, "ü"], None])
        assert await count(gateway, "all") == 2
        await send(gateway, "all")
        assert (await inbox.take())[0] == "News"
        assert await others.take() == ("News", b"[1]")
        assert inbox.empty
        assert others.empty
        for receivers in (
            "group/chatgroup",
            "user/ANN",
            "user/ChatGroup",
            "connection/unknown",
            "route/sample/two/a%2Fb",
            "route/sample/one/a",
        ):
            assert await count(gateway, receivers) == 0
            assert (await send(gateway, receivers)).status == 202
        await client.invoke("UnsubscribeFromGroup", group)
        await client.invoke("UnsubscribeFromRoute", label)
        assert await count(gateway, "group/ChatGroup") == 0
        assert await count(gateway, "route/sample/one/A%2Fb") == 0
    await until(lambda: gateway.clients == 0)
    assert await count(gateway, "all") == await count(gateway, "user/Ann") == 0


async def test_arguments_arrive_as_written(gateway: RunningGateway) -> None:
    """GW-60."""
    client = client_of(gateway)
    inbox = Inbox(client)
    async with client:
        await until(lambda: gateway.clients == 1)
        written = b'[1.10, 1e400,{"b" :12345678901234567890123, "a":1},"\\u00fc"]'
        await send(gateway, "all", b'{"arguments": %s ,"target":"News"}' % written)
        _, arguments = await inbox.take()
    assert arguments == b'[1.10,1e400,{"b" :12345678901234567890123, "a":1},"\\u00fc"]'


async def test_a_disconnected_client_gets_the_reason(gateway: RunningGateway) -> None:
    """GW-61."""
    client, other = client_of(gateway), client_of(gateway)
    closed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    client.on_closed(closed.set_result)
    async with client, other:
        await until(lambda: gateway.clients == 2)
        path = f"{SEND}/connection/{client.connection_id}"
        answer = await gateway.request("DELETE", f"{path}?reason=No%20more%20%C3%BC")
        assert (answer.status, answer.body) == (204, b"")
        assert "No more ü" in str(await closed)
        await until(lambda: gateway.clients == 1)
        again = await gateway.request("DELETE", path)
        assert (again.status, again.problem["code"]) == (404, "client-not-found")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty-body"),
        (b"{", 400, "invalid-json"),
        (b"[]", 400, "invalid-message"),
        (b"\xef\xbb\xbf" + MESSAGE, 400, "invalid-json"),
        (b'{"target":"X"}', 400, "invalid-message"),
        (b'{"target":1,"arguments":[]}', 400, "invalid-message"),
        (b'{"target":"","arguments":[]}', 400, "invalid-message"),
        (b'{"target":"X","arguments":[],"more":1}', 400, "invalid-message"),
        (b'{"target":"X","arguments":{}}', 400, "not-an-array"),
        (b'{"target":"X","arguments":["\xff"]}', 400, "not-utf8"),
        (b'{"target":"X","arguments":[%s1]}' % (b"1," * 10), 400, "too-many-arguments"),
        (b'{"target":"X","arguments":%s}' % (b"[" * 33 + b"]" * 33), 400, "too-deep"),
        (b'{"target":"X","arguments":["%s"]}' % (b"x" * 1000), 413, "body-too-large"),
    ],
)
async def test_bodies_that_are_refused(
    hub: RunningHub, body: bytes, status: int, code: str
) -> None:
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        send=True,
        limits=Limits(maximum_body_size=1000),
    ) as gateway:
        answer = await send(gateway, "all", body)
        assert (answer.status, answer.problem["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "receivers", "status", "allow"),
    [
        ("GET", "all", 405, "POST, HEAD"),
        ("DELETE", "group/a", 405, "POST, HEAD"),
        ("PUT", "connection/a", 405, "POST, HEAD, DELETE"),
        ("POST", "all/count", 405, "GET, HEAD"),
        ("POST", "route/sample/nosuch/a", 404, None),
        ("POST", "others", 404, None),
    ],
)
async def test_requests_that_are_refused(
    gateway: RunningGateway, method: str, receivers: str, status: int, allow: str | None
) -> None:
    answer = await gateway.request(method, f"{SEND}/{receivers}", MESSAGE, JSON)
    assert (answer.status, answer.headers.get("Allow")) == (status, allow)


async def test_a_send_with_a_key_is_made_once(gateway: RunningGateway) -> None:
    """GW-59: for each caller, for the same receivers; another body with the key is refused."""
    client = client_of(gateway, "ann")
    inbox = Inbox(client)

    async def send_with_key(receivers: str, body: bytes = MESSAGE, key: str = "k") -> Answer:
        headers = {**JSON, "Idempotency-Key": key}
        return await gateway.request("POST", f"{SEND}/{receivers}", body, headers)

    async with client:
        await until(lambda: gateway.clients == 1)
        for receivers in ("all", "ALL", "user/ann", "all?user=bob"):
            for _ in range(2):
                answer = await send_with_key(receivers)
                assert (answer.status, answer.body) == (202, b"")
        other = b'{"target":"News","arguments":[2]}'
        assert (await send_with_key("all", other)).problem["code"] == "idempotency-key-reused"
        assert (await send_with_key("all", other, "k2")).status == 202
        got = [(await inbox.take())[1] for _ in range(4)]
        assert got == [b"[1]", b"[1]", b"[1]", b"[2]"]  # to all, to Ann, to all by Bob
        assert (await send_with_key("all", key=" ")).problem["code"] == "invalid-idempotency-key"


async def test_a_body_of_another_type(gateway: RunningGateway) -> None:
    answer = await gateway.request(
        "POST", f"{SEND}/all", MESSAGE, {"Content-Type": "text/plain; charset=utf-8"}
    )
    assert answer.problem["code"] == "unsupported-media-type"


async def test_a_page_of_another_origin_sends_nothing(gateway: RunningGateway) -> None:
    """A browser sends a POST without a content type, and without asking."""
    answer = await gateway.request(
        "POST", f"{SEND}/all", MESSAGE, {"Content-Type": "text/plain", "Origin": "http://evil"}
    )
    assert answer.problem["code"] == "origin-not-allowed"


REQUESTS = [
    ("POST", "all"),
    ("HEAD", "user/a"),
    ("GET", "all/count"),
    ("DELETE", "connection/a"),
    ("POST", "route/no/such/a"),
]


async def test_off_by_default(hub: RunningHub) -> None:
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url)
    ) as gateway:
        for method, receivers in REQUESTS:
            answer = await gateway.request(method, f"{SEND}/{receivers}", MESSAGE, JSON)
            assert answer.status == 404
        assert (await send(gateway, "all")).problem["code"] == "not-found"
        document = msgspec.json.decode(
            (await gateway.request("GET", "/swagger/v1/swagger.json")).body
        )
        assert not any("/send/" in path for path in document["paths"])


async def test_a_function_decides_who_may(hub: RunningHub) -> None:
    """Before anything about the receivers shows.

    An exception and a result that is no bool are a 500, and nothing is sent (GW-46).
    """

    async def policy(request: web.Request) -> Any:
        if "fail" in request.query:
            raise LookupError("hush")
        key = request.headers.get("X-Key")
        return key if key == "truthy" else key == "right"

    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url), send=policy
    ) as gateway:
        for method, receivers in REQUESTS:
            answer = await gateway.request(method, f"{SEND}/{receivers}", MESSAGE, JSON)
            assert answer.status == 403
        assert (await send(gateway, "all")).problem["code"] == "send-not-allowed"
        truthy = await gateway.request("POST", f"{SEND}/all", MESSAGE, {**JSON, "X-Key": "truthy"})
        assert truthy.status == 500
        failed = await send(gateway, "all?fail")
        assert (failed.status, failed.problem["code"]) == (500, "internal-error")
        right = await gateway.request("POST", f"{SEND}/all", MESSAGE, {**JSON, "X-Key": "right"})
        assert right.status == 202


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/Gateway/send/all"), ("GET", "/swagger/v1/swagger.json")]
)
async def test_a_function_that_fails(
    hub: RunningHub, caplog: pytest.LogCaptureFixture, method: str, path: str
) -> None:
    """GW-46: 500, and the log has no text of the exception."""

    async def fails(_request: web.Request) -> bool:
        raise LookupError("hush")

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url)

    async with running_gateway(orchestrate, send=fails) as gateway:
        answer = await gateway.request(method, path)
    assert (answer.status, answer.problem["code"]) == (500, "internal-error")
    assert "the function send of create_app failed: LookupError" in caplog.text
    assert "hush" not in caplog.text


async def test_a_connection_with_all_subscriptions(gateway: RunningGateway) -> None:
    """The limits of groups allow the longest labels, and as many as there are subscriptions."""
    client = client_of(gateway)
    async with client:
        for number in range(1000):
            user = "\0" * 250 + str(number)
            call = {"Api": "sample", "Key": "one", "UserId": user}
            await client.invoke("SubscribeToRoute", call)
        assert await count(gateway, "route/sample/one/" + "%00" * 250 + "999") == 1
    await until(lambda: gateway.clients == 0)


async def test_the_document_has_the_addresses(gateway: RunningGateway) -> None:
    answer = await gateway.request("GET", "/swagger/v1/swagger.json")
    document: dict[str, Any] = msgspec.json.decode(answer.body)
    found = {
        path.removeprefix(f"{SEND}/"): set(node) - {"parameters"}
        for path, node in document["paths"].items()
        if path.startswith(SEND)
    }
    assert found == {
        "all": {"post", "head"},
        "all/count": {"get"},
        "group/{name}": {"post", "head"},
        "group/{name}/count": {"get"},
        "user/{id}": {"post", "head"},
        "user/{id}/count": {"get"},
        "connection/{id}": {"post", "head", "delete"},
        "connection/{id}/count": {"get"},
        "route/{api}/{key}/{userId}": {"post", "head"},
        "route/{api}/{key}/{userId}/count": {"get"},
    }


async def test_callers_need_the_scope(hub: RunningHub) -> None:
    """GW-61: if the gateway has authentication."""
    names = {"may": ["other", "send"], "may-not": ["sender"], "none": []}
    texts = {name: new_key() for name in names}
    keys = ApiKeys(
        ApiKey(name=name, user_id=name, hash=key_hash(texts[name]), scopes=scopes)
        for name, scopes in names.items()
    )
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url), send=True, authenticate=keys
    ) as gateway:
        for name, status in (("may", 202), ("may-not", 403), ("none", 403)):
            headers = {**JSON, "X-Api-Key": texts[name]}
            answer = await gateway.request("POST", f"{SEND}/all", MESSAGE, headers)
            assert answer.status == status, name
        assert (await gateway.request("POST", f"{SEND}/all", MESSAGE, JSON)).status == 401


def test_without_the_gateway_hub() -> None:
    orchestrator = Orchestrator()
    orchestrator.start_gateway_hub = False
    with pytest.raises(ValueError, match="send needs the gateway hub"):
        create_app(orchestrator, send=True)


@pytest.mark.parametrize(
    ("host", "is_refused"),
    [("127.0.0.1", False), ("::1", False), ("0.0.0.0", True), ("192.0.2.1", True)],
)
def test_only_on_loopback_addresses(host: str, is_refused: bool) -> None:
    """Without authentication, the file cannot open the addresses to other machines."""
    config = GatewayConfig(
        orchestrator=Orchestrator(),
        listen=Listen(host=host),
        authentication=AuthenticationTable(allow_anonymous=True),
        send=SendTable(enabled=True),
    )
    if is_refused:
        with pytest.raises(UsageError, match=r"\[send\] enabled needs authentication or loopback"):
            require_access_rules(config)
    else:
        require_access_rules(config)


async def test_anonymous_callers_of_a_gateway_with_keys(hub: RunningHub) -> None:
    """GW-61: they are admitted, and still need the scope, so any address is allowed."""
    key = new_key()
    keys = {"k": ApiKeyTable(hash=key_hash(key), scopes=["send"])}
    config = GatewayConfig(
        orchestrator=Orchestrator(),
        listen=Listen(host="0.0.0.0"),
        authentication=AuthenticationTable(allow_anonymous=True, api_keys=keys),
        send=SendTable(enabled=True),
    )
    require_access_rules(config)
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        send=True,
        authenticate=authenticator(config.authentication, Place(Path())),
        authorize=False,
    ) as gateway:
        assert (await send(gateway, "all")).problem["code"] == "send-not-allowed"
        with_key = {**JSON, "X-Api-Key": key}
        assert (await gateway.request("POST", f"{SEND}/all", MESSAGE, with_key)).status == 202


def test_a_file_without_the_gateway_hub(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('start_gateway_hub = false\n[send]\nenabled = true\n[hubs.h]\nurl = "http://h"')
    with pytest.raises(ConfigError, match=r"send\.enabled: needs the gateway hub"):
        load_config(file)


async def test_the_log_shows_no_names_of_receivers(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """GW-28: a refused send is logged once a minute, however its path is spelt."""
    caplog.set_level("DEBUG", "signalr_gateway")
    deep = b'{"target":"News","arguments":[' + b"[" * 40 + b"]" * 40 + b"]}"
    for path in ("user/hush?user=ann", "us%65r/hush?user=ann", "user/hush2?user=ann"):
        answer = await gateway.request("POST", f"{SEND}/{path}", deep, JSON)
        assert answer.status == 400
    assert "hush" not in caplog.text
    assert [each.levelname for each in caplog.records if "too-" in each.getMessage()] == [
        "WARNING",
        "DEBUG",
        "DEBUG",
    ]
