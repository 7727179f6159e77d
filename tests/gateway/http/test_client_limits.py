"""GW-49, GW-52, GW-53: limits of addresses, users, keys and POSTs; the address behind proxies."""

from __future__ import annotations

import asyncio
import logging
import tracemalloc
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HttpRequestData,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    NegotiationError,
    Principal,
)
from signalr_gateway import Limits
from signalr_gateway.access.api_keys import ApiKey, ApiKeys, KeyOwner, key_hash, new_key
from signalr_gateway.clients.client_limits import ClientLimits, LimitExceeded
from signalr_gateway.config.file import ConfigError, load_config
from signalr_gateway.routing.client_address import ClientAddresses
from signalr_gateway.routing.token_buckets import MAXIMUM_KEYS, TokenBuckets
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, sample_routes
from tests.support.waiting import until

CALL = {"Api": "Sample", "Key": "echo", "Data": 1}


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token comes back during a test, however long it takes."""
    monkeypatch.setattr("signalr_gateway.serving.app.monotonic", lambda: 1000.0)


def limited(hub: RunningHub, **limits: Any) -> AbstractAsyncContextManager[RunningGateway]:
    return running_gateway(lambda it: sample_routes(it, hub.url), limits=Limits(**limits))


# --- rates ---------------------------------------------------------------------------------------


def test_tokens_come_back() -> None:
    """GW-52: five seconds' worth at once, then at the rate, and never more than the burst."""
    buckets = TokenBuckets(2)
    assert [buckets.take("a", 100.0) for _ in range(11)] == [0.0] * 10 + [0.5]
    assert buckets.take("a", 100.25) == 0.25
    assert buckets.take("a", 100.5) == 0.0
    assert buckets.take("b", 100.5) == 0.0
    assert [buckets.take("a", 10_000.0) for _ in range(11)].count(0.0) == 10


def test_a_flood_of_addresses() -> None:
    """GW-52: the memory of the table stays flat; an address in use is not forgotten."""
    buckets = TokenBuckets(1)
    for number in range(MAXIMUM_KEYS):
        buckets.take(f"address {number}", 0.0)
    for _ in range(5):
        buckets.take("in use", 0.0)
    tracemalloc.start()
    try:
        for number in range(3 * MAXIMUM_KEYS):
            buckets.take(f"further address {number}", 0.0)
            if number % 1000 == 0:
                assert buckets.take("in use", 0.0) > 0
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 4_000_000


def test_a_flood_of_long_user_ids() -> None:
    """GW-52: a client chooses how long the names in its token are."""
    buckets = TokenBuckets(1)
    tracemalloc.start()
    try:
        for number in range(1000):
            buckets.take(f"{number}" * 1000, 0.0)
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 400_000


async def test_calls_of_an_address(hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    """GW-52: POSTs and calls over the hub count together; other requests do not count."""
    async with limited(hub, calls_per_second=1) as gateway, gateway.client() as client:
        for _ in range(3):
            assert (await gateway.post("sample/echo", b"[1]")).status == 200
            await gateway.request("GET", "/healthz")
        for _ in range(2):
            assert await client.invoke("InvokeDownstreamHub", CALL) == 1
        answer = await gateway.post("sample/echo", b"[1]")
        assert (answer.status, answer.problem["code"]) == (429, "too-many-requests")
        assert answer.headers["Retry-After"] == "1"
        with pytest.raises(HubException, match="calls too often; try again in 1 s"):
            await client.invoke("InvokeDownstreamHub", CALL)
    (record, *_others) = [each for each in caplog.records if "calls_per_second" in each.message]
    assert record.levelno == logging.WARNING
    assert "127.0.0.1" not in record.message


async def test_connects_of_an_address(hub: RunningHub) -> None:
    """GW-52: a connection counts once, whatever its requests."""
    async with limited(hub, connects_per_second=1) as gateway:
        for _ in range(5):
            async with gateway.client():
                pass
        with pytest.raises(NegotiationError) as caught:
            await gateway.client().start()
        assert caught.value.status == 429
        escaped = await gateway.request("POST", "/%67atewayhub/negotiat%65")
        assert escaped.status == 429
        for query in ("", "?id=", "?id=&ID=", "?%69d=", "?x=1"):
            without_id = await gateway.request("GET", f"/gatewayhub{query}")
            assert (query, without_id.status) == (query, 429)
        of_unknown = await gateway.request("GET", "/gatewayhub?ID=unknown")
        assert of_unknown.status == 404


async def test_a_dry_run(hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    """GW-52: only the log says what would be refused."""
    limits = {"calls_per_second": 1, "maximum_connections_per_address": 1}
    async with limited(hub, dry_run=True, **limits) as gateway:
        async with gateway.client(), gateway.client() as second:
            for _ in range(7):
                assert await second.invoke("InvokeDownstreamHub", CALL) == 1
    assert "maximum_connections_per_address is exceeded: a client would be refused" in caplog.text
    assert "calls_per_second is exceeded: a client would be refused" in caplog.text


# --- users and keys ------------------------------------------------------------------------------

KEYS = {"ann-1": "ann", "ann-2": "ann", "bob-1": "bob"}  # names of keys, and their owners
TEXTS = {name: new_key() for name in KEYS}
CREDENTIALS = ApiKeys(
    ApiKey(name=name, user_id=owner, hash=key_hash(TEXTS[name]), scopes=["send"])
    for name, owner in KEYS.items()
)


def of_users(hub: RunningHub, **limits: Any) -> AbstractAsyncContextManager[RunningGateway]:
    return running_gateway(
        lambda it: sample_routes(it, hub.url),
        limits=Limits(**limits),
        authenticate=CREDENTIALS,
        send=True,
    )


def client_with(gateway: RunningGateway, key: str) -> HubConnection:
    url = f"{gateway.url}/gatewayhub?access_token={TEXTS[key]}"
    return HubConnectionBuilder().with_url(url).build()


async def test_calls_of_a_user_and_of_a_key(hub: RunningHub) -> None:
    """GW-49: POSTs, sends and calls over the hub count together. Other users have their own."""
    message = b'{"target":"News","arguments":[]}'
    limits = {"calls_per_second_per_user": 2, "calls_per_second_per_key": 1}
    async with of_users(hub, **limits) as gateway:

        async def status(key: str, path: str = "hub/sample/echo", body: bytes = b"[1]") -> int:
            headers = {"X-Api-Key": TEXTS[key], "Content-Type": "application/json"}
            answer = await gateway.request("POST", f"/api/Gateway/{path}", body, headers)
            if answer.status == 429:
                assert answer.problem["code"] == "too-many-requests"
                assert answer.headers["Retry-After"] == "1"
                refusals.append(answer.problem["detail"])
            return answer.status

        refusals: list[str] = []
        async with client_with(gateway, "ann-1") as client:
            assert [await status("ann-1") for _ in range(2)] == [200] * 2
            assert await status("ann-1", "send/all", message) == 202
            assert await client.invoke("InvokeDownstreamHub", CALL) == 1
            assert await status("ann-1") == 200
            assert [await status("ann-1"), await status("ann-1", "send/all", message)] == [429] * 2
            with pytest.raises(HubException, match="This API key calls too often; try again in 1"):
                await client.invoke("InvokeDownstreamHub", CALL)
        assert [await status("ann-2") for _ in range(5)] == [200] * 5
        assert await status("ann-2") == 429
        assert await status("bob-1") == 200
        option = "the option calls_per_second_per_key sets this."
        assert set(refusals) == {f"This API key calls too often; {option}"}


def test_keys_of_one_user_share_its_rate() -> None:
    """GW-49: a call that a key may not make uses nothing of its user."""
    limits = Limits(calls_per_second_per_user=1, calls_per_second_per_key=1)
    state = ClientLimits(limits, lambda: 0.0)

    def call(key: str) -> str:
        try:
            state.count_call_of_user(KeyOwner("ann", key=key), "ann")
        except LimitExceeded as exc:
            return exc.option
        return ""

    assert [call("a") for _ in range(4)] == [""] * 4
    assert call("b") == ""
    assert call("b") == call("c") == "calls_per_second_per_user"
    for issuer in ("https://a.example", "https://b.example"):  # GW-63: these are other users
        state.count_call_of_user(Principal("ann", claims={"iss": issuer}), "ann")
    state.count_call_of_user(None, None)
    state.count_call_of_user(Principal("bob"), "bob")


async def test_connections_of_a_user_and_of_a_key(hub: RunningHub) -> None:
    """GW-49: a further connection is closed with an error; one that ends makes room."""
    limits = {"maximum_connections_per_user": 2, "maximum_connections_per_key": 1}

    async def ends(gateway: RunningGateway, key: str) -> None:
        further = client_with(gateway, key)
        await further.start()
        with pytest.raises(ConnectionClosed):
            await further.invoke("InvokeDownstreamHub", CALL)

    async with of_users(hub, **limits) as gateway:
        async with client_with(gateway, "ann-1"), client_with(gateway, "bob-1"):
            await until(lambda: gateway.clients == 2)
            await ends(gateway, "ann-1")
            await until(lambda: gateway.clients == 2)
        await until(lambda: gateway.clients == 0)
        async with client_with(gateway, "ann-1") as client:
            assert await client.invoke("InvokeDownstreamHub", CALL) == 1


def test_connections_of_all_keys_of_a_user() -> None:
    """GW-49: what is refused is not counted, and a dry run refuses nothing."""
    limits = Limits(maximum_connections_per_user=2, maximum_connections_per_key=2)
    state = ClientLimits(limits, lambda: 0.0)

    def enter(key: str) -> Any:
        return state.enter_connection("192.0.2.1", {}, KeyOwner("ann", key=key), "ann")

    first, _second = enter("a"), enter("b")
    for _ in range(3):
        with pytest.raises(LimitExceeded, match="This user has too many connections"):
            enter("a")
    state.leave_connection(first)
    state.leave_connection(enter("a"))
    assert state.enter_connection("192.0.2.1", {}) == []


async def test_users_without_a_key(hub: RunningHub) -> None:
    """GW-49: a user of another authenticator; anonymous callers have no limits of users."""

    def authenticate(request: HttpRequestData) -> Principal | None:
        name = request.query("user")
        return Principal(name) if name else None

    limits = Limits(calls_per_second_per_user=1, calls_per_second_per_key=1)
    async with running_gateway(
        lambda it: sample_routes(it, hub.url),
        limits=limits,
        authenticate=authenticate,
        authorize=False,
    ) as gateway:

        async def statuses(query: str) -> list[int]:
            return [(await gateway.post(f"sample/echo{query}", b"[1]")).status for _ in range(6)]

        assert await statuses("?user=ann") == [200] * 5 + [429]
        assert await statuses("") == [200] * 6


# --- numbers -------------------------------------------------------------------------------------


async def test_connections_of_an_address(hub: RunningHub) -> None:
    """GW-52: a further connection is closed; when one has ended, another may connect."""
    async with limited(hub, maximum_connections_per_address=1) as gateway:
        async with gateway.client():
            await until(lambda: gateway.clients == 1)
            further = gateway.client()
            await further.start()
            with pytest.raises(ConnectionClosed):
                await further.invoke("InvokeDownstreamHub", CALL)
        await until(lambda: gateway.clients == 0)
        async with gateway.client() as client:
            assert await client.invoke("InvokeDownstreamHub", CALL) == 1


async def test_posts_under_way(hub: RunningHub) -> None:
    """GW-52: a further POST is refused, and nothing is sent; then there is room again."""
    async with limited(hub, maximum_posts=1) as gateway:
        held = asyncio.create_task(gateway.post("sample/hold", b"[]"))
        await hub.held.wait()
        answer = await gateway.post("sample/echo", b"[1]")
        assert (answer.status, answer.problem["code"]) == (503, "gateway-busy")
        assert answer.headers["Retry-After"] == "1"
        assert hub.calls == []
        hub.release.set()
        assert (await held).status == 200
        assert (await gateway.post("sample/echo", b"[1]")).status == 200


def test_counts_of_connections_end() -> None:
    """GW-52: no address, user or key stays in the table when its connections have ended."""
    options: dict[str, Any] = {
        f"maximum_connections_per_{each}": 2 for each in ("address", "user", "key")
    }
    limits = ClientLimits(Limits(**options), lambda: 0.0)
    tracemalloc.start()
    try:
        for number in range(20_000):
            user = f"user {number}"
            counted = limits.enter_connection(
                f"10.1.{number // 250}.{number % 250}", {}, KeyOwner(user, key=user), user
            )
            assert len(counted) == 3
            limits.leave_connection(counted)
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 100_000


async def test_refusals_are_logged(hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    """GW-62: once a minute as a warning, for POSTs and for clients, without values."""
    limits = {
        "maximum_body_size": 10,
        "maximum_depth": 2,
        "maximum_subscriptions_per_connection": 1,
    }
    refusals = [b"[%d]" % 10**9, b"[[[1]]]"]
    async with limited(hub, **limits) as gateway, gateway.client() as client:
        for _ in range(2):
            for body in refusals:
                assert (await gateway.post("sample/echo", body)).status in (400, 413)
            with pytest.raises(HubException, match="deeper than 2 levels"):
                await client.invoke("InvokeDownstreamHub", CALL | {"Data": [[1]]})
            with pytest.raises(HubException, match="bytes of one message"):
                await client.invoke("InvokeDownstreamHub", CALL | {"Data": "x" * 40_000})
        for user in "abc":
            label = {"Api": "Sample", "Key": "one", "UserId": user}
            try:
                await client.invoke("SubscribeToRoute", label)
            except HubException:
                pass
    path = "POST /api/Gateway/hub/sample/echo"
    refused = "a call of a client of the gateway hub was refused"
    lines = [
        each.getMessage().partition(" (")[0]
        for each in caplog.records
        if each.levelno >= logging.WARNING and each.name.startswith("signalr_gateway")
    ]
    assert sorted(lines) == [
        f"{path}: body-too-large",
        f"{path}: too-deep",
        f"{refused}: body-too-large of hub 'sample'",
        f"{refused}: maximum_subscriptions_per_connection",
        f"{refused}: too-deep of hub 'sample'",
    ]


def test_limits_that_are_not_set() -> None:
    """GW-52: no request is checked then."""
    assert not ClientLimits(Limits(), lambda: 0.0).apply_to_requests
    for limits in (
        Limits(calls_per_second=1),
        Limits(connects_per_second=1),
        Limits(maximum_posts=1),
    ):
        assert ClientLimits(limits, lambda: 0.0).apply_to_requests


# --- addresses -----------------------------------------------------------------------------------

PROXIES = ["10.0.0.0/8", "fd00::1"]


@pytest.mark.parametrize(
    ("remote", "headers", "expected"),
    [
        ("192.0.2.1", {"X-Forwarded-For": "198.51.100.7"}, "192.0.2.1"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {"X-Forwarded-For": "198.51.100.7"}, "198.51.100.7"),
        ("10.0.0.1", {"X-Forwarded-For": "1.1.1.1, 198.51.100.7, 10.2.3.4"}, "198.51.100.7"),
        ("10.0.0.1", {"X-Forwarded-For": "1.1.1.1, unknown"}, "10.0.0.1"),
        ("10.0.0.1", {"X-Forwarded-For": "10.9.9.9"}, "10.9.9.9"),
        ("10.0.0.1", {"X-Forwarded-For": "198.51.100.7:4711"}, "198.51.100.7"),
        ("fd00::1", {"X-Forwarded-For": "2001:db8:1:2:3::4"}, "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", {"X-Forwarded-For": "198.51.100.7"}, "198.51.100.7"),
        ("10.0.0.1", {"Forwarded": 'for=198.51.100.7;proto=https, For="[fd00::1]:99"'},
         "198.51.100.7"),
        ("10.0.0.1", {"Forwarded": 'for="[2001:db8:1:2:3::4]:4711"'}, "2001:db8:1:2::/64"),
        ("10.0.0.1", {"Forwarded": "for=_hidden"}, "10.0.0.1"),
        # Both headers, which may be those of the proxy and of its client.
        ("10.0.0.1", {"Forwarded": "for=1.1.1.1", "X-Forwarded-For": "198.51.100.7"}, "10.0.0.1"),
        ("10.0.0.1", {"Forwarded": "for=", "X-Forwarded-For": "198.51.100.7"}, "10.0.0.1"),
        ("10.0.0.1", {"Forwarded": "for=1.1.1.1", "X-Forwarded-For": "1.1.1.1:80"}, "1.1.1.1"),
        # An open quote of a client, before what the proxy has added.
        ("10.0.0.1", {"Forwarded": 'for="1.1.1.1:, for="[2001:db8::1]"'}, "2001:db8::/64"),
        # Host names of a client, which the proxy has added.
        ("10.0.0.1", {"Forwarded": 'for=198.51.100.7;host="for=1.1.1.1"'}, "198.51.100.7"),
        ("10.0.0.1", {"Forwarded": 'for=198.51.100.7;host="a,for=1.1.1.1"'}, "10.0.0.1"),
        ("10.0.0.1", {"Forwarded": 'for=198.51.100.7;host="a;for=1.1.1.1"'}, "10.0.0.1"),
        ("10.0.0.1", {"Forwarded": "host=a;for=1.1.1.1;for=198.51.100.7"}, "10.0.0.1"),
        ("10.0.0.1", {"Forwarded": "xfor=1.1.1.1"}, "10.0.0.1"),
        ("10.0.0.1", {"Forwarded": "for=198.51.100.7,"}, "198.51.100.7"),
        (None, {"X-Forwarded-For": "198.51.100.7"}, ""),
    ],
)  # fmt: skip
def test_the_address_of_a_client(
    remote: str | None, headers: dict[str, str], expected: str
) -> None:
    """GW-53."""
    assert ClientAddresses(PROXIES).find(remote, headers) == expected


@pytest.mark.parametrize("remote", [None, ""])
def test_the_address_of_a_client_behind_a_unix_socket(remote: str | None) -> None:
    """GW-58: the proxy at its other end has no address, but a name in `trusted_proxies`."""
    headers = {"X-Forwarded-For": "198.51.100.7, 10.0.0.1"}
    assert ClientAddresses(["unix", "10.0.0.1"]).find(remote, headers) == "198.51.100.7"
    assert ClientAddresses(["unix"]).find("10.0.0.1", headers) == "10.0.0.1"
    assert ClientAddresses([]).find(remote, headers) == ""


async def test_clients_behind_a_proxy(hub: RunningHub) -> None:
    """GW-53: each has its own rate; a header line that a client adds has no effect."""
    async with limited(hub, calls_per_second=1, trusted_proxies=["127.0.0.1"]) as gateway:

        async def status(*addresses: str) -> int:
            url = f"{gateway.url}/api/Gateway/hub/sample/echo"
            headers = [("X-Forwarded-For", each) for each in addresses]
            async with gateway.session.post(url, json=[1], headers=headers) as answer:
                return answer.status

        got = [await status(f"203.0.113.{number}", "198.51.100.7") for number in range(6)]
        assert got == [200] * 5 + [429]
        assert await status("198.51.100.8") == 200


def test_a_proxy_that_is_none(tmp_path: Path) -> None:
    """GW-53."""
    file = tmp_path / "gateway.toml"
    text = '[limits]\ntrusted_proxies = ["proxy"]\n[hubs.h]\nurl = "http://h/hub"\n'
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"limits.trusted_proxies: must be addresses or networks"):
        load_config(file)
