"""GW-13 … GW-22, GW-24, GW-25: what clients of the gateway hub receive and may call."""

from __future__ import annotations

import asyncio
import socket as socketlib
from typing import Any

import aiohttp
import msgspec
import pytest

from protocol import HubConnection, HubConnectionBuilder, HubException, NegotiationError
from signalr_gateway.access.policies import Action
from signalr_gateway.clients.route_calls import RouteCall
from signalr_gateway.clients.services import GatewayServices
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from signalr_gateway.routing.tables import RoutingTables
from tests.gateway.gateway_clients import Inbox
from tests.gateway.hand_clock import HandClock
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RECEIVE_KEY, RunningHub, connecting_to, sample_routes
from tests.support.waiting import until

HELLO = b'[{"name":"John","message":"Hello!"}]'
RS = "\x1e"
MARK = ("Anything", b"[[],{}]")
"""An event to all clients. Events sent before it have arrived when it arrives."""


async def mark(hub: RunningHub) -> None:
    await hub.send("Anything", b"[]")


# --- events (GW-14, GW-15, GW-6) -----------------------------------------------------------------


@pytest.mark.parametrize("path", ["/gatewayhub", "/GatewayHub", "/GATEWAYHUB/"])
async def test_the_frame_that_a_client_receives(gateway: RunningGateway, path: str) -> None:
    """GW-13, GW-14: byte for byte what the original sends."""
    async with gateway.session.ws_connect(gateway.url + path) as socket:
        await socket.send_str('{"protocol":"json","version":1}' + RS)
        assert (await socket.receive_str()) == "{}" + RS
        await until(lambda: gateway.clients == 1)
        await gateway.post("sample/room", HELLO)
        frame = await socket.receive()
        assert frame.type is aiohttp.WSMsgType.TEXT
        assert frame.data == (
            '{"type":1,"target":"ReceiveMessage","arguments":[["John","Hello!"],{}]}' + RS
        )


async def test_an_event_of_an_all_route_reaches_all_clients(gateway: RunningGateway) -> None:
    """GW-15."""
    first, second = gateway.client(), gateway.client()
    inboxes = [Inbox(first), Inbox(second)]
    async with first, second:
        await until(lambda: gateway.clients == 2)
        await gateway.post("sample/room", HELLO)
        for inbox in inboxes:
            assert await inbox.take() == ("ReceiveMessage", b'[["John","Hello!"],{}]')


async def test_the_documented_client_sees_two_arguments(gateway: RunningGateway) -> None:
    """GW-14: the JSON array of all downstream arguments, and the handler state."""
    received: asyncio.Future[tuple[Any, Any]] = asyncio.get_running_loop().create_future()
    connection = gateway.client()

    @connection.on("ReceiveMessage")
    def handler(arguments: list[str], state: dict[str, Any]) -> None:
        received.set_result((arguments, state))

    async with connection:
        await until(lambda: gateway.clients == 1)
        await gateway.post("sample/room", HELLO)
        assert await received == (["John", "Hello!"], {})


@pytest.mark.parametrize(
    "arguments",
    [
        b"[]",
        b"[0.10,1e400,12345678901234567890]",
        b'["2026-01-02T03:04:05.1234567+02:00",{"b":1,"a":null},[1,[2]]]',
        '["Jöhn \\u00fc 😀 \\u001e"]'.encode(),
        rb'["\ud800"]',
        b'["a","b","c","d","e","f","g","h","i","j","k","l"]',
    ],
)
async def test_the_text_of_the_arguments_is_passed_on_unchanged(
    gateway: RunningGateway, hub: RunningHub, arguments: bytes
) -> None:
    """GW-14."""
    connection = gateway.client()
    inbox = Inbox(connection)
    async with connection:
        await until(lambda: gateway.clients == 1)
        await hub.send("Anything", arguments)
        assert await inbox.take() == ("Anything", b"[" + arguments + b",{}]")


async def test_a_spread_route(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-14."""
    connection = gateway.client()
    inbox = Inbox(connection)
    async with connection:
        await until(lambda: gateway.clients == 1)
        for arguments in (b'[0.10,"x",{"z":1,"a":2}]', rb'["\ud800",1.0]'):
            await hub.send("Spread", arguments)
            assert await inbox.take() == ("Spread", arguments)


@pytest.mark.parametrize("fits", [True, False])
async def test_handlers_of_the_user_leave_the_events_to_the_clients(
    hub: RunningHub, fits: bool
) -> None:
    """GW-27: what `build_hub_connection` registers runs beside the gateway, as in C#."""
    heard: list[Any] = []

    def build(builder: HubConnectionBuilder) -> HubConnection:
        connection = connecting_to(hub.url)(builder)

        @connection.on("Anything")
        async def fitting(*arguments: Any) -> None:
            heard.append(arguments)

        @connection.on("Anything")
        def alone(number: int) -> None:
            heard.append(number)

        if not fits:
            connection.off("Anything", fitting)
        return connection

    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub("sample", build).add_route(
            "r", HubRouteInfo(receive_method="Anything")
        )

    async with running_gateway(orchestrate) as gateway:
        client = gateway.client()
        inbox = Inbox(client)
        async with client:
            await until(lambda: gateway.clients == 1)
            for number in range(3):
                await hub.send("Anything", b'[%d.0,"x"]' % number)
            for number in range(3):
                assert await inbox.take() == ("Anything", b'[[%d.0,"x"],{}]' % number)
    assert heard == ([(0.0, "x"), (1.0, "x"), (2.0, "x")] if fits else [])


async def test_events_that_do_not_fit_are_kept_back_counted_and_logged(
    gateway: RunningGateway, hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    """GW-6: names and counts in the log, no payload."""
    connection = gateway.client()
    inbox = Inbox(connection)
    async with connection:
        await until(lambda: gateway.clients == 1)
        for _ in range(10):
            await hub.send("ReceiveMessage", b'["HUSH"]')
        await hub.send("ReceiveMessage", b'["HUSH",{"x":1}]')
        await hub.send("NoRoute", b'["HUSH"]')
        await mark(hub)
        assert await inbox.take() == MARK
    assert gateway.parts.hub is not None
    counts = gateway.parts.hub.broadcaster.counts("sample")
    assert (counts.forwarded, counts.misfit, counts.unrouted) == (1, 11, 1)
    logged = [record.getMessage() for record in caplog.records if "not forwarded" in record.msg]
    assert logged == [
        "hub 'sample': event 'ReceiveMessage' not forwarded (1 so far): expected 2 arguments, got 1"
    ]
    assert "HUSH" not in caplog.text


async def test_the_gateway_is_no_client_of_its_own(gateway: RunningGateway) -> None:
    """GW-25: fan-out is in process."""
    assert (await gateway.post("sample/room", HELLO)).status == 200
    assert gateway.parts.hub is not None
    counts = gateway.parts.hub.broadcaster.counts("sample")
    await until(lambda: counts.forwarded == 1)
    assert gateway.clients == 0


async def test_the_order_of_a_hubs_events_is_kept(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-24."""
    connection = gateway.client()
    inbox = Inbox(connection)
    async with connection:
        await until(lambda: gateway.clients == 1)
        for number in range(500):
            await hub.send("Anything" if number % 2 else "Spread", b"[%d]" % number)
        received = [await inbox.take() for _ in range(500)]
    assert received == [
        ("Anything", b"[[%d],{}]" % number) if number % 2 else ("Spread", b"[%d]" % number)
        for number in range(500)
    ]


async def test_with_the_gateway_hub_off_calls_still_work(hub: RunningHub) -> None:
    """GW-4: no hub endpoint, no fan-out."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url)
        orchestrator.start_gateway_hub = False

    async with running_gateway(orchestrate) as gateway:
        assert (await gateway.request("POST", "/gatewayhub/negotiate")).status == 404
        assert (await gateway.post("sample/room", HELLO)).status == 200
        assert gateway.parts.hub is None


async def test_the_hub_is_served_at_the_path_of_its_url(hub: RunningHub) -> None:
    """GW-5."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url)
        orchestrator.gateway_hub_url = "https://localhost:44360/deep/Hub"

    async with running_gateway(orchestrate) as gateway:
        assert (await gateway.request("POST", "/DEEP/hub/negotiate")).status == 200
        assert (await gateway.request("POST", "/gatewayhub/negotiate")).status == 404


def cut(socket: aiohttp.ClientWebSocketResponse) -> None:
    """End the TCP connection without a Close message."""
    connection: socketlib.socket = socket.get_extra_info("socket")
    connection.shutdown(socketlib.SHUT_RDWR)


async def test_a_client_whose_connection_breaks_is_forgotten(gateway: RunningGateway) -> None:
    async with gateway.session.ws_connect(f"{gateway.url}/gatewayhub") as socket:
        await socket.send_str('{"protocol":"json","version":1}' + RS)
        await until(lambda: gateway.clients == 1)
        cut(socket)
        await until(lambda: gateway.clients == 0)


async def test_more_clients_than_may_be(hub: RunningHub) -> None:
    """Who is one too many is refused; calls go on."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        limits=Limits(maximum_connections=1),
    ) as gateway:
        first, second = gateway.client(), gateway.client()
        async with first:
            with pytest.raises(NegotiationError) as caught:
                await second.start()
            assert caught.value.status == 503
            assert (await gateway.post("sample/room", HELLO)).status == 200
        await until(lambda: gateway.clients == 0)


# --- subscriptions (GW-15 … GW-22) ---------------------------------------------------------------


def group(name: Any = "ChatGroup", key: str = "group", **more: Any) -> dict[str, Any]:
    return {"Api": "Sample", "Key": key, "ReceiveGroup": name, **more}


def user(user_id: Any = "john", key: str = "one", **more: Any) -> dict[str, Any]:
    return {"Api": "SAMPLE", "Key": key, "UserId": user_id, **more}


async def received_before_mark(inbox: Inbox, hub: RunningHub) -> list[str]:
    await mark(hub)
    targets = []
    while (event := await inbox.take()) != MARK:
        targets.append(event[0])
    return targets


async def test_groups(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-15, GW-16, GW-20: unsubscribing affects the caller's own connection only."""
    member, other = gateway.client(), gateway.client()
    inboxes = Inbox(member), Inbox(other)
    async with member, other:
        await until(lambda: gateway.clients == 2)
        assert await member.invoke("SubscribeToGroup", group()) is None
        await hub.send("ToGroup", b"[1]")
        assert await received_before_mark(inboxes[0], hub) == ["ToGroup"]
        assert await received_before_mark(inboxes[1], hub) == []

        assert await inboxes[0].take() == MARK
        await other.invoke("unsubscribefromgroup", group())
        await hub.send("ToGroup", b"[1]")
        assert await received_before_mark(inboxes[0], hub) == ["ToGroup"]
        await member.invoke("UnsubscribeFromGroup", group())
        await hub.send("ToGroup", b"[1]")
        assert await received_before_mark(inboxes[0], hub) == []


async def test_individual_routes(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-15: of that route only, once even with two UserIds."""
    connection = gateway.client()
    inbox = Inbox(connection)
    async with connection:
        for user_id in ("john", "JOHN", "jane", 5):
            await connection.invoke("SubscribeToRoute", user(user_id))
        await hub.send("ToOne", b"[]")
        await hub.send("ToTwo", b"[]")
        assert await received_before_mark(inbox, hub) == ["ToOne"]

        for user_id in ("JANE", "5"):
            await connection.invoke("UnsubscribeFromRoute", user(user_id))
        await hub.send("ToOne", b"[]")
        assert await received_before_mark(inbox, hub) == ["ToOne"]
        await connection.invoke("UnsubscribeFromRoute", user("John"))
        await hub.send("ToOne", b"[]")
        assert await received_before_mark(inbox, hub) == []


async def test_routes_that_share_an_event(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-2: the union of their audiences, once per connection."""
    connection = gateway.client()
    inbox = Inbox(connection)
    async with connection:
        await connection.invoke("SubscribeToRoute", user(key="shared1"))
        await connection.invoke("SubscribeToRoute", user(key="shared2"))
        await hub.send("Shared", b"[]")
        assert await received_before_mark(inbox, hub) == ["Shared"]
        await connection.invoke("UnsubscribeFromRoute", user(key="shared1"))
        await hub.send("Shared", b"[]")
        assert await received_before_mark(inbox, hub) == ["Shared"]
        await connection.invoke("UnsubscribeFromRoute", user(key="shared2"))
        await hub.send("Shared", b"[]")
        assert await received_before_mark(inbox, hub) == []


async def test_subscriptions_end_with_their_connection(
    gateway: RunningGateway, hub: RunningHub
) -> None:
    """GW-21, GW-22: a new connection must subscribe again."""
    connection = gateway.client()
    inbox = Inbox(connection)
    async with connection:
        await connection.invoke("SubscribeToRoute", user())
    async with connection:
        await until(lambda: gateway.clients == 1)
        await hub.send("ToOne", b"[]")
        assert await received_before_mark(inbox, hub) == []
        await connection.invoke("SubscribeToRoute", user())
        await hub.send("ToOne", b"[]")
        assert await received_before_mark(inbox, hub) == ["ToOne"]


async def test_one_user_may_subscribe_from_several_connections(
    gateway: RunningGateway, hub: RunningHub
) -> None:
    """GW-20."""
    first, second = gateway.client(), gateway.client()
    inboxes = Inbox(first), Inbox(second)
    async with first, second:
        await first.invoke("SubscribeToRoute", user())
        await second.invoke("SubscribeToRoute", user())
        await hub.send("ToOne", b"[]")
        await mark(hub)
        for inbox in inboxes:
            assert [await inbox.take(), await inbox.take()] == [("ToOne", b"[[],{}]"), MARK]
        await second.invoke("UnsubscribeFromRoute", user())  # of this connection only
        await hub.send("ToOne", b"[]")
        await mark(hub)
        assert [await inboxes[0].take(), await inboxes[0].take()] == [("ToOne", b"[[],{}]"), MARK]
        assert await inboxes[1].take() == MARK


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("SubscribeToGroup", group(key="room")),
        ("SubscribeToGroup", group(key="one")),
        ("UnsubscribeFromGroup", group()),
        ("SubscribeToRoute", user(key="group")),
        ("SubscribeToRoute", user(key="room")),
        ("SubscribeToRoute", user(key="echo")),
        ("UnsubscribeFromRoute", user()),
    ],
)
async def test_what_was_a_harmless_no_op_stays_one(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture, method: str, argument: Any
) -> None:
    """GW-19: success, logged once."""
    caplog.set_level("INFO", "signalr_gateway.clients")
    async with gateway.client() as connection:
        for _ in range(3):
            assert await connection.invoke(method, argument) is None
    assert len([each for each in caplog.records if "no effect" in each.msg]) == 1


async def test_subscribing_twice_is_harmless(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-19."""
    connection = gateway.client()
    inbox = Inbox(connection)
    async with connection:
        await connection.invoke("SubscribeToGroup", group())
        await connection.send("SubscribeToGroup", group())  # GW-16: this member may be sent, too
        await connection.invoke("SubscribeToGroup", group())
        await hub.send("ToGroup", b"[]")
        assert await received_before_mark(inbox, hub) == ["ToGroup"]


@pytest.mark.parametrize(
    ("method", "argument", "text"),
    [
        ("SubscribeToGroup", {"Key": "group"}, "Api is missing."),
        ("SubscribeToGroup", None, "Api is missing."),
        ("UnsubscribeFromGroup", None, "Api is missing."),
        ("SubscribeToRoute", None, "Api is missing."),
        ("UnsubscribeFromRoute", None, "Api is missing."),
        ("InvokeDownstreamHub", None, "Api is missing."),
        ("SubscribeToGroup", {"Api": "sample"}, "Key is missing."),
        ("SubscribeToGroup", group(key="nosuch"), "There is no route 'Sample/nosuch'."),
        ("SubscribeToGroup", group(None), "ReceiveGroup is missing."),
        (
            "SubscribeToGroup",
            group("chatgroup"),
            "ReceiveGroup is not the group of 'sample/group'.",
        ),
        ("UnsubscribeFromGroup", group(""), "ReceiveGroup is missing."),
        ("SubscribeToRoute", user(None), "UserId is missing."),
        ("UnsubscribeFromRoute", user(""), "UserId is missing."),
        ("InvokeDownstreamHub", {"Api": "sample", "Key": "echo"}, "Data or DataArray is missing."),
        (
            "InvokeDownstreamHub",
            {"Api": "sample", "Key": "listen", "Data": 1},
            "The route 'sample/listen' has no invoke method; it only receives.",
        ),
        (
            "InvokeDownstreamHub",
            {"Api": "sample", "Key": "ten", "DataArray": list(range(11))},
            "There are 11 arguments; at most 10 are allowed.",
        ),
        (
            "InvokeDownstreamHub",
            {"Api": "sample", "Key": "echo", "DataArray": {}},
            "The arguments must be a JSON array.",
        ),
    ],
)
async def test_a_refusal_says_what_to_correct(
    gateway: RunningGateway, method: str, argument: Any, text: str
) -> None:
    """GW-19."""
    async with gateway.client() as connection:
        with pytest.raises(HubException) as caught:
            await connection.invoke(method, argument)
    assert str(caught.value) == (
        f"An unexpected error occurred invoking '{method}' on the server. HubException: {text}"
    )


# --- receive keys (GW-18) ------------------------------------------------------------------------


def keyed(hub: RunningHub) -> Any:
    return lambda orchestrator: sample_routes(orchestrator, hub.url, receive_key=RECEIVE_KEY)


@pytest.mark.parametrize(
    "receive_key",
    [
        None,
        "",
        RECEIVE_KEY.upper(),
        RECEIVE_KEY + " ",
        RECEIVE_KEY[:-1],
        RECEIVE_KEY + "\u00ad",
        RECEIVE_KEY + "\0",
        5,
    ],
)
async def test_a_wrong_receive_key_is_refused_and_its_text_is_one(
    hub: RunningHub, receive_key: Any
) -> None:
    """GW-18, GW-19."""
    calls = [
        ("SubscribeToGroup", group(ReceiveKey=receive_key)),
        ("UnsubscribeFromGroup", group(ReceiveKey=receive_key)),
        ("SubscribeToRoute", user(ReceiveKey=receive_key)),
        ("UnsubscribeFromRoute", user(ReceiveKey=receive_key)),
        ("InvokeDownstreamHub", user(key="echo", ReceiveKey=receive_key, Data=1)),
    ]
    async with running_gateway(keyed(hub)) as gateway, gateway.client() as connection:
        for method, argument in calls:
            with pytest.raises(
                HubException, match=r"The ReceiveKey for 'sample' is missing or wrong"
            ):
                await connection.invoke(method, argument)
    assert hub.calls == []


async def test_the_right_receive_key_opens(hub: RunningHub) -> None:
    async with running_gateway(keyed(hub)) as gateway:
        connection = gateway.client()
        inbox = Inbox(connection)
        async with connection:
            await connection.invoke("SubscribeToGroup", group(receiveKey=RECEIVE_KEY))
            await hub.send("ToGroup", b"[]")
            assert await received_before_mark(inbox, hub) == ["ToGroup"]


async def test_a_receive_key_for_a_hub_without_one_is_ignored(gateway: RunningGateway) -> None:
    """GW-16, GW-18."""
    async with gateway.client() as connection:
        await connection.invoke("SubscribeToGroup", group(ReceiveKey="anything"))


@pytest.mark.parametrize("expected", ["schlüssel-é", "5", RECEIVE_KEY])
async def test_keys_are_compared_as_text(expected: str) -> None:
    """GW-16: a number where text is expected is accepted; GW-18: otherwise exactly."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", connecting_to("http://127.0.0.1:9/"), receive_key=expected).add_route(
        "r", HubRouteInfo(invoke_method="I")
    )

    class OneDownstream:
        hub = orchestrator.hubs["h"]

    services: Any = GatewayServices(RoutingTables(orchestrator.hubs), {"h": OneDownstream()})  # type: ignore[dict-item]
    right = RouteCall(api="H", key="R", receive_key=expected)
    assert services.authorized_route(right, None, Action.CALL)
    wrong = RouteCall(api="H", key="R", receive_key="\ud800")
    with pytest.raises(HubException, match="missing or wrong"):
        services.authorized_route(wrong, None, Action.CALL)


# --- calls through the gateway hub (GW-16, GW-17) -------------------------------------------------


async def call(connection: HubConnection, key: str, **data: Any) -> bytes:
    result: msgspec.Raw = await connection.invoke(
        "InvokeDownstreamHub", {"Api": "sample", "Key": key, **data}, result_type=msgspec.Raw
    )
    return bytes(result)


@pytest.mark.parametrize(
    ("key", "data", "result"),
    [
        ("echo", {"Data": msgspec.Raw(b'{"z":0.10,"a":1e400}')}, b'{"z":0.10,"a":1e400}'),
        ("echo", {"Data": 0}, b"0"),
        ("echo", {"Data": ""}, b'""'),
        ("echo", {"Data": False}, b"false"),
        ("echo", {"Data": [1, 2]}, b"[1,2]"),
        ("echo", {"data": None, "dataArray": [5]}, b"5"),
        ("echo", {"DataArray": [None]}, b"null"),
        ("echo", {"Data": 1, "DataArray": [2]}, b"1"),
        ("nothing", {"DataArray": []}, b"null"),
        ("ten", {"DataArray": list(range(10))}, b"10"),
    ],
)
async def test_invoke_downstream_hub(
    gateway: RunningGateway, key: str, data: dict[str, Any], result: bytes
) -> None:
    """GW-16, GW-17."""
    async with gateway.client() as connection:
        assert await call(connection, key, **data) == result


async def test_the_hubs_error_comes_nested(gateway: RunningGateway) -> None:
    """GW-17."""
    async with gateway.client() as connection:
        with pytest.raises(HubException) as caught:
            await call(connection, "fail", DataArray=[])
    assert str(caught.value) == (
        "An unexpected error occurred invoking 'InvokeDownstreamHub' on the server. HubException: "
        "An unexpected error occurred invoking 'Fail' on the server. HubException: "
        'the "hub" says no – ünchanged'
    )


async def test_a_hub_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """GW-16."""
    monkeypatch.setattr("signalr_gateway.downstream.connections.CONNECT_WAIT", 0.1)

    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub("Dead", connecting_to("http://127.0.0.1:9/")).add_route(
            "Echo", HubRouteInfo(invoke_method="Echo")
        )

    async with (
        running_gateway(orchestrate, connected=False) as gateway,
        gateway.client() as connection,
    ):
        with pytest.raises(HubException, match=r"Hub 'dead' is not connected\.$"):
            await connection.invoke(
                "InvokeDownstreamHub", {"Api": "Dead", "Key": "echo", "Data": 1}
            )


async def test_a_hub_that_is_silent_or_gone(hub: RunningHub) -> None:
    """GW-16."""
    clock = HandClock()
    async with (
        running_gateway(lambda o: sample_routes(o, hub.url), clock=clock) as gateway,
        gateway.client() as connection,
    ):
        holding = asyncio.create_task(call(connection, "hold", DataArray=[]))
        await hub.held.wait()
        await clock.advance(30)
        with pytest.raises(HubException, match=r"Hub 'sample' did not answer within 30 seconds\.$"):
            await holding
        hub.release.set()
        with pytest.raises(HubException, match="may or may not have run the call"):
            await call(connection, "abort", DataArray=[])


async def test_limits_are_those_of_the_post(hub: RunningHub) -> None:
    """GW-16."""
    async with (
        running_gateway(lambda o: sample_routes(o, hub.url, maximum_message_size=200)) as gateway,
        gateway.client() as connection,
    ):
        with pytest.raises(HubException, match="bytes, hub 'sample' takes 200;"):
            await call(connection, "echo", Data="x" * 300)
        deep = msgspec.Raw(b"[" * 32 + b"]" * 32)
        with pytest.raises(HubException, match="deeper than 32 levels"):
            await call(connection, "echo", Data=deep)
        assert await call(connection, "echo", Data=1) == b"1"
