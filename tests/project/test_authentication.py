"""The examples of docs/authentication.md run, and do what the page says."""

import asyncio
import runpy
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
import pytest

from protocol import (
    AuthenticationRefreshError,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    NegotiationError,
    Principal,
)
from protocol.server.authorization import RequestContext, is_authorized
from signalr_gateway import HubRouteInfo, Orchestrator
from signalr_gateway.serving.app import GATEWAY
from signalr_gateway.serving.listener import serving
from tests.hosting.plain_requests import request
from tests.support.checkout import ROOT
from tests.support.documents import code_files

EXAMPLES: Final = code_files(ROOT / "docs" / "authentication.md", "python")


def build_hub_connection(builder: HubConnectionBuilder) -> HubConnection:
    return builder.with_url("http://127.0.0.1:9/orders").build()


def run(name: str, folder: Path) -> dict[str, Any]:
    """What an example of the page defines."""
    path = folder / name
    path.write_text(EXAMPLES[name], encoding="utf-8")
    return runpy.run_path(str(path))


async def test_tokens(tmp_path: Path) -> None:
    """A-1, S-9: no token, a wrong one, one of a user, one of an administrator."""
    async with serving(run("tokens.py", tmp_path)["app"], "127.0.0.1", 0) as url:
        async with aiohttp.ClientSession() as http:
            for token, challenge in (
                ("", "Bearer"),
                (
                    "0000",
                    'Bearer error="invalid_token", error_description="The token is not known."',
                ),
            ):
                target = f"{url}/rooms/negotiate?access_token={token}"
                async with http.post(target) as response:
                    assert response.status == 401
                    assert response.headers["WWW-Authenticate"] == challenge
        for token, user in (("5f2c", "ann"), ("83aa", "bob")):
            builder = HubConnectionBuilder().with_url(
                f"{url}/rooms", access_token_factory=partial(str, token)
            )
            async with builder.build() as connection:
                assert await connection.invoke("WhoAmI") == user
                if user == "ann":
                    await connection.invoke("CloseAll")
                else:
                    with pytest.raises(HubException, match="'CloseAll' because user is unauthor"):
                        await connection.invoke("CloseAll")


async def test_json_web_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A-1, A-7: a token of the issuer of the page has a user and roles."""
    secret = "a secret of the page's issuer, for tests"
    monkeypatch.setenv("TOKEN_SECRET", secret)
    claims = {"sub": "ann", "aud": "orders", "iss": "https://login.example/", "role": "admin"}
    async with serving(run("jwt_hub.py", tmp_path)["create_app"](), "127.0.0.1", 0) as url:
        for lifetime in (60, -301):
            token = jwt.encode({**claims, "exp": time.time() + lifetime}, secret)
            builder = HubConnectionBuilder().with_url(
                f"{url}/orders", access_token_factory=partial(str, token)
            )
            if lifetime < 0:
                with pytest.raises(NegotiationError, match="401"):
                    await builder.build().start()
                continue
            async with builder.build() as connection:
                assert await connection.invoke("WhoAmI") == "ann"
                assert await connection.invoke("CancelAll") == "cancelled"


async def test_policies(tmp_path: Path) -> None:
    """A-1: one function for a path and a class."""
    example = run("policies.py", tmp_path)
    employee = Principal("ann", claims={"company": "example"})
    for user, is_allowed in ((employee, True), (Principal("bob"), False), (None, False)):
        for policy in (example["options"].authorize, example["PayrollHub"].__authorize__):
            assert await is_authorized(policy, RequestContext(user, request())) is is_allowed


async def test_token_refresh(tmp_path: Path) -> None:
    """AR-2, AR-3, AR-6: the hub is called, and a token with fewer roles is refused."""
    example = run("token_refresh.py", tmp_path)
    tokens = [example["issue"]("ann", *roles) for roles in (["a"], ["a"], ["a", "b"], ["b"])]
    refreshed: asyncio.Queue[None] = asyncio.Queue()
    async with serving(example["app"], "127.0.0.1", 0) as url:
        connection = (
            HubConnectionBuilder()
            .with_url(f"{url}/rooms", access_token_factory=partial(next, iter(tokens)))
            .build()
        )
        connection.on("Refreshed", lambda: refreshed.put_nowait(None))
        async with connection:
            lifetime = await connection.refresh_authentication()
            assert lifetime is not None
            assert example["LIFETIME"] - 60 < lifetime <= example["LIFETIME"]
            await refreshed.get()
            with pytest.raises(AuthenticationRefreshError, match="403"):
                await connection.refresh_authentication()


async def test_signed_cookies(tmp_path: Path) -> None:
    """A-1: a session is needed, is signed, and works with a connection."""
    example = run("signed_cookies.py", tmp_path)
    cookies = example["cookies"]
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of IP addresses
    async with (
        serving(example["app"], "127.0.0.1", 0) as url,
        aiohttp.ClientSession(cookie_jar=jar) as http,
    ):

        async def status(cookie: str | None = None) -> int:
            headers = {} if cookie is None else {"Cookie": f"a=b; session={cookie}"}
            async with http.post(f"{url}/chat/negotiate", headers=headers) as response:
                if response.status == 401:
                    assert response.headers["Location"] == "/login?back=%2Fchat%2Fnegotiate"
                return response.status

        async def log_in(password: str) -> int:
            form = {"user": "ann; é", "password": password}
            async with http.post(f"{url}/login", data=form) as response:
                return response.status

        good: str = cookies.issue("bob")
        assert await status() == 401
        assert await status(good) == 200
        for bad in ("", "é", good[:-1], "x" + good, good.replace("bob", "ann")):
            assert await status(bad) == 401
        assert await log_in("wrong") == 403
        assert await status() == 401
        assert await log_in("correct horse") == 200
        assert await status() == 200

        builder = HubConnectionBuilder().with_url(
            f"{url}/chat", headers={"Cookie": f"session={good}"}
        )
        said: list[object] = []
        connection = builder.build()
        connection.on("Said", lambda user, text: said.append((user, text)))
        async with connection:
            await connection.invoke("Say", "Hello!")
        assert said == [("bob", "Hello!")]
        with pytest.raises(NegotiationError):
            await HubConnectionBuilder().with_url(f"{url}/chat").build().start()


async def test_a_session_that_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = run("signed_cookies.py", tmp_path)
    asked = request(Cookie=f"session={example['cookies'].issue('ann')}")
    user = await example["cookies"].authenticate(asked)
    assert user.user_id == "ann"
    monkeypatch.setattr(time, "time", lambda: user.expires_at)
    failure = await example["cookies"].authenticate(asked)
    assert failure.description == "The session has expired."


async def test_the_gateway(tmp_path: Path) -> None:
    """GW-23, GW-46: the hooks of the example decide about the API and the gateway hub."""
    example = run("guarded_gateway.py", tmp_path)
    orchestrator = Orchestrator()
    orchestrator.add_hub("orders", build_hub_connection).add_route(
        "cancel", HubRouteInfo(invoke_method="Cancel")
    )
    app = example["gateway"](orchestrator)
    async with serving(app, "127.0.0.1", 0) as url, aiohttp.ClientSession() as http:
        for session, listing, negotiate in (
            (None, 401, 401),
            ("0000", 401, 401),
            ("c01d", 403, 403),
            ("83aa", 403, 200),
            ("5f2c", 200, 200),
        ):
            headers = {} if session is None else {"X-Session": session}
            for method, path, status in (
                ("GET", "/api/Gateway/orchestration", listing),
                ("POST", "/gatewayhub/negotiate", negotiate),
            ):
                async with http.request(method, url + path, headers=headers) as response:
                    assert response.status == status
        cancel = f"{url}/API/gateway/hub/Orders/Cancel"
        for session, status in (("83aa", 403), ("5f2c", 400)):  # 400: the body is empty
            headers = {"X-Session": session, "Content-Type": "application/json"}
            async with http.post(cancel, headers=headers) as response:
                assert response.status == status
        hub = app[GATEWAY].hub
        assert hub is not None
        builder = HubConnectionBuilder().with_url(
            f"{url}/gatewayhub", headers={"X-Session": "83aa"}
        )
        async with builder.build() as client:
            assert await hub.context.presence.count_user("bob@example.com") == 1
            call = {"Api": "orders", "Key": "new", "Data": 1}
            with pytest.raises(HubException, match="There is no route 'orders/new'"):
                await client.invoke("InvokeDownstreamHub", call)
            example["maintenance"].is_under_way = True
            with pytest.raises(HubException, match=r"orders is maintained\."):
                await client.invoke("InvokeDownstreamHub", call)
