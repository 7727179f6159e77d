"""The console in a real browser: below a prefix, on a phone, and while the gateway stops."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from protocol import Hub, HubConnection, HubConnectionBuilder, HubException, hub_method, map_hub
from signalr_gateway import BroadcastType, HubRouteInfo, Orchestrator, create_app
from signalr_gateway.access.api_keys import ApiKey, ApiKeys, key_hash, new_key
from signalr_gateway.serving.listener import serving
from tests.gateway.sample_hub import RunningHub, connecting_to, running_hub
from tests.interop.browser import Page, chromium
from tests.interop.nginx import documented, nginx_before

CONNECTED = 'document.querySelector("#connection-state").dataset.state === "connected"'
ALL_CONNECTED = 'document.querySelectorAll("#hubs [data-state=connected].hub").length === {number}'
LONG = "a-route-with-a-rather-long-name-that-has-no-space-anywhere"


@pytest_asyncio.fixture(loop_scope="session")
async def hub() -> AsyncIterator[RunningHub]:
    async with running_hub() as hub:
        yield hub


def orchestrated(hub: RunningHub) -> Orchestrator:
    """Two hubs that send the same event. One of them has routes with all audiences."""
    orchestrator = Orchestrator()
    build: Callable[[HubConnectionBuilder], HubConnection] = connecting_to(hub.url)
    orchestrator.add_hub("chat", build).add_route(
        "room",
        HubRouteInfo(
            invoke_method="SendMessage",
            receive_method="ReceiveMessage",
            receive_parameter_types=["string", "string"],
            examples=[[{"name": "John", "message": "Hello!"}], [{"name": "Ada", "message": "Hi"}]],
        ),
    ).add_route("echo", HubRouteInfo(invoke_method="Echo", examples=[[1.5]])).add_route(
        "hold", HubRouteInfo(invoke_method="Hold")
    ).add_route(
        LONG,
        HubRouteInfo(
            invoke_method="NoSuchMethodButAVeryLongNameOfOne",
            receive_method="AnEventWithARatherLongNameAsWell",
            receive_parameter_types=["DateTimeOffset", "Decimal", "string"],
            broadcast_type=BroadcastType.GROUP,
            receive_group="AGroupWithALongName",
        ),
    )
    orchestrator.add_hub("news", build).add_route(
        "all", HubRouteInfo(receive_method="Announced")
    ).add_route("room", HubRouteInfo(receive_method="ReceiveMessage"))
    return orchestrator


class FeedHub(Hub):
    """Streams what the test feeds, until it feeds an exception or None."""

    fed: asyncio.Queue[object]
    ended: asyncio.Event

    @hub_method
    async def feed(self) -> AsyncIterator[object]:
        try:
            while (item := await self.fed.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.ended.set()


@asynccontextmanager
async def feeding_gateway(*middlewares: Any) -> AsyncIterator[tuple[str, FeedHub]]:
    """The address of a gateway with a route that streams, and the hub that tests feed."""
    feed = FeedHub()
    feed.fed, feed.ended = asyncio.Queue(), asyncio.Event()

    def make_hub() -> FeedHub:
        hub = FeedHub()
        hub.fed, hub.ended = feed.fed, feed.ended
        return hub

    app = web.Application()
    map_hub(app, "/feed", FeedHub, hub_factory=make_hub)
    orchestrator = Orchestrator()
    async with serving(app, "127.0.0.1", 0) as url:
        build: Callable[[HubConnectionBuilder], HubConnection] = connecting_to(f"{url}/feed")
        orchestrator.add_hub("feed", build).add_route(
            "items", HubRouteInfo(invoke_method="Feed", streams=True)
        )
        gateway = create_app(orchestrator)
        gateway.middlewares.extend(middlewares)
        async with serving(gateway, "127.0.0.1", 0) as address:
            yield address, feed


@asynccontextmanager
async def console(page: Page, url: str, hubs: int = 2) -> AsyncIterator[None]:
    """The page, once it listens and its hubs are connected."""
    await page.open(url)
    await page.when(CONNECTED)
    await page.when(ALL_CONNECTED.format(number=hubs))
    yield
    assert page.complaints() == []


async def choose(page: Page, selector: str, value: str) -> str:
    """Choose an option; the text that the form has then."""
    await page.evaluate(
        f"""(() => {{
            const select = document.querySelector("{selector}");
            select.value = {json.dumps(value)};
            select.dispatchEvent(new Event("change", {{ bubbles: true }}));
        }})()"""
    )
    return await body(page)


async def body(page: Page) -> str:
    return str(await page.evaluate('document.querySelector("#invoke-body").value'))


async def send(page: Page, status: int) -> None:
    await page.evaluate('document.querySelector("#invoke-send").click()')
    await page.when(f'document.querySelector("#invoke-result").dataset.status === "{status}"')


@pytest.mark.parametrize("place", ["root", "application", "nginx"])
async def test_the_console_below_a_prefix(hub: RunningHub, tmp_path: Path, place: str) -> None:
    app = create_app(orchestrated(hub))
    prefix = "" if place == "root" else "/tools/gateway"
    served = app
    if place == "application":
        served = web.Application()
        served.add_subapp(prefix, app)
    site = documented()
    if place == "nginx":
        site = site.replace("location / {", f"location {prefix}/ {{")
        site = site.replace("http://127.0.0.1:8080;", "http://127.0.0.1:8080/;")
    async with (
        serving(served, "127.0.0.1", 0) as url,
        nginx_before(url, site, tmp_path) as proxy,
        chromium(tmp_path / "profile") as page,
    ):
        base = proxy.address if place == "nginx" else url
        async with console(page, f"{base}{prefix}/"):
            address = await page.text("#invoke-address")
            assert address == f"POST {prefix}/api/Gateway/hub/chat/room"
            await send(page, 200)
            await page.when('document.querySelector("#events li")')


async def test_events_name_their_routes(hub: RunningHub, tmp_path: Path) -> None:
    """By the name of the event: several routes if hubs use the same one."""
    async with (
        serving(create_app(orchestrated(hub)), "127.0.0.1", 0) as url,
        chromium(tmp_path / "profile") as page,
        console(page, url),
    ):
        for target, routes in (
            ("Announced", "news / all"),
            ("ReceiveMessage", "chat / room or news / room"),
        ):
            await hub.send(target, b'["John","Hello!"]')
            event = f"#events li[data-target={target}]"
            await page.when(f"document.querySelector('{event}')")
            assert (
                await page.evaluate(f"document.querySelector('{event}').dataset.routes") == routes
            )
            assert routes in await page.text(event)


async def test_the_form_takes_the_examples_of_the_route(hub: RunningHub, tmp_path: Path) -> None:
    async with (
        serving(create_app(orchestrated(hub)), "127.0.0.1", 0) as url,
        chromium(tmp_path / "profile") as page,
        console(page, url),
    ):
        examples = '!document.querySelector("#invoke-examples").hidden'
        assert await body(page) == '[{"name":"John","message":"Hello!"}]'
        assert await page.evaluate(examples)
        assert await choose(page, "#invoke-example", "1") == '[{"name":"Ada","message":"Hi"}]'
        assert await choose(page, "#invoke-route", "chat/echo") == "[1.5]"
        assert not await page.evaluate(examples)
        assert await choose(page, "#invoke-route", "chat/hold") == "[]"
        await page.evaluate('document.querySelector("#invoke-body").value = "[2]"')
        assert await choose(page, "#invoke-route", "chat/room") == "[2]"  # typed by the user


async def start(page: Page) -> None:
    await page.evaluate('document.querySelector("#invoke-send").click()')
    await page.when('!document.querySelector("#invoke-stop").hidden')


async def shows(page: Page, items: int, status: str) -> str:
    """Waits for this number of items, and for the text before them. Returns the items."""
    await page.when(f'document.querySelector("#invoke-result").dataset.items === "{items}"')
    await page.when(f'document.querySelector("#invoke-status").innerText.startsWith("{status}")')
    return await page.text("#invoke-answer")


async def test_the_items_of_a_stream_are_shown_as_they_come(tmp_path: Path) -> None:
    """Each of them while the stream goes on, as the hub wrote it, and the end of the stream."""
    async with (
        feeding_gateway() as (url, feed),
        chromium(tmp_path / "profile") as page,
        console(page, url, hubs=1),
    ):
        assert await page.text("tr[data-key=items] td[data-label=Calls]") == "Feed, streams"
        await start(page)
        feed.fed.put_nowait({"price": 0.5, "name": "ü\n"})
        one = '{"price":0.5,"name":"ü\\n"}'
        assert await shows(page, 1, "200 OK, 1 item so far") == one
        feed.fed.put_nowait(2)
        assert await shows(page, 2, "200 OK, 2 items so far") == f"{one}\n2"
        feed.fed.put_nowait(None)
        assert await shows(page, 2, "200 OK, 2 items, ") == f"{one}\n2"
        await page.when('document.querySelector("#invoke-stop").hidden')

        await start(page)
        feed.fed.put_nowait(1)
        await shows(page, 1, "200 OK, 1 item so far")
        feed.fed.put_nowait(HubException("no more"))
        text = await shows(page, 1, "200 OK, failed after 1 item, ")
        assert text.startswith('1\n{\n  "type": "urn:signalr-gateway:problem:hub-error"')
        assert await page.evaluate('document.querySelector("#invoke-result").dataset.ok') == "false"


async def test_a_stream_is_stopped(tmp_path: Path) -> None:
    """Its button cancels the stream at the hub, after items and before the first one."""
    async with (
        feeding_gateway() as (url, feed),
        chromium(tmp_path / "profile") as page,
        console(page, url, hubs=1),
    ):
        for items, status in ((250, "200 OK, stopped after 250 items, "), (0, "Stopped before ")):
            feed.ended.clear()
            await start(page)
            for item in range(items):
                feed.fed.put_nowait(item)
            if items:
                text = await shows(page, items, f"200 OK, {items} items so far")
                assert text.split("\n") == ["… 50 before these", *map(str, range(50, 250))]
            await page.evaluate('document.querySelector("#invoke-stop").click()')
            await page.when(
                f'document.querySelector("#invoke-status").innerText.startsWith("{status}")'
            )
            await page.when('document.querySelector("#invoke-stop").hidden')
            await feed.ended.wait()


async def test_a_stream_that_is_cut_off(tmp_path: Path) -> None:
    """The connection is lost before the stream has ended."""
    requests: list[web.Request] = []

    @web.middleware
    async def remember(request: web.Request, handler: Any) -> Any:
        requests.append(request)
        return await handler(request)

    async with (
        feeding_gateway(remember) as (url, feed),
        chromium(tmp_path / "profile") as page,
    ):
        await page.open(url)
        await page.when(ALL_CONNECTED.format(number=1))
        await start(page)
        feed.fed.put_nowait(1)
        await shows(page, 1, "200 OK, 1 item so far")
        (transport,) = [each.transport for each in requests if each.method == "POST"]
        assert transport is not None
        transport.abort()
        assert await shows(page, 1, "200 OK, cut off after 1 item, ") == "1"
        await feed.ended.wait()


async def on_a_screen(page: Page, width: int, **more: Any) -> None:
    await page.command(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=width < 500,
        **more,
    )


@pytest.mark.parametrize("width", [320, 390, 800, 900, 1280])
async def test_nothing_is_cut_off(hub: RunningHub, tmp_path: Path, width: int) -> None:
    """Neither the page nor a table is wider than the screen, and each value has its heading."""
    async with (
        serving(create_app(orchestrated(hub)), "127.0.0.1", 0) as url,
        chromium(tmp_path / "profile") as page,
        console(page, url),
    ):
        await on_a_screen(page, width)
        await send(page, 200)
        await page.when('document.querySelector("#events li")')
        (tmp_path / "console.png").write_bytes(await page.screenshot())
        cut_off = await page.evaluate(
            """[...document.querySelectorAll("html, .hub, .hub *, #events *, #invoke-form *")]
                .filter((each) => each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0)
                .map((each) => each.outerHTML.slice(0, 200))"""
        )
        assert cut_off == []
        headings = await page.evaluate(
            """[...document.querySelectorAll(".hub td")].map((each) =>
                getComputedStyle(each, "::before").content !== "none"
                || each.closest("table").tHead.offsetHeight > 0)"""
        )
        assert headings
        assert all(headings)


async def test_a_stopped_gateway_is_shown(hub: RunningHub, tmp_path: Path) -> None:
    """First as stopping, then as not reachable; the states of its hubs are then unknown."""
    stop = asyncio.Event()
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with serving(create_app(orchestrated(hub)), "127.0.0.1", 0) as url:
            started.set_result(url)
            await stop.wait()

    gateway = asyncio.create_task(serve())
    url = await started
    async with chromium(tmp_path / "profile") as page:
        await page.open(url)
        await page.when(ALL_CONNECTED.format(number=2))
        await choose(page, "#invoke-route", "chat/hold")
        await page.evaluate('document.querySelector("#invoke-send").click()')
        await hub.held.wait()
        stop.set()
        state = 'document.querySelector("#connection-state").dataset.state'
        await page.when(f'{state} === "stopping"')
        assert await page.text("#connection-state") == "gateway stopping"
        hub.release.set()
        await page.when('document.querySelector("#invoke-result").dataset.status === "200"')
        await gateway
        await page.when(f'{state} === "unreachable"')
        assert await page.text("#connection-state") == "gateway not reachable"
        assert (await page.text("#hubs-stale")).startswith("No answer from the gateway since ")
        assert (
            await page.evaluate('document.querySelectorAll(".hub[data-state=unknown]").length') == 2
        )
        assert await page.text("#clients") == "–"
        port = int(url.rpartition(":")[2])
        async with serving(create_app(orchestrated(hub)), "127.0.0.1", port):
            await page.when(CONNECTED)
            await page.when(ALL_CONNECTED.format(number=2))
            assert await page.evaluate('document.querySelector("#hubs-stale").hidden')


async def use_key(page: Page, key: str) -> None:
    await page.evaluate(f'document.querySelector("#key-input").value = {json.dumps(key)}')
    await page.evaluate('document.querySelector("#key-use").click()')


async def test_a_key_is_needed(hub: RunningHub, tmp_path: Path) -> None:
    """GW-47: the page asks for a key, sends it with each request, and stores it nowhere."""
    key = new_key()
    keys = ApiKeys([ApiKey(name="k", user_id="orders", hash=key_hash(key))])
    needed = "This gateway needs an API key or a token."
    shows = 'document.querySelector("#key-status").innerText === "{text}"'
    async with (
        serving(create_app(orchestrated(hub), authenticate=keys), "127.0.0.1", 0) as url,
        chromium(tmp_path / "profile") as page,
    ):
        await page.open(url)
        await page.when(shows.format(text=needed))
        assert await page.text("#connection-state") == "key needed"
        for wrong, text in (
            (
                "kéy",
                "This is not a key or a token: it contains a character that no header can contain.",
            ),
            ("wrong", "The gateway does not accept this key or token."),
        ):
            await use_key(page, wrong)
            await page.when(shows.format(text=text))
        await use_key(page, key)
        await page.when(CONNECTED)
        await page.when(ALL_CONNECTED.format(number=2))
        assert await page.text("#key-status") == "You are orders."
        await choose(page, "#invoke-route", "chat/room")
        await send(page, 200)
        await page.when('document.querySelector("#events li")')
        (tmp_path / "key.png").write_bytes(await page.screenshot())
        stored = """[localStorage.length, sessionStorage.length, document.cookie, history.state,
            performance.getEntriesByType("resource").some(({name}) => name.includes("{key}")),
            (location.href + document.documentElement.outerHTML).includes("{key}"),
            document.querySelector("#key-input").value]""".replace("{key}", key)
        assert await page.evaluate(stored) == [0, 0, "", None, False, False, ""]
        await page.evaluate('document.querySelector("#key-forget").click()')
        await page.when(shows.format(text=needed))
        shown = 'document.querySelectorAll(".hub, #events li, #invoke-route option").length'
        assert await page.evaluate(shown) == 0
        assert await page.evaluate('document.querySelector("#invoke-result").hidden')
        await use_key(page, key)
        await page.when(CONNECTED)
        await page.go(url)
        await page.when(shows.format(text=needed))
        assert all("401" in complaint for complaint in page.complaints())
