"""GW-6, GW-28: a run at DEBUG with secrets in all inputs, none of which is logged."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from protocol import (
    EndpointOptions,
    HttpRequestData,
    HttpTransportType,
    Hub,
    HubConnectionBuilder,
    HubException,
    Principal,
    hub_method,
    map_hub,
)
from protocol.hub_protocol import HubProtocol
from signalr_gateway.serving.listener import serving
from tests.gateway.command import Command, command
from tests.gateway.gateway_clients import COMBINATIONS

pytestmark = pytest.mark.slow

SECRET = "hush"
"""A part of each text that must not be logged. A number after it distinguishes the texts."""
RECEIVE_KEY = f"{SECRET}-01"
HEADER = f"{SECRET}-02"
TOKEN = f"{SECRET}-03"
WRITTEN_IN_URL = f"{SECRET}-04"
BASIC = f"{SECRET}-05"


class TalkativeHub(Hub):
    """A hub whose results, errors and events all contain a secret."""

    @hub_method(authorize=True)
    async def say(self, text: str) -> str:
        await self.clients.all.send("Said", text, f"{SECRET}-10")
        await self.clients.all.send("Numbers", f"{SECRET}-11")
        await self.clients.all.send("Unrouted", f"{SECRET}-12")
        return f"{SECRET}-13 {text}"

    @hub_method
    async def fail(self, text: str) -> None:
        raise HubException(f"{SECRET}-14 {text}")

    @hub_method
    async def wait(self) -> None:
        await asyncio.Event().wait()

    @hub_method
    async def leave(self) -> None:
        self.context.abort()


def orchestration(url: str, way: str) -> str:
    return f"""
[limits]
body_timeout = 0.3

[hubs.talk]
url = "{url}/hub?code={WRITTEN_IN_URL}"
receive_key = "{RECEIVE_KEY}"
headers = {{ X-Key = "{HEADER}" }}
access_token_file = "token"
maximum_message_size = 300
{way}

[hubs.talk.routes.say]
invoke_method = "Say"
receive_method = "Said"
[hubs.talk.routes.fail]
invoke_method = "Fail"
[hubs.talk.routes.wait]
invoke_method = "Wait"
invoke_timeout = 0.05
[hubs.talk.routes.leave]
invoke_method = "Leave"
[hubs.talk.routes.numbers]
receive_method = "Numbers"
receive_parameter_types = ["int"]
[hubs.talk.routes.one]
invoke_method = "Say"
receive_method = "ToOne"
broadcast_type = "individual"
[hubs.talk.routes.group]
receive_method = "ToGroup"
broadcast_type = "group"
receive_group = "Listeners"

[hubs.lying]
url = "{url}/lying"
transports = ["WebSockets"]
[hubs.lying.routes.say]
invoke_method = "Say"

[hubs.slandering]
url = "{url}/slandering"
transports = ["WebSockets"]
[hubs.slandering.routes.say]
invoke_method = "Say"

[hubs.closing]
url = "{url}/closing"
transports = ["WebSockets"]
[hubs.closing.routes.say]
invoke_method = "Say"

[hubs.breaking]
url = "{url}/breaking"
transports = ["WebSockets"]
[hubs.breaking.routes.say]
invoke_method = "Say"

[hubs.reasoning]
url = "{url}/reasoning"
[hubs.reasoning.routes.say]
invoke_method = "Say"

[hubs.moving]
url = "{url}/moving"
[hubs.moving.routes.say]
invoke_method = "Say"

[hubs.challenging]
url = "{url}/challenging"
access_token_file = "token"
[hubs.challenging.routes.say]
invoke_method = "Say"

[hubs.gone]
url = "http://john:{BASIC}@127.0.0.1:9/hub?code={WRITTEN_IN_URL}"
[hubs.gone.routes.say]
invoke_method = "Say"

[hubs.refused]
url = "{url}/nowhere?code={WRITTEN_IN_URL}"
access_token_env = "REFUSED_TOKEN"
[hubs.refused.routes.say]
invoke_method = "Say"
"""


def authenticate(request: HttpRequestData) -> Principal | None:
    """A principal for requests with the headers of the first hub's table; `say` requires it."""
    shown = (request.headers.get("Authorization"), request.headers.get("X-Key"))
    if shown != (f"Bearer {TOKEN}", HEADER) or request.query("code") != WRITTEN_IN_URL:
        return None
    return Principal(user_id=None, roles=frozenset(), claims={})


OFFER = {
    "connectionId": "c",
    "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}],
}


async def negotiate_hostilely(request: web.Request) -> web.Response:
    """Answers of a hub with a secret in each part that a hub can choose."""
    match request.match_info["how"]:
        case "lying":
            return web.json_response({"error": f"{SECRET}-70"})
        case "reasoning":
            return web.Response(status=403, reason=f"{SECRET}-71", text=f"{SECRET}-72")
        case "moving":
            url = f"http://127.0.0.1:9/{SECRET}-76?access_token={SECRET}-77"
            answer = web.json_response({"url": url, "accessToken": f"{SECRET}-78"})
            answer.set_cookie("session", f"{SECRET}-79")
            return answer
        case "challenging":
            challenge = f'Bearer error_description="{SECRET}-80"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        case _:
            return web.json_response(OFFER)


async def connect_hostilely(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.receive()
    how = request.match_info["how"]
    await socket.send_str(f'{{"error":"{SECRET}-73"}}\x1e' if how == "slandering" else "{}\x1e")
    if how == "closing":
        await socket.send_str(f'{{"type":7,"error":"{SECRET}-74"}}\x1e')
    if how == "breaking":  # a Close frame of one byte and text that is not UTF-8
        await socket.send_frame(f"{SECRET}-75".encode() + b"\xff", aiohttp.WSMsgType.TEXT)
    await socket.receive()
    return socket


@asynccontextmanager
async def talkative_hub() -> AsyncIterator[str]:
    app = web.Application()
    options = EndpointOptions(authenticate=authenticate)
    map_hub(app, "/hub", TalkativeHub, endpoint_options=options)
    hostile = "/{how:lying|slandering|closing|breaking|reasoning|moving|challenging}"
    app.router.add_post(hostile + "/negotiate", negotiate_hostilely)
    app.router.add_get(hostile, connect_hostilely)
    async with serving(app, "127.0.0.1", 0) as url:
        yield url


@asynccontextmanager
async def gateway(folder: Path, hub_url: str, way: str) -> AsyncIterator[tuple[Command, str]]:
    (folder / "gateway.toml").write_text(orchestration(hub_url, way), encoding="utf-8")
    (folder / "token").write_text(TOKEN, encoding="utf-8")
    arguments = ("run", "gateway.toml", "--port", "0", "--log-level", "debug")
    async with command(*arguments, cwd=folder, merged=True, REFUSED_TOKEN=TOKEN) as running:
        yield running, (await running.line(r"console      (\S+)/$"))[1]


class Caller:
    """Calls with a secret in each part that a caller can choose."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def post(self, route: str, body: object, content_type: str = "application/json") -> int:
        async with self._session.post(
            f"{self._url}/api/Gateway/hub/{route}?access_token={SECRET}-20",
            data=io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode()),
            headers={
                "Content-Type": content_type,
                "Authorization": f"Bearer {SECRET}-21",
                "Cookie": f"session={SECRET}-22",
                "X-Request-Id": f"{SECRET} 23",  # not a valid request id
            },
        ) as answer:
            await answer.read()
            return answer.status


async def play_posts(caller: Caller) -> None:
    text = f"{SECRET}-30"
    for route, body, status in (
        ("talk/say", [text], 200),
        ("talk/fail", [text], 502),
        ("talk/say", [text, text], 502),
        ("talk/say", {text: text}, 400),
        ("talk/say", f'["{text}'.encode(), 400),
        ("talk/say", f'["{text}'.encode() + b'\xff"]', 400),
        ("talk/say", [text] * 11, 400),
        ("talk/say", [text * 100], 413),
        ("talk/say", [text * 200_000], 413),
        ("talk/numbers", [text], 404),
        ("talk/leave", [], 502),
        ("talk/wait", [], 504),  # last, so that no other call runs in the hub at the same time
    ):
        assert await caller.post(route, body) == status, (route, status)
    assert await caller.post("talk/say", [text], f"text/{SECRET}") == 415


async def play_broken_requests(url: str) -> None:
    """Invalid requests, for the HTTP parser and the timeout of the body."""
    host, port = url.removeprefix("http://").split(":")
    say = "/api/Gateway/hub/talk/say"
    for request in (
        f"GET /gatewayhub?access_token={SECRET}-40\x01 HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: [::1]\r\nAuthorization: Bearer {SECRET}-41\x01\r\n\r\n",
        f"{SECRET}-42 / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        f"POST {say}?{SECRET}-43 HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 99\r\n\r\n[{SECRET}-44",
        f"POST {say} HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}-45\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request.encode())
        assert (await reader.readline()).split()[1] in (b"400", b"408")
        writer.close()
        await writer.wait_closed()


async def play_subscriptions(
    url: str, transport: HttpTransportType, hub_protocol: HubProtocol
) -> None:
    """Calls with right and wrong keys, and events for those who subscribed."""
    connection = (
        HubConnectionBuilder()
        .with_hub_protocol(hub_protocol)
        .with_url(
            f"{url}/gatewayhub?tenant={SECRET}-50",
            transports=transport,
            access_token_factory=lambda: f"{SECRET}-51",
            headers={"X-Api-Key": f"{SECRET}-52"},
        )
        .build()
    )
    said: asyncio.Queue[Any] = asyncio.Queue()
    connection.on_any(lambda target, arguments: said.put_nowait(target))
    async with connection:
        one = {"Api": "talk", "Key": "one", "ReceiveKey": RECEIVE_KEY, "UserId": f"{SECRET}-53"}
        group = {**one, "Key": "group", "ReceiveGroup": "Listeners"}
        for method, argument in (
            ("SubscribeToRoute", one),
            ("SubscribeToRoute", one),
            ("SubscribeToGroup", group),
            ("SubscribeToGroup", {**group, "ReceiveGroup": f"{SECRET}-54"}),
            ("SubscribeToGroup", {**group, "Key": f"{SECRET}-55"}),
            ("InvokeDownstreamHub", {**one, "Data": f"{SECRET}-56"}),
            ("InvokeDownstreamHub", {**one, "Key": "fail", "Data": f"{SECRET}-57"}),
            ("InvokeDownstreamHub", f"{SECRET}-58"),
            (f"{SECRET}-59", one),
            # There are so few wrong keys that no answer is delayed.
            ("SubscribeToGroup", {**group, "ReceiveKey": f"{RECEIVE_KEY}-wrong"}),
            ("InvokeDownstreamHub", {**one, "ReceiveKey": None, "Data": f"{SECRET}-56"}),
        ):
            try:
                await connection.invoke(method, argument)
            except HubException:
                continue
        assert await said.get() == "Said"


async def play_broken_clients(session: aiohttp.ClientSession, url: str) -> None:
    hub = f"{url}/gatewayhub"
    for frames in (
        [f'{{"protocol":"{SECRET}-60","version":1}}\x1e'],
        [f"{SECRET}-61\x1e"],
        ['{"protocol":"json","version":1}\x1e', f'{{"type":1,"target":"{SECRET}-62\x1e'],
        ['{"protocol":"json","version":1}\x1e', f'{{"type":"{SECRET}-63"}}\x1e'],
        ['{"protocol":"json","version":1}\x1e', f'{{"type":1,"target":"{"x" * 40_000}"}}\x1e'],
    ):
        async with session.ws_connect(f"{hub}?access_token={SECRET}-64") as socket:
            for frame in frames:
                await socket.send_str(frame)
            while not (await socket.receive()).type.name.startswith("CLOS"):
                pass
    for protocols in ((f"{SECRET}-67",), ("bearer", f"{SECRET}-68" * 900)):
        async with session.ws_connect(
            hub, protocols=protocols, headers={"Cookie": f"session={SECRET}-69"}
        ) as socket:
            assert socket.protocol is None
    async with session.get(f"{hub}?id={SECRET}-65&access_token={SECRET}-66") as answer:
        assert answer.status >= 400


async def read_what_is_shown(session: aiohttp.ClientSession, url: str) -> str:
    """The health answer and the console's, which name why each hub is not connected."""
    shown = ""
    for path in ("/healthz", "/console/status.json"):
        async with session.get(url + path) as answer:
            shown += await answer.text()
    return shown


@pytest.mark.parametrize(
    "way",
    [
        'transports = ["WebSockets"]',
        'transports = ["ServerSentEvents"]',
        'transports = ["LongPolling"]\nprotocol = "messagepack"',
    ],
)
async def test_nothing_secret_is_logged(tmp_path: Path, way: str) -> None:
    """GW-6, GW-28: with each hub protocol and transport of clients and hub."""
    async with (
        aiohttp.ClientSession() as session,
        talkative_hub() as hub_url,
        gateway(tmp_path, hub_url, way) as (running, url),
    ):
        await running.line("hub 'talk': connected")
        for transport, hub_protocol in COMBINATIONS:
            await play_subscriptions(url, transport, hub_protocol)
        await play_posts(Caller(session, url))
        await play_broken_requests(url)
        await play_broken_clients(session, url)
        shown = await read_what_is_shown(session, url)
        output = await running.stop_and_read()
    for event in (
        "listening on http://127.0.0.1:",
        " (hubs: 10, routes: ",
        "hub 'talk': connected",
        "hub 'talk': connection lost: ",
        "hub 'gone': cannot connect: ",
        "hub 'refused': cannot connect: ",
        "hub 'lying': cannot connect: The server refused to negotiate.",
        "hub 'slandering': cannot connect: The server refused the handshake.",
        "hub 'closing': connection lost: The server closed the connection with an error.",
        "hub 'breaking': connection lost: The WebSocket",
        "hub 'moving': cannot connect: Negotiate failed: the server redirects to another origin",
        "hub 'challenging': cannot connect: Response status code does not indicate success: 401.",
        "hub 'reasoning': cannot connect: Response status code does not indicate success: 403.",
        "hub 'talk': event 'Numbers' not forwarded (1 so far): argument 1: expected Int32, got a s",
        "hub 'talk': no route receives 'Unrouted'",
        "hub 'talk': wrong or missing ReceiveKey (1 so far)",
        "hub 'talk': a client subscribed to route 'one'",
        "hub 'talk': a client subscribed to group 'Listeners'",
        "route 'talk/one': subscribed twice; it has no effect",
        "POST /api/Gateway/hub/talk/fail: hub-error (request ",
        "POST /api/Gateway/hub/talk/wait: hub-timeout (request ",
        "POST /api/Gateway/hub/talk/say: body-timeout (request ",
        "refused an invalid HTTP request: ",
        "gateway stopped",
    ):
        assert event in output
    leaks = [line for line in output.splitlines() if SECRET in line.lower()]
    assert leaks == []
    assert "Traceback" not in output
    assert "The server refused to negotiate." in shown
    assert SECRET not in shown.lower()
