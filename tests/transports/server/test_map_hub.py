"""map_hub: paths, several hubs and paths in one application, errors, and the end (LA-3)."""

import asyncio
import importlib
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from protocol import (
    DefaultHubLifetimeManager,
    Hub,
    HubContext,
    HubOptions,
    hub_method,
    map_hub,
)
from tests.support.hub_messages import call, event
from tests.transports.conftest import Connect
from tests.transports.host import QUICK, BasicHub, Host
from tests.transports.raw_web_socket import RawWebSocket


class OtherHub(Hub):
    @hub_method
    async def tell_all(self, text: str) -> None:
        await self.clients.all.send("Other", text)


async def test_an_aiohttp_that_lets_no_messages_be_pushed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """TW-15: one line says what is missing then."""
    monkeypatch.setattr(importlib.import_module(map_hub.__module__), "CAN_PUSH", False)
    app = web.Application()
    map_hub(app, "/one", BasicHub)
    map_hub(app, "/two", OtherHub)
    (line,) = caplog.records
    assert aiohttp.__version__ in line.getMessage()
    assert "no receive_timeout" in line.getMessage()


DONE = {"type": 3, "invocationId": "1", "result": None}


@pytest.mark.parametrize("path", ["hub", "", "/", "/hub/", "http://host/hub"])
def test_paths_that_cannot_be(path: str) -> None:
    """A path begins with a slash, and ends without one."""
    with pytest.raises(ValueError, match="begins with a slash and ends without one"):
        map_hub(web.Application(), path, BasicHub)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/a//b", "no empty, '.' or '..' segments"),
        ("//hub", "no empty, '.' or '..' segments"),
        ("/a/../hub", "no empty, '.' or '..' segments"),
        ("/./hub", "no empty, '.' or '..' segments"),
        ("/hub?x=1", "no query, fragment or unprintable characters"),
        ("/hub#x", "no query, fragment or unprintable characters"),
        ("/hub\n", "no query, fragment or unprintable characters"),
    ],
)
def test_paths_that_no_client_can_request(path: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        map_hub(web.Application(), path, BasicHub)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"path": 5}, "A hub's path is text, not int"),
        (
            {"hub_class": BasicHub()},
            "A hub is a class derived from Hub, not an instance of BasicHub",
        ),
        ({"hub_class": dict}, "A hub is a class derived from Hub, not dict"),
        ({"hub_class": "BasicHub"}, "A hub is a class derived from Hub, not an instance of str"),
        ({"hub_options": "x"}, "hub_options are HubOptions, not str"),
        (
            {"hub_options": HubOptions},
            r"not the class HubOptions; give an instance, .* HubOptions\(\)",
        ),
        ({"hub_options": QUICK}, "hub_options are HubOptions, not EndpointOptions"),
        (
            {"endpoint_options": HubOptions()},
            "endpoint_options are EndpointOptions, not HubOptions",
        ),
        ({"hub_factory": BasicHub()}, "hub_factory is a function, not BasicHub"),
        ({"lifetime": "x"}, "lifetime is a HubLifetimeManager, not str"),
        (
            {"lifetime": DefaultHubLifetimeManager},
            r"not the class DefaultHubLifetimeManager; give an instance",
        ),
    ],
)
def test_what_is_of_another_type(given: dict[str, Any], text: str) -> None:
    """TypeError is raised, and no hub is mapped."""
    app = web.Application()
    with pytest.raises(TypeError, match=text):
        map_hub(app, **{"path": "/hub", "hub_class": BasicHub, **given})
    map_hub(app, "/hub", BasicHub)


@pytest.mark.parametrize(
    "more",
    [
        {"hub_options": HubOptions()},
        {"hub_factory": BasicHub},
        {"lifetime": DefaultHubLifetimeManager()},
    ],
    ids=["options", "factory", "lifetime"],
)
async def test_options_are_given_once(more: dict[str, Any]) -> None:
    """A class has one set of hub options, one factory and one lifetime manager.

    Endpoint options belong to each path.
    """
    app = web.Application()
    map_hub(app, "/one", BasicHub)
    with pytest.raises(ValueError, match=r"BasicHub is mapped already: its hub_options, hub_"):
        map_hub(app, "/two", BasicHub, **more)
    map_hub(app, "/three", BasicHub, endpoint_options=QUICK)
    map_hub(app, "/four", OtherHub, **more)


async def test_a_class_that_cannot_be_served() -> None:
    """S-1: the error is raised when it is mapped."""

    class DuplicateHub(Hub):
        @hub_method("Send")
        def one(self) -> None: ...

        @hub_method("SEND")
        def two(self) -> None: ...

    with pytest.raises(TypeError, match="duplicate definitions"):
        map_hub(web.Application(), "/hub", DuplicateHub)


@pytest.mark.parametrize(
    ("path", "urls", "others"),
    [
        ("/a/b/c", ["/a/b/c", "/A/B/C/"], ["/a/b", "/a/bxc", "/a/b/c/d"]),
        ("/v1.0/chat", ["/v1.0/chat", "/V1.0/CHAT"], ["/v1x0/chat"]),
        ("/c++", ["/c++"], ["/c", "/ccc"]),
        ("/a_b-c~d", ["/a_b-c~d"], ["/a_b"]),
        ("/(x)", ["/(x)"], ["/x"]),
    ],
)
async def test_paths(
    http: aiohttp.ClientSession, path: str, urls: list[str], others: list[str]
) -> None:
    """LA-3: every character matches itself, and letters both cases."""
    host = Host()
    host.map(path)
    async with host.run():
        for url in urls:
            url = url.rstrip("/")
            async with http.post(f"{host.url}{url}/negotiate") as response:
                assert response.status == 200, url
        for other in others:
            async with http.post(f"{host.url}{other}/negotiate") as response:
                assert response.status == 404, other


async def connected(connect: Connect, host: Host, *paths: str) -> list[RawWebSocket]:
    return [await connect(host.url + path) for path in paths]


async def test_two_paths_of_one_class_share_their_clients(connect: Connect) -> None:
    """N-13, G-5: all, groups and users span both paths, and so does the context."""
    host = Host()
    contexts = [host.map("/one"), host.map("/two")]
    async with host.run():
        one, two = await connected(connect, host, "/one", "/two")
        one.send_records(call("TellAll", "x"))
        assert await one.records(2) == [event("News", "x"), DONE]
        assert await two.record() == event("News", "x")
        for context in contexts:
            assert context.connection_count == 2
            await context.clients.all.send("News", "y")
            assert [await it.record() for it in (one, two)] == [event("News", "y")] * 2


async def test_two_classes_do_not(connect: Connect) -> None:
    """G-5: a hub's clients are those of its class."""
    host = Host()
    basic, other = host.map("/one"), host.map("/two", OtherHub)
    async with host.run():
        one, two = await connected(connect, host, "/one", "/two")
        assert (basic.connection_count, other.connection_count) == (1, 1)
        two.send_records(call("TellAll", "x"))
        assert await two.records(2) == [event("Other", "x"), DONE]
        one.send_records(call("TellAll", "y"))
        assert await one.records(2) == [event("News", "y"), DONE]


async def test_two_applications_do_not_either(connect: Connect) -> None:
    """N-13: one table of clients and tokens per application."""
    hosts = [Host(), Host()]
    contexts: list[HubContext] = [host.map() for host in hosts]
    async with hosts[0].run(), hosts[1].run():
        await connect(hosts[0].url + "/hub")
        assert [context.connection_count for context in contexts] == [1, 0]


async def test_a_token_of_one_path_works_at_another(
    http: aiohttp.ClientSession, upgrade: Connect
) -> None:
    """N-13: the table is one per server, not per path."""
    host = Host()
    host.map("/one")
    host.map("/two", OtherHub)
    async with host.run():
        async with http.post(f"{host.url}/one/negotiate?negotiateVersion=1") as response:
            token = (await response.json())["connectionToken"]
        assert (await upgrade(f"{host.url}/two?id={token}")).head.status == 101


async def test_a_hub_with_constructor_arguments(connect: Connect) -> None:
    """hub_factory makes the hub, anew for each call."""
    made: list[Hub] = []

    class Needy(Hub):
        def __init__(self, dependency: str) -> None:
            self.dependency = dependency
            made.append(self)

        @hub_method
        def get(self) -> str:
            return self.dependency

    host = Host()
    host.map(hub_class=Needy, hub_factory=lambda: Needy("given"))
    async with host.run():
        (web_socket,) = await connected(connect, host, "/hub")
        for _ in range(2):
            web_socket.send_records(call("Get"))
            assert (await web_socket.record())["result"] == "given"
    assert len(made) == 2


async def test_shutdown(connect: Connect) -> None:
    """L-6, TW-6: Close with allowReconnect, then WebSocket Close 1000, then the end."""
    host = Host()
    context = host.map()
    async with host.run():
        clients = await connected(connect, host, "/hub", "/hub")
        stopping = asyncio.ensure_future(host.app.shutdown())
        for client in clients:
            assert await client.record() == {"type": 7, "allowReconnect": True}
            closing = await client.closing()
            assert (closing.code, closing.payload[2:]) == (1000, b"")
            client.send(8, closing.payload)
            assert await client.end() == b""
        await stopping
        assert context.connection_count == 0


async def test_sends_from_outside(connect: Connect) -> None:
    """map_hub's context sends to clients, as other handlers of the application do."""
    host = Host()
    context = host.map()

    async def notify(request: web.Request) -> web.Response:
        await context.clients.all.send("News", await request.text())
        return web.Response(status=204)

    host.app.router.add_post("/notify", notify)
    async with host.run(), aiohttp.ClientSession() as http:
        (client,) = await connected(connect, host, "/hub")
        async with http.post(f"{host.url}/notify", data="x") as response:
            assert response.status == 204
        assert await client.record() == event("News", "x")


class ForeignApplication:
    """An application of another framework."""


@pytest.mark.parametrize("app", [ForeignApplication(), web.Application, None])
def test_what_is_no_application(app: Any) -> None:
    """The error names what was given, and what is needed."""
    kind = f"{type(app).__module__}.{type(app).__qualname__}"
    with pytest.raises(TypeError, match=rf"aiohttp\.web\.Application, not on {kind}\."):
        map_hub(app, "/hub", BasicHub)


async def test_an_application_that_has_started() -> None:
    """Nothing of it has changed; map_hub comes first."""
    app, inner = web.Application(), web.Application()
    app.add_subapp("/inner", inner)
    with pytest.raises(RuntimeError, match=r"call map_hub before .* add_subapp"):
        map_hub(inner, "/hub", BasicHub)
    runner = web.AppRunner(app)
    await runner.setup()
    with pytest.raises(RuntimeError, match=r"call map_hub before web\.run_app"):
        map_hub(app, "/hub", BasicHub)
    await runner.cleanup()


async def test_the_same_path_twice() -> None:
    """Only one of two hubs could ever be reached: that is a mistake, in whatever case it is
    spelled."""
    app = web.Application()
    map_hub(app, "/hub", BasicHub)
    with pytest.raises(ValueError, match="/HUB"):
        map_hub(app, "/HUB", OtherHub)
