"""GW-54: what a hub learns about the caller, in the headers of the invocation."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from multidict import CIMultiDict

from protocol import HttpRequestData, HubConnectionBuilder, MessageTooLargeError, Principal
from signalr_gateway import HubRouteInfo, Orchestrator
from signalr_gateway.access.api_keys import KeyOwner
from signalr_gateway.access.identity import Identity, identity_of
from signalr_gateway.config.file import load_config
from signalr_gateway.http.send_api import allow_all
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.hub_options import DownstreamHubOptions
from tests.gateway.fake_connection import FakeConnection
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.support.waiting import until

OPTIONS: Mapping[str, Any] = {
    "forwarded_headers": ["X-Tenant"],
    "forwarded_claims": {"scope": "X-Scope"},
    "forwarded_user_id": "X-User",
}


def user_of(request: HttpRequestData) -> Principal | None:
    token = request.headers.get("Authorization") or request.query("access_token")
    return Principal("ann", claims={"scope": "a b", "email": "hush"}) if token else None


@asynccontextmanager
async def gateway_before(
    connection: FakeConnection, **options: Any
) -> AsyncIterator[RunningGateway]:
    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub("hub", lambda builder: connection, **OPTIONS).add_route(
            "route", HubRouteInfo(invoke_method="Method")
        )

    options = {"connected": False, "authenticate": user_of, "authorize": False, **options}
    async with running_gateway(orchestrate, **options) as gateway:
        await until(lambda: connection.attempting)
        connection.accept()
        yield gateway


def identity(connection: FakeConnection) -> Mapping[str, str]:
    """The headers of the last call without those of the trace."""
    return {
        name: value
        for name, value in connection.headers[-1].items()
        if name not in ("traceparent", "X-Request-Id")
    }


async def test_a_post() -> None:
    """Only what the options name is sent, and never the token."""
    connection = FakeConnection()
    async with gateway_before(connection) as gateway:
        await gateway.post("hub/route", b"[]", Authorization="Bearer t", x_tenant="7", X_Else="1")
        assert identity(connection) == {"X-Tenant": "7", "X-User": "ann", "X-Scope": "a b"}
        assert "traceparent" in connection.headers[-1]


async def test_a_client_of_the_gateway_hub() -> None:
    """Its headers are those of the request that opened the connection."""
    connection = FakeConnection()
    async with gateway_before(connection) as gateway:
        client = HubConnectionBuilder().with_url(
            f"{gateway.url}/gatewayhub",
            headers={"X-Tenant": "7"},
            access_token_factory=lambda: "t",
        )
        call = {"Api": "hub", "Key": "route", "DataArray": []}
        async with client.build() as opened:
            await opened.invoke("InvokeDownstreamHub", call)
        assert identity(connection) == {"X-Tenant": "7", "X-User": "ann", "X-Scope": "a b"}


async def test_an_anonymous_caller_cannot_pretend_to_be_a_user() -> None:
    """The header of a claim is not taken from the request."""
    connection = FakeConnection()
    async with gateway_before(connection) as gateway:
        await gateway.post("hub/route", b"[]", X_User="root", X_Scope="all")
    assert identity(connection) == {}


SPOOFED = [
    *(("X-User", value) for value in ("root", "admin")),
    *((name, "root") for name in ("x-user", "X_User", "x_user", "X-USER", "X-User-", "User-X")),
    *((name, "all") for name in ("X-Scope", "x-scope", "X_Scope", "X-SCOPE")),
    ("x-tenant", "7"),
    ("X_Tenant", "8"),
]
"""Spellings of the headers that the gateway writes, and a header that callers may choose."""


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (None, {"X-Tenant": "7"}),
        ("t", {"X-Tenant": "7", "X-User": "ann", "X-Scope": "a b"}),
    ],
    ids=["anonymous", "user"],
)
async def test_spoofed_headers(token: str | None, expected: Mapping[str, str]) -> None:
    """The hub sees the value of the gateway or none, by POST and over the gateway hub."""
    connection = FakeConnection()
    authorization = [] if token is None else [("Authorization", f"Bearer {token}")]
    query = "?X-User=root&x-user=root&X-Scope=all&X_User=root"
    async with gateway_before(connection) as gateway:
        headers = CIMultiDict([*SPOOFED, *authorization, ("Content-Type", "application/json")])
        path = f"/api/Gateway/hub/hub/route{query}"
        assert (await gateway.request("POST", path, b"[]", headers)).status == 200
        assert identity(connection) == expected
        socket = await gateway.session.ws_connect(
            f"{gateway.url}/gatewayhub{query}", headers=CIMultiDict([*SPOOFED, *authorization])
        )
        async with socket:
            await socket.send_str('{"protocol":"json","version":1}\x1e')
            assert (await socket.receive_str()) == "{}\x1e"
            call = {"Api": "hub", "Key": "route", "DataArray": []}
            invocation = {
                "type": 1,
                "invocationId": "1",
                "target": "InvokeDownstreamHub",
                "headers": {"X-User": "root", "X-Scope": "all"},
                "arguments": [call],
            }
            await socket.send_str(f"{json.dumps(invocation)}\x1e")
            assert '"type":3' in await socket.receive_str()
        assert len(connection.headers) == 2
        assert identity(connection) == expected


class SmallHub(FakeConnection):
    """Accepts no call with the headers of a trace, as these would make it too large."""

    async def invoke(
        self,
        target: str,
        *arguments: Any,
        result_type: Any = Any,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        if "traceparent" in (headers or {}):
            raise MessageTooLargeError(300, 200)
        return await super().invoke(target, *arguments, result_type=result_type, headers=headers)


async def test_identity_is_never_left_out() -> None:
    """GW-38, GW-54: a large call loses its trace, but not its caller."""
    connection = SmallHub()
    async with gateway_before(connection) as gateway:
        assert (await gateway.post("hub/route", b"[]", Authorization="Bearer t")).status == 200
    assert connection.headers == [{"X-User": "ann", "X-Scope": "a b"}]


async def test_a_key_is_not_shared_by_two_identities() -> None:
    """GW-37, GW-54: the hub may answer them in different ways."""
    connection = FakeConnection()
    numbers = iter(range(10))
    connection.answer = lambda: Raw(str(next(numbers)).encode())
    async with gateway_before(connection, authenticate=None) as gateway:
        answers = [
            (await gateway.post("hub/route", b"[]", X_Tenant=tenant, Idempotency_Key="k")).body
            for tenant in ("7", "8", "7")
        ]
    assert answers == [b"0", b"1", b"0"]


@pytest.mark.parametrize("owner", [KeyOwner("ann", key="k"), Principal("ann", claims={"iss": "b"})])
async def test_a_key_is_not_shared_by_users_with_equal_ids(owner: Principal) -> None:
    """GW-37, GW-63: the answer to a call or a send of another issuer is not given away."""
    users = {"Bearer a": Principal("ann", claims={"iss": "a"}), "Bearer b": owner}
    connection = FakeConnection()
    numbers = iter(range(10))
    connection.answer = lambda: Raw(str(next(numbers)).encode())

    def authenticate(request: HttpRequestData) -> Principal | None:
        return users.get(request.headers.get("Authorization", ""))

    async with gateway_before(connection, authenticate=authenticate, send=allow_all) as gateway:
        tokens = ("Bearer a", "Bearer b", "Bearer a")
        answers = [
            (await gateway.post("hub/route", b"[]", Authorization=token, Idempotency_Key="k")).body
            for token in tokens
        ]
        assert answers == [b"0", b"1", b"0"]
        for token, target in zip(tokens, ("A", "B", "A"), strict=True):
            headers = {"Authorization": token, "Idempotency-Key": "k"}
            headers["Content-Type"] = "application/json"
            body = b'{"target":"%s","arguments":[]}' % target.encode()  # another one gets 422
            path = "/api/Gateway/send/all"
            assert (await gateway.request("POST", path, body, headers)).status == 202


def request(*headers: tuple[str, str]) -> HttpRequestData:
    return HttpRequestData("POST", "/", "", CIMultiDict(headers), None)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        ("ü", "ü"),
        (7, "7"),
        (True, "true"),
        (["a", "b"], '["a","b"]'),
        ({"a": None}, '{"a":null}'),
    ],
)
def test_claims_as_text(claim: object, text: str) -> None:
    hub = DownstreamHubOptions(forwarded_claims={"c": "X-C", "none": "X-None"})
    found = identity_of(hub, request(), Principal("ann", claims={"c": claim, "none": None}), "ann")
    assert found is not None
    assert found.headers == {"X-C": text}


def test_a_header_that_is_not_utf_8_is_left_out() -> None:
    hub = DownstreamHubOptions(forwarded_headers=["X-Tenant", "X-Else"])
    given = request(("x-tenant", "\udcff"), ("x-else", "ü"))
    found = identity_of(hub, given, None, None)
    assert found is not None
    assert found.headers == {"X-Else": "ü"}


def test_headers_are_not_shown() -> None:
    assert "hush" not in repr(Identity(headers={"Authorization": "hush"}))


def build(builder: HubConnectionBuilder) -> Any:
    raise AssertionError("only compared")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (
            {"forwarded_headers": ["X Tenant"]},
            "forwarded_headers: contains a text that is not the name of an HTTP header",
        ),
        (
            {"forwarded_headers": ["X-User"], "forwarded_user_id": "x-user"},
            "forwarded_user_id: contains x-user, which is already the header of another value",
        ),
        (
            {"forwarded_headers": ["X_User"], "forwarded_user_id": "X-User"},
            "forwarded_user_id: contains X-User, which is already the header of another value",
        ),
        (
            {"forwarded_claims": {"a": "X-A", "b": "X-a"}},
            "forwarded_claims: contains X-a, which is already the header of another value",
        ),
        (
            {"forwarded_claims": {"a": "X-Request-Id"}},
            "forwarded_claims: contains X-Request-Id, which the gateway itself sets",
        ),
        ({"forwarded_claims": ["a"]}, "forwarded_claims: must be a dict of texts"),
        ({"forwarded_user_id": ""}, "forwarded_user_id: must be non-empty text, or None"),
    ],
)
def test_options_that_contradict_each_other(options: Mapping[str, Any], error: str) -> None:
    with pytest.raises(OrchestrationError) as caught:
        Orchestrator().add_hub("h", build, **options)
    assert str(caught.value) == f"hub 'h', {error}"


def test_the_options_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[hubs.h]\nurl = "http://h/h"\nforwarded_headers = ["X-Tenant"]\n'
        'forwarded_claims = { scope = "X-Scope" }\nforwarded_user_id = "X-User"\n',
        encoding="utf-8",
    )
    hub = load_config(file).orchestrator.hubs["h"]
    assert (hub.forwarded_headers, hub.forwarded_claims, hub.forwarded_user_id) == (
        ["X-Tenant"],
        {"scope": "X-Scope"},
        "X-User",
    )
