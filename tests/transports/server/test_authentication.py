"""Authenticators and requirements of hub classes over real sockets (A-1, A-7)."""

from typing import Any

import aiohttp
import pytest

from protocol import (
    AuthenticationFailure,
    Authenticator,
    EndpointOptions,
    HttpRequestData,
    HttpTransportType,
    Hub,
    HubConnectionBuilder,
    HubOptions,
    Principal,
    hub_method,
)
from tests.support.hub_messages import call
from tests.transports.conftest import Connect
from tests.transports.host import CLOSE_TIMEOUT, BasicHub, Host

NAME_IDENTIFIER = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"


class ByQuery(Authenticator):
    """Takes the user from the query, and notes its own start and end."""

    def __init__(self, log: list[str], *, fails: bool = False) -> None:
        self._log = log
        self._fails = fails

    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        user, roles = request.query("user"), frozenset(request.query_values("role"))
        return None if user is None else Principal(user, roles)

    async def start(self) -> None:
        self._log.append("start")
        if self._fails:
            raise LookupError("no keys")

    async def close(self) -> None:
        self._log.append("close")


class StaffHub(BasicHub, authorize=True):
    pass


class AdminHub(StaffHub, authorize={"admin"}):
    pass


async def status(http: aiohttp.ClientSession, url: str) -> int:
    async with http.post(url) as response:
        return response.status


async def test_requirements_of_a_hub_class(http: aiohttp.ClientSession) -> None:
    """A-1: on each path of the class; those of base classes count, and those of the path."""
    host = Host()
    options = EndpointOptions(authenticate=ByQuery([]))
    host.map("/staff", StaffHub, endpoint_options=options)
    host.map("/admin", AdminHub, endpoint_options=options)
    host.map(
        "/boss",
        AdminHub,
        endpoint_options=EndpointOptions(authenticate=ByQuery([]), authorize={"boss"}),
    )
    async with host.run():
        for query, statuses in (
            ("", (401, 401, 401)),
            ("?user=ann", (200, 403, 403)),
            ("?user=ann&role=admin", (200, 200, 403)),
            ("?user=ann&role=boss", (200, 403, 403)),
            ("?user=ann&role=boss&role=admin", (200, 200, 200)),
        ):
            urls = [f"{host.url}/{path}/negotiate{query}" for path in ("staff", "admin", "boss")]
            assert tuple([await status(http, url) for url in urls]) == statuses


async def test_refused_upgrades(upgrade: Connect) -> None:
    """A-1: the answer is not a WebSocket."""
    host = Host()
    options = EndpointOptions(authenticate=ByQuery([]), close_timeout=CLOSE_TIMEOUT)
    host.map(hub_class=AdminHub, endpoint_options=options)
    async with host.run():
        for query, expected in (("", 401), ("?user=ann", 403), ("?user=ann&role=admin", 101)):
            assert (await upgrade(f"{host.url}/hub{query}")).head.status == expected


def test_a_hub_class_that_requires_a_user() -> None:
    """A-1: without authenticate no client could connect."""
    host = Host()
    with pytest.raises(ValueError, match="StaffHub requires a user: its paths need Endp"):
        host.map(hub_class=StaffHub)
    host.map(hub_class=StaffHub, endpoint_options=EndpointOptions(authenticate=ByQuery([])))


@pytest.mark.parametrize("authorize", [True, ["admin"]])
def test_a_path_that_requires_a_user(authorize: Any) -> None:
    with pytest.raises(ValueError, match=r"EndpointOptions\.authorize needs authenticate"):
        EndpointOptions(authorize=authorize)
    EndpointOptions(authorize=lambda _: True)


@pytest.mark.parametrize("authorize", ["admin", 5, None, ()])
def test_what_is_no_requirement(authorize: Any) -> None:
    with pytest.raises(TypeError, match=r"^authorize "):
        type("OtherHub", (Hub,), {}, authorize=authorize)
    with pytest.raises(TypeError, match=r"^EndpointOptions\.authorize "):
        EndpointOptions(authorize=authorize)


async def generated(_request: HttpRequestData) -> Any:
    yield None


@pytest.mark.parametrize(
    ("authenticate", "text"),
    [
        (ByQuery, r"a function, not the class ByQuery; give an instance, such as ByQuery\(\)"),
        (generated, "is a function without yield"),
    ],
)
def test_what_is_no_authenticator(authenticate: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        EndpointOptions(authenticate=authenticate)


async def test_an_authenticator_starts_and_closes_once() -> None:
    """Although it serves two paths."""
    log: list[str] = []
    options = EndpointOptions(authenticate=ByQuery(log))
    host = Host()
    host.map("/one", endpoint_options=options)
    host.map("/two", endpoint_options=options)
    async with host.run():
        assert log == ["start"]
    assert log == ["start", "close"]


async def test_an_authenticator_that_does_not_start() -> None:
    """The application does not start, and what was started is closed."""
    log: list[str] = []
    host = Host()
    host.map("/one", endpoint_options=EndpointOptions(authenticate=ByQuery(log)))
    host.map("/two", endpoint_options=EndpointOptions(authenticate=ByQuery(log, fails=True)))
    with pytest.raises(LookupError, match="no keys"):
        async with host.run():
            pass
    assert log == ["start", "start", "close", "close"]


@pytest.mark.parametrize(
    ("user", "options", "expected"),
    [
        (Principal("a", claims={"sub": "b"}), None, "a"),
        (Principal(claims={"sub": "b", NAME_IDENTIFIER: "c"}), None, "c"),
        (Principal(claims={"sub": "b"}), None, "b"),
        (Principal(claims={"sub": 7}), None, "7"),
        (Principal(claims={"sub": True}), None, None),
        (Principal(claims={"sub": ["b"]}), None, None),
        (Principal(""), None, ""),
        (Principal("a"), HubOptions(user_id=lambda user: f"{user.user_id}@example"), "a@example"),
        (Principal("a"), HubOptions(user_id=lambda _: None), None),
    ],
)
async def test_ids_of_users(
    connect: Connect, user: Principal, options: HubOptions | None, expected: str | None
) -> None:
    """A-7, G-4: from the principal, from its claims, or from a function."""

    class UserHub(Hub):
        @hub_method
        async def ask(self) -> str | None:
            await self.clients.user(str(expected)).send("Yours")
            return self.context.user_identifier

    host = Host()
    host.map(
        hub_class=UserHub,
        hub_options=options,
        endpoint_options=EndpointOptions(authenticate=lambda _: user, close_timeout=CLOSE_TIMEOUT),
    )
    async with host.run():
        client = await connect(f"{host.url}/hub")
        client.send_records(call("Ask"))
        if expected is not None:
            assert (await client.record())["target"] == "Yours"
        assert (await client.record())["result"] == expected


async def test_the_id_of_a_user_is_determined_once(connect: Connect) -> None:
    """A-7: the request that opens the transport determines it, and hub methods see this id."""
    ids = iter(["ann"])

    class UserHub(Hub):
        @hub_method
        def ask(self) -> str | None:
            return self.context.user_identifier

    host = Host()
    host.map(
        hub_class=UserHub,
        hub_options=HubOptions(user_id=lambda _: next(ids)),
        endpoint_options=EndpointOptions(
            authenticate=lambda _: Principal(), close_timeout=CLOSE_TIMEOUT
        ),
    )
    async with host.run():
        client = await connect(f"{host.url}/hub")
        client.send_records(call("Ask"))
        assert (await client.record())["result"] == "ann"


async def test_a_client_whose_token_expires(caplog: pytest.LogCaptureFixture) -> None:
    """A-5, A-9: it gets 401 and goes on with a new token, also where no user is required."""
    valid = ["first"]

    def authenticate(request: HttpRequestData) -> Principal | AuthenticationFailure:
        is_valid = request.headers.get("Authorization") == f"Bearer {valid[-1]}"
        return Principal("ann") if is_valid else AuthenticationFailure()

    class UserHub(Hub):
        @hub_method
        def ask(self) -> str | None:
            return self.context.user_identifier

    host = Host()
    options = EndpointOptions(authenticate=authenticate, close_timeout=CLOSE_TIMEOUT)
    host.map(hub_class=UserHub, endpoint_options=options)
    async with host.run():
        client = (
            HubConnectionBuilder()
            .with_url(
                f"{host.url}/hub",
                access_token_factory=lambda: valid[-1],
                transports=HttpTransportType.LONG_POLLING,
            )
            .build()
        )
        async with client:
            assert await client.invoke("Ask") == "ann"
            valid.append("second")
            assert await client.invoke("Ask") == "ann"
    assert "another user" not in caplog.text
