"""Routes whose hub method streams, by POST and on the gateway hub."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from protocol import (
    Hub,
    HubConnection,
    HubConnectionBuilder,
    HubContext,
    HubException,
    JsonHubProtocol,
    MessagePackHubProtocol,
    hub_method,
    map_hub,
)
from protocol.hub_protocol import HubProtocol
from signalr_gateway.http.stream_answer import StreamForm, stream_form
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from signalr_gateway.serving.listener import serving
from tests.gateway.hand_clock import HandClock
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import connecting_to
from tests.support.waiting import until
from tests.transports.http_client import raw_request

PROBLEM = "urn:signalr-gateway:problem:"
LARGE = "x" * 32 * 1024


@dataclass
class Source:
    """The items that the hub streams, and how the stream ended."""

    fed: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    calls: int = 0
    sent: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    hub: HubContext | None = None

    async def at_rest(self) -> None:
        """Returns when `Endless` has stopped, because nothing is taken."""
        before = -1
        while self.sent > before:
            before = self.sent
            for _ in range(200):
                await asyncio.sleep(0)


class StreamingHub(Hub):
    def __init__(self, source: Source) -> None:
        self._source = source

    @hub_method
    async def feed(self) -> AsyncIterator[Any]:
        """Items from the test. None ends the stream, and an exception fails it."""
        self._source.calls += 1
        try:
            while (item := await self._source.fed.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self._source.ended.set()

    @hub_method
    async def endless(self) -> AsyncIterator[str]:
        try:
            while True:
                self._source.sent += 1
                yield LARGE
        finally:
            self._source.ended.set()

    @hub_method
    def plain(self) -> int:
        return 1

    @hub_method
    def lose(self) -> None:
        self.context.abort()


def routes(url: str, hub_protocol: HubProtocol | None = None) -> Callable[[Orchestrator], None]:
    def orchestrate(orchestrator: Orchestrator) -> None:
        hub = orchestrator.add_hub("s", connecting_to(url, hub_protocol), invoke_timeout=30)
        for key, info in {
            "feed": HubRouteInfo(invoke_method="Feed", streams=True),
            "endless": HubRouteInfo(invoke_method="Endless", streams=True),
            "slow": HubRouteInfo(invoke_method="Endless", streams=True, stream_idle_timeout=0.1),
            "no-field": HubRouteInfo(invoke_method="Feed"),
            "wrong-field": HubRouteInfo(invoke_method="Plain", streams=True),
            "plain": HubRouteInfo(invoke_method="Plain"),
            "lose": HubRouteInfo(invoke_method="Lose"),
        }.items():
            hub.add_route(key, info)

    return orchestrate


@asynccontextmanager
async def streaming_hub() -> AsyncIterator[tuple[Source, str]]:
    source = Source()
    app = web.Application()
    source.hub = map_hub(app, "/hub", StreamingHub, hub_factory=lambda: StreamingHub(source))
    async with serving(app, "127.0.0.1", 0) as url:
        yield source, f"{url}/hub"


@dataclass
class Streaming:
    """A gateway in front of a hub that streams, under a hand-held clock."""

    source: Source
    gateway: RunningGateway
    clock: HandClock

    def feed(self, *items: Any) -> None:
        for item in items:
            self.source.fed.put_nowait(item)

    @asynccontextmanager
    async def post(self, key: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self.gateway.url}/api/Gateway/hub/s/{key}"
        async with self.gateway.session.post(url, json=[], headers=headers) as response:
            yield response


@pytest.fixture(params=["json", "messagepack"])
async def streaming(request: pytest.FixtureRequest) -> AsyncIterator[Streaming]:
    protocol = JsonHubProtocol() if request.param == "json" else MessagePackHubProtocol()
    clock = HandClock()
    async with (
        streaming_hub() as (source, url),
        running_gateway(routes(url, protocol), clock=clock) as gateway,
    ):
        yield Streaming(source, gateway, clock)


async def test_items_are_lines(streaming: Streaming) -> None:
    """GW-32."""
    streaming.feed(1, {"a": [None, "ü"]}, "x", None)
    async with streaming.post("feed") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/x-ndjson"
        assert response.headers["Cache-Control"] == "no-store"
        assert "X-Request-Id" in response.headers
        assert await response.read() == '1\n{"a":[null,"ü"]}\n"x"\n'.encode()


async def test_items_are_events_if_the_caller_asks_for_them(streaming: Streaming) -> None:
    streaming.feed(1, "x", None)
    async with streaming.post("feed", Accept="text/event-stream") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert await response.read() == b'data: 1\n\ndata: "x"\n\n'


async def test_each_item_arrives_as_it_comes(streaming: Streaming) -> None:
    streaming.feed(1)
    async with streaming.post("feed") as response:
        assert await response.content.readline() == b"1\n"
        streaming.feed(2)
        assert await response.content.readline() == b"2\n"
        streaming.feed(None)
        assert await response.content.readline() == b""


async def test_a_caller_of_http_1_0_sees_the_end(streaming: Streaming) -> None:
    """There are no chunks: the end of the connection ends the answer, even if it was to be kept."""
    streaming.feed(1, None)
    head = "POST {target} HTTP/1.0\nConnection: keep-alive\nContent-Type: application/json"
    url = f"{streaming.gateway.url}/api/Gateway/hub/s/feed"
    async with raw_request(url, f"{head}\nContent-Length: 2") as (reader, writer):
        writer.write(b"[]")
        head_sent, _, items = (await reader.read()).partition(b"\r\n\r\n")
    assert head_sent.startswith(b"HTTP/1.0 200 OK\r\n")
    assert items == b"1\n"


async def test_a_stream_without_items_is_an_empty_answer(streaming: Streaming) -> None:
    streaming.feed(None)
    async with streaming.post("feed") as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_an_error_before_the_first_item_is_a_problem_answer(streaming: Streaming) -> None:
    streaming.feed(HubException("no"))
    answer = await streaming.gateway.post("s/feed", b"[]")
    assert (answer.status, answer.problem["code"]) == (502, "hub-error")
    assert answer.problem["detail"].endswith("HubException: no")
    assert "hint" not in answer.problem


async def test_an_error_after_an_item_is_the_last_line(streaming: Streaming) -> None:
    streaming.feed(1, HubException("no"))
    async with streaming.post("feed") as response:
        item, problem, end = (await response.read()).split(b"\n")
    assert (item, end) == (b"1", b"")
    told = json.loads(problem)
    assert (told["type"], told["status"]) == (f"{PROBLEM}hub-error", 502)
    assert told["detail"].endswith("HubException: no")
    assert told["requestId"] == response.headers["X-Request-Id"]


async def test_streams_that_fail_are_logged_once_a_minute(
    streaming: Streaming, caplog: pytest.LogCaptureFixture
) -> None:
    """For each route and code: callers can cause them at will."""
    with caplog.at_level(logging.INFO, "signalr_gateway.http.stream_answer"):
        for _ in range(3):
            streaming.feed(1, HubException("no"))
            async with streaming.post("feed") as response:
                await response.read()
    lines = [record for record in caplog.records if "stream ends with" in record.msg]
    assert [record.getMessage().partition(": ")[2] for record in lines] == [
        "the stream ends with hub-error"
    ]


async def test_an_error_after_an_item_is_the_last_event(streaming: Streaming) -> None:
    streaming.feed(1, HubException("no"))
    async with streaming.post("feed", Accept="text/event-stream") as response:
        item, problem, end = (await response.read()).split(b"\n\n")
    assert (item, end) == (b"data: 1", b"")
    name, data = problem.split(b"\n")
    assert name == b"event: problem"
    assert json.loads(data.removeprefix(b"data: "))["code"] == "hub-error"


async def test_a_lost_connection_is_the_last_line(streaming: Streaming) -> None:
    streaming.feed(1)
    async with streaming.post("feed") as response:
        assert await response.content.readline() == b"1\n"
        await streaming.gateway.post("s/lose", b"[]")
        assert json.loads(await response.read())["code"] == "hub-connection-lost"


async def test_a_caller_that_leaves_cancels_the_stream(streaming: Streaming) -> None:
    streaming.feed(1)
    async with streaming.post("feed") as response:
        assert await response.content.readline() == b"1\n"
        response.close()
    await streaming.source.ended.wait()


async def test_the_first_item_has_the_invoke_timeout(streaming: Streaming) -> None:
    call = asyncio.create_task(streaming.gateway.post("s/feed", b"[]"))
    await until(lambda: streaming.source.calls == 1)
    await streaming.clock.advance(30)
    answer = await call
    assert (answer.status, answer.problem["code"]) == (504, "hub-timeout")
    await streaming.source.ended.wait()


async def test_each_further_item_has_the_idle_timeout(streaming: Streaming) -> None:
    streaming.feed(1)
    async with streaming.post("feed") as response:
        assert await response.content.readline() == b"1\n"
        await streaming.clock.advance(60)
        problem = json.loads(await response.read())
    assert problem["code"] == "hub-timeout"
    assert problem["detail"] == "Hub 's' sent no item for 60 seconds."
    await streaming.source.ended.wait()


async def test_a_caller_that_does_not_read_stops_the_hub_method(streaming: Streaming) -> None:
    """The hub method waits until the caller reads on."""
    source = streaming.source
    async with streaming.post("endless") as response:
        first = await response.content.readline()
        assert json.loads(first) == LARGE
        await source.at_rest()
        before = source.sent
        for _ in range(before):
            await response.content.readline()
        assert source.sent > before
        response.close()
    await source.ended.wait()


def impatient(url: str) -> Callable[[Orchestrator], None]:
    """A route that streams and has events, on a connection on which items wait for 0.1 s."""

    def build(builder: HubConnectionBuilder) -> HubConnection:
        return builder.with_url(url).with_maximum_item_wait(0.1).build()

    def orchestrate(orchestrator: Orchestrator) -> None:
        info = HubRouteInfo(invoke_method="Endless", streams=True, receive_method="News")
        orchestrator.add_hub("s", build).add_route("endless", info)

    return orchestrate


@asynccontextmanager
async def a_listener(gateway: RunningGateway) -> AsyncIterator[asyncio.Event]:
    """A client of the gateway hub; the event is set when it has received News."""
    heard = asyncio.Event()
    async with gateway.client() as connection:
        connection.on("News", lambda *_: heard.set())
        yield heard


async def test_a_caller_that_does_not_read_holds_up_events_for_a_limited_time() -> None:
    """GW-32: its stream is cancelled, and all else of the hub goes on."""
    async with (
        streaming_hub() as (source, url),
        running_gateway(impatient(url)) as gateway,
        a_listener(gateway) as heard,
        gateway.session.post(f"{gateway.url}/api/Gateway/hub/s/endless", json=[]) as response,
    ):
        assert source.hub is not None
        await source.at_rest()
        await source.hub.clients.all.send("News")
        await heard.wait()
        await source.ended.wait()
        *items, problem, end = (await response.read()).split(b"\n")
        assert items
        assert (json.loads(problem)["code"], end) == ("stream-overflow", b"")


async def test_a_client_that_does_not_read_holds_up_events_for_a_limited_time() -> None:
    """GW-32: likewise for a stream on the gateway hub."""
    async with (
        streaming_hub() as (source, url),
        running_gateway(impatient(url)) as gateway,
        a_listener(gateway) as heard,
        gateway.client() as slow,
    ):
        assert source.hub is not None
        call = {"api": "s", "key": "endless", "dataArray": []}
        items = slow.stream("StreamDownstreamHub", call)
        await anext(items)
        await source.at_rest()
        await source.hub.clients.all.send("News")
        await heard.wait()
        await source.ended.wait()
        with pytest.raises(
            HubException, match=r"were not taken fast enough; the stream is cancell"
        ):
            await collected(items)


async def collected(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def test_a_caller_that_takes_nothing_is_cut_off(streaming: Streaming) -> None:
    async with streaming.post("slow"):
        await streaming.source.ended.wait()


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("no-field", "The hub method streams: set streams = true in the route."),
        ("wrong-field", "The hub method does not stream: remove streams = true from the route."),
    ],
)
async def test_a_route_that_does_not_fit_its_hub_method(
    streaming: Streaming, key: str, hint: str
) -> None:
    answer = await streaming.gateway.post(f"s/{key}", b"[]")
    assert (answer.status, answer.problem["code"]) == (502, "hub-error")
    assert "The client attempted to invoke the " in answer.problem["detail"]
    assert answer.problem["hint"] == hint


async def test_an_item_without_a_json_form_is_the_last_line() -> None:
    async with (
        streaming_hub() as (source, url),
        running_gateway(routes(url, MessagePackHubProtocol())) as gateway,
    ):
        source.fed.put_nowait(1)
        source.fed.put_nowait(float("nan"))
        answer = await gateway.post("s/feed", b"[]")
        item, problem, _ = answer.body.split(b"\n")
        assert (item, json.loads(problem)["code"]) == (b"1", "result-not-json")
        await source.ended.wait()


async def test_line_breaks_between_tokens_become_blanks() -> None:
    assert StreamForm.LINES.item(b'{"a":\r\n"\\n"}') == b'{"a":  "\\n"}\n'
    assert StreamForm.EVENTS.item(b"[1,\n2]") == b"data: [1, 2]\n\n"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ([], StreamForm.LINES),
        (["*/*"], StreamForm.LINES),
        (["application/json"], StreamForm.LINES),
        (["text/event-stream"], StreamForm.EVENTS),
        (["TEXT/event-stream; q=0.1"], StreamForm.EVENTS),
        (["text/event-stream, */*"], StreamForm.EVENTS),
        (["text/event-stream", "application/x-ndjson"], StreamForm.EVENTS),
        (["application/x-ndjson, text/event-stream"], StreamForm.LINES),
        (["application/x-ndjson;q=0.5, text/event-stream;q=0.6"], StreamForm.EVENTS),
        (["text/event-stream;q=0"], StreamForm.LINES),
        (["text/event-stream;q=x"], StreamForm.LINES),
        ([";,/"], StreamForm.LINES),
    ],
)
def test_accept_chooses_the_form(accept: list[str], form: StreamForm) -> None:
    assert stream_form(accept) is form


# ---- the gateway hub


@pytest.mark.parametrize("client", [JsonHubProtocol(), MessagePackHubProtocol()])
async def test_a_client_of_the_gateway_hub_receives_the_stream(
    streaming: Streaming, client: HubProtocol
) -> None:
    call = {"api": "s", "key": "feed", "dataArray": []}
    streaming.feed(1, {"a": "ü"}, HubException("no"))
    async with streaming.gateway.client(client) as connection:
        items = connection.stream("StreamDownstreamHub", call)
        assert [await anext(items), await anext(items)] == [1, {"a": "ü"}]
        with pytest.raises(HubException, match=r"HubException: no$"):
            await anext(items)


async def test_a_client_that_leaves_the_stream_cancels_it(streaming: Streaming) -> None:
    call = {"api": "s", "key": "feed", "dataArray": []}
    streaming.feed(1)
    async with streaming.gateway.client() as connection:
        items = connection.stream("StreamDownstreamHub", call)
        assert await anext(items) == 1
        await items.aclose()
        await streaming.source.ended.wait()


async def test_each_method_names_the_other(streaming: Streaming) -> None:
    async with streaming.gateway.client() as connection:
        with pytest.raises(HubException, match="streams; call StreamDownstreamHub instead"):
            await connection.invoke(
                "InvokeDownstreamHub", {"api": "s", "key": "feed", "dataArray": []}
            )
        items = connection.stream(
            "StreamDownstreamHub",
            {"api": "s", "key": "plain", "dataArray": []},
            item_type=msgspec.Raw,
        )
        with pytest.raises(HubException, match="does not stream; call InvokeDownstreamHub instead"):
            await anext(items)
