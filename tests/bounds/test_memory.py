"""The memory of all tables and buffers that a peer can fill is bounded.

Each act adds entries to one table or buffer. Above the bound, ten times as many entries must take
no more memory. The bounds themselves are tested elsewhere. Connections that end leave nothing
behind.
"""

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from msgspec import Raw
from yarl import URL

from protocol import (
    GroupLimitError,
    HttpTransportType,
    HubConnection,
    HubException,
    RemoteProtocolError,
    TransportViolationError,
)
from protocol.aio.transport import Receiver
from protocol.client.hub_connection import Connected
from protocol.client.options import HubConnectionOptions
from protocol.framing import RecordFramer
from protocol.hosting.http_connections import HttpConnectionManager
from protocol.json.protocol import JsonHubProtocol
from protocol.messagepack.framing import LengthPrefixFramer, frame
from protocol.messagepack.protocol import MessagePackHubProtocol
from protocol.server.lifetime import DefaultHubLifetimeManager
from protocol.server_sent_events import ServerSentEventsParser
from protocol.transports.client.cookies import HubCookieJar
from protocol.transports.client.options import HttpConnectionOptions
from protocol.transports.server.hosted_connection import HostedConnection
from signalr_gateway.access.policies import Action
from signalr_gateway.clients.route_calls import RouteCall
from signalr_gateway.clients.services import GatewayServices
from signalr_gateway.http.media_type import is_json
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.routing.subscriptions import Subscriptions
from signalr_gateway.routing.tables import RoutingTables, Subscription
from tests.support.idle_connection import IdleTransport, hub_connection

pytestmark = pytest.mark.slow

MIB = 1024 * 1024

Act = Callable[[int], Any]


class FloodingServer(IdleTransport):
    """A transport to a server that sends one message again and again and reads nothing."""

    def __init__(self, message: bytes, times: int) -> None:
        super().__init__()
        self.taken = 0
        self.waiting: list[bytes] = []
        self._message = message
        self._times = times
        self._receiver: Receiver | None = None
        self._is_paused = False

    def set_receiver(self, receiver: Receiver) -> None:
        self._receiver = receiver
        receiver.data_received(b"{}\x1e")
        asyncio.get_running_loop().call_soon(self._send)

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        if not self._is_paused and self.taken < self._times and not self._closed.is_set():
            self.taken += 1
            assert self._receiver is not None
            self._receiver.data_received(self._message)
            asyncio.get_running_loop().call_soon(self._send)

    def write(self, data: bytes) -> int:
        self.waiting.append(data)
        return super().write(data)


# ---- acts


def negotiate(times: int) -> None:
    """N-27: clients that negotiate and never connect."""
    manager = HttpConnectionManager(HostedConnection)
    for number in range(times):
        manager.make_room("/hub", 500, number / 1000)
        manager.create("/hub", 1, now=number / 1000, lifetime=1.0, remote=f"10.0.{number % 999}.1")


def connect(times: int) -> None:
    """Clients that connect and never disconnect."""
    manager = HttpConnectionManager(HostedConnection)
    for _ in range(times):
        manager.make_room("/hub", 500, 0.0)
        connection = manager.create("/hub", 1, now=0.0, lifetime=1.0)
        manager.activate(connection, HttpTransportType.WEB_SOCKETS, "/hub", 500)


def unfinished_records(times: int) -> None:
    """F-4."""
    for _ in range(times // 100):
        with pytest.raises(RemoteProtocolError):
            overfill(RecordFramer(32 * 1024))


def overfill(framer: RecordFramer) -> None:
    while True:
        for _ in framer.feed(b"x" * 1024):
            pass


def unfinished_messages(times: int) -> None:
    """Messages of MessagePack that arrive byte by byte, without anything between them."""
    framer = LengthPrefixFramer(32 * 1024)
    stream = frame(bytes(30_000))
    for number in range(times):
        place = number % (len(stream) - 1)
        list(framer.feed(stream[place : place + 1]))
        list(framer.feed(b""))
        if place == len(stream) - 2:
            list(framer.feed(stream[-1:]))


def hostile_messages(times: int) -> None:
    """MessagePack with large announced lengths, deep nesting, unknown types or new names."""
    protocol = MessagePackHubProtocol()
    bind = protocol.arguments_reader((Any,))
    deep = b"\x96\x01\x80\xc0\xa1T" + b"\x91" * 600  # takes long
    for number in range(times // 10):
        records = [b"\xdd\xff\xff\xff\xff", b"\x92\x63\xa8%08x" % number]
        for record in (*records, *[deep] * (number % 20 == 0)):
            try:
                protocol.decode(record)
            except RemoteProtocolError:
                pass
        bind(Raw(b"\x91\x81\xa8%08x\xc0" % number))


async def join_groups(times: int) -> None:
    """A hub method that lets its callers choose groups."""
    manager = DefaultHubLifetimeManager()
    connection = hub_connection("c")
    await manager.on_connected(connection)
    for number in range(times):
        for name in (f"group {number}", f"{number}" * 1000):
            try:
                await manager.add_to_group("c", name)
            except GroupLimitError:
                pass


def subscribe(times: int) -> None:
    """GW-16: subscriptions to one route, each with a new user id, which stay or end at once."""
    held, ended = (
        Subscriptions(RoutingTables(orchestration().hubs, sends=True), 1000) for _ in range(2)
    )
    for number in range(times):
        subscription = Subscription("hub", route="route", user=f"user {number}")
        ended.add(subscription)
        ended.remove(subscription)
        try:
            held.add(subscription)
        except HubException:
            pass


async def call_a_busy_client(times: int) -> None:
    """C-21: many small calls while a handler does not end."""
    await flood_client(b'{"type":1,"target":"Busy","arguments":[]}\x1e', times)


async def call_a_busy_client_at_once(times: int) -> None:
    """C-21: the same calls, a thousand in one piece."""
    await flood_client(b'{"type":1,"target":"Busy","arguments":[]}\x1e' * 1000, times // 1000)


async def call_a_busy_client_by_long_names(times: int) -> None:
    """C-21: long targets and many headers count, like arguments."""
    headers = b",".join(b'"%d":""' % number for number in range(100))
    message = b'{"type":1,"target":"%b","headers":{%b},"arguments":[]}\x1e'
    await flood_client(message % (b"x" * 1000, headers), times)


async def call_a_busy_client_with_much_around(times: int) -> None:
    """C-21: the frame in which arguments arrived is not kept with them."""
    blanks = b" " * 10_000
    await flood_client(b'{"type":1,"target":"Busy",%b"arguments":[]}\x1e' % blanks, times)


async def ask_a_client_for_results(times: int) -> None:
    """CR-3: each of them is answered, but the answers are not read."""
    message = b'{"type":1,"invocationId":"%b","target":"X","arguments":[]}\x1e'
    await flood_client(message % (b"1" * 500), times)


def unfinished_events(times: int) -> None:
    """TS_: an event that does not end, between comments and unknown fields."""
    parser = ServerSentEventsParser(32 * 1024)
    for number in range(times):
        parser.feed(b": %d\nid: %d\nretry: 1\n" % (number, number))
        if number % 100 == 0:
            parser.feed(b"data:%0100d\n" % number)
            if number % 20_000 == 0:
                parser.feed(b"\n")
    with pytest.raises(TransportViolationError):
        parser.feed(b"data:%032768d" % 0)


async def set_cookies(times: int) -> None:
    """C-2: a server that sets new cookies for new paths again and again."""
    url = "http://hub.example/"
    jar = HubCookieJar(HttpConnectionOptions(url=url))
    for number in range(times // 10):
        header = f"name{number}=value; Path=/{number % 100}; Max-Age=1000"
        jar.update_cookies(SimpleCookie(header), URL(url))


def name_content_types(times: int) -> None:
    """GW-9: only a few of the parsed content types are kept."""
    for number in range(times // 10):
        assert is_json(f"application/json;a={number}")


def name_routes(times: int) -> None:
    """GW-16: calls of unknown routes, each with a new name."""
    services = GatewayServices(RoutingTables(orchestration().hubs), {})
    for number in range(times):
        call = RouteCall(api=f"hub {number}", key=f"route {number}")
        with pytest.raises(HubException):
            services.authorized_route(call, None, Action.CALL)


async def connect_and_leave(times: int) -> None:
    """Connect, join, leave, disconnect: nothing is left."""
    connections, lifetime = HttpConnectionManager(HostedConnection), DefaultHubLifetimeManager()
    for number in range(times // 5):
        connection = connections.create("/hub", 1, now=0.0, lifetime=1.0)
        assert connections.activate(connection, HttpTransportType.WEB_SOCKETS, "/hub", 1)
        context = hub_connection(connection.connection_id)
        await lifetime.on_connected(context)
        for group in (f"kept {number}", f"left {number}"):
            await lifetime.add_to_group(context.connection_id, group)
        await lifetime.remove_from_group(context.connection_id, f"left {number}")
        await lifetime.on_disconnected(context)
        connections.remove(connection)
    assert not any(tables(lifetime))
    counts, waiting = (table for table in tables(connections) if table)
    assert counts == {"/hub": 0}
    assert [len(each) for each in waiting.values()] == [0]


ACTS = [
    negotiate,
    connect,
    unfinished_records,
    unfinished_messages,
    hostile_messages,
    join_groups,
    subscribe,
    call_a_busy_client,
    call_a_busy_client_at_once,
    call_a_busy_client_by_long_names,
    call_a_busy_client_with_much_around,
    ask_a_client_for_results,
    unfinished_events,
    set_cookies,
    name_content_types,
    name_routes,
    connect_and_leave,
]


# ---- helpers


def tables(manager: object) -> list[dict[str, Any]]:
    return [value for value in vars(manager).values() if isinstance(value, dict)]


def orchestration() -> Orchestrator:
    orchestrator = Orchestrator()
    orchestrator.add_hub("hub", lambda builder: builder.build()).add_route(
        "route", HubRouteInfo(receive_method="R", broadcast_type=BroadcastType.INDIVIDUAL)
    )
    return orchestrator


async def flood_client(message: bytes, times: int) -> None:
    """Send until the client accepts no more."""
    server = FloodingServer(message, times)

    async def connector() -> Connected:
        return Connected(server, None)

    connection = HubConnection(connector, JsonHubProtocol(), HubConnectionOptions(), None)
    release = asyncio.Event()
    connection.on("Busy", release.wait)
    connection.on("x" * 1000, release.wait)
    await connection.start()
    taken = -1
    while taken != server.taken:
        taken = server.taken
        for _ in range(10):
            await asyncio.sleep(0)
    await connection.stop()
    release.set()


def peak(act: Act, times: int) -> int:
    """The highest memory use, in bytes above the use before."""
    gc.collect()
    tracemalloc.start()
    try:
        perform(act, times)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def perform(act: Act, times: int) -> None:
    doing = act(times)
    if isinstance(doing, Awaitable):
        asyncio.run(wait_for(doing))


async def wait_for(doing: Awaitable[Any]) -> None:
    await doing


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_memory_is_flat(act: Act) -> None:
    """Ten times as much of it takes no more memory, and it takes little."""
    perform(act, 1000)  # objects that are created once
    most = peak(act, 50_000)
    assert most < peak(act, 5_000) + MIB // 4
    assert most < 2 * MIB
