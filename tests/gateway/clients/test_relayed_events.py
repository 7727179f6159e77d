"""GW-56: another gateway relays events to this gateway by its method `Receive`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from protocol import (
    ConnectionClosed,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    JsonHubProtocol,
    MessagePackHubProtocol,
)
from protocol.hub_protocol import HubProtocol
from signalr_gateway.access.api_keys import ApiKey, ApiKeys, key_hash, new_key
from signalr_gateway.clients.relay_acceptance import RelayRefused, require_acceptance
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.serving.app import create_app
from tests.gateway.gateway_clients import Inbox
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RECEIVE_KEY, RunningHub, connecting_to, sample_routes

from .relay_recordings import RelayRecording, relay_recordings

RELAY_KEY, OTHER_KEY = new_key(), new_key()
KEYS = ApiKeys(
    [
        ApiKey(name="relay", user_id="relay", hash=key_hash(RELAY_KEY), scopes=["relay"]),
        ApiKey(name="other", user_id="other", hash=key_hash(OTHER_KEY), scopes=["send"]),
    ]
)


def receives(method: str | None, audience: BroadcastType = BroadcastType.ALL) -> HubRouteInfo:
    group = "ChatGroup" if audience is BroadcastType.GROUP else None
    return HubRouteInfo(receive_method=method, broadcast_type=audience, receive_group=group)


def orchestrate(orchestrator: Orchestrator, room: BroadcastType = BroadcastType.ALL) -> None:
    """The hub of the recordings, to which this gateway has no connection."""
    hub = orchestrator.add_hub("chatservice", None, RECEIVE_KEY, relayed=True)
    hub.add_route("room", receives("ReceiveMessage", room))
    hub.add_route("typed", receives("ReceiveTyped"))
    hub.add_route("one", receives("Shared", BroadcastType.INDIVIDUAL))
    hub.add_route("two", receives("Shared", BroadcastType.INDIVIDUAL))
    strings = HubRouteInfo(receive_method="Strings", receive_parameter_types=[str])
    hub.add_route("strings", strings)


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(orchestrate, authenticate=KEYS, authorize=False) as gateway:
        yield gateway


def relay_to(
    gateway: RunningGateway, key: str = RELAY_KEY, hub_protocol: HubProtocol | None = None
) -> HubConnection:
    """A client with a key in the query of its URL, where a gateway of the original has it."""
    url = f"{gateway.url}/GatewayHub" + (f"?access_token={key}" if key else "")
    return connecting_to(url, hub_protocol)(HubConnectionBuilder())


async def receive(relay: HubConnection, key: str, arguments: Any, **auth: str) -> Any:
    """Call Receive for a route; `auth` replaces members of its first argument."""
    of_route = {"api": "chatservice", "key": key, "receiveKey": RECEIVE_KEY, **auth}
    return await relay.invoke("Receive", of_route, {"receiveMethod": "Spoofed"}, arguments, {})


async def subscribe(client: HubConnection, *keys: str) -> None:
    for key in keys:
        call = {"Api": "chatservice", "Key": key, "ReceiveKey": RECEIVE_KEY, "UserId": "John"}
        await client.invoke("SubscribeToRoute", call)


async def received(inbox: Inbox, count: int) -> Sequence[tuple[str, Any]]:
    taken = [await inbox.take() for _ in range(count)]
    return [(target, msgspec.json.decode(arguments)) for target, arguments in taken]


@pytest.mark.parametrize("recording", relay_recordings(), ids=lambda each: each.mode)
async def test_calls_of_the_original_have_the_recorded_effects(recording: RelayRecording) -> None:
    """The recorded arguments of Receive, and what the clients and the relay then get (GW-14)."""
    room = BroadcastType.GROUP if recording.mode == "group" else BroadcastType.ALL
    async with running_gateway(
        lambda orchestrator: orchestrate(orchestrator, room), authenticate=KEYS, authorize=False
    ) as gateway:
        client, relay = gateway.client(), relay_to(gateway)
        inbox, of_relay = Inbox(client), Inbox(relay)
        async with client, relay:
            if room is BroadcastType.GROUP:
                call = {"Api": "chatservice", "Key": "room", "ReceiveKey": RECEIVE_KEY}
                await client.invoke("SubscribeToGroup", call | {"ReceiveGroup": "ChatGroup"})
            for call, event in zip(recording.calls, recording.hub_events, strict=True):
                assert await relay.invoke("Receive", *call["arguments"]) is None
                [forwarded] = await received(inbox, 1)
                assert forwarded == (event["target"], [event["arguments"], {}])
            answers = [each for each in recording.answers if each["type"] == 1]
            assert await received(of_relay, len(answers)) == [
                (each["target"], each["arguments"]) for each in answers
            ]
            assert of_relay.empty


@pytest.mark.parametrize("hub_protocol", [JsonHubProtocol(), MessagePackHubProtocol()])
async def test_the_orchestration_decides_about_the_event(
    gateway: RunningGateway, hub_protocol: HubProtocol
) -> None:
    """What the relay says about method and audience has no effect."""
    client, relay = gateway.client(), relay_to(gateway, hub_protocol=hub_protocol)
    inbox = Inbox(client)
    async with client, relay:
        await receive(relay, "room", ["John", 5], api="ChatService")
        assert await received(inbox, 1) == [("ReceiveMessage", [["John", 5], {}])]


async def test_a_large_event(gateway: RunningGateway) -> None:
    """The message of a relay may be larger than those of other clients: see GW-50."""
    client, relay = gateway.client(), relay_to(gateway)
    inbox = Inbox(client)
    async with client, relay:
        await receive(relay, "room", ["x" * 900_000])
        [(_, arguments)] = await received(inbox, 1)
        assert arguments == [["x" * 900_000], {}]


@pytest.mark.parametrize("key", ["", OTHER_KEY], ids=["anonymous", "other"])
async def test_a_caller_without_the_scope_cannot_relay(gateway: RunningGateway, key: str) -> None:
    """The key of the relay is one of its own: other keys, and anonymous callers, are refused."""
    async with relay_to(gateway, key) as client:
        with pytest.raises(HubException, match="because user is unauthorized"):
            await receive(client, "room", ["a", "b"])
        with pytest.raises(RelayRefused, match="without the scope 'relay'"):
            await require_acceptance(client)


@pytest.mark.parametrize("hub_protocol", [JsonHubProtocol(), MessagePackHubProtocol()])
async def test_a_relay_asks_whether_it_may_relay(
    gateway: RunningGateway, hub_protocol: HubProtocol
) -> None:
    """GW-64: the call has no event, and no client receives one."""
    client, relay = gateway.client(), relay_to(gateway, hub_protocol=hub_protocol)
    inbox = Inbox(client)
    async with client, relay:
        assert await relay.invoke("Receive", None, None, None, None) is None
        await require_acceptance(relay)
        await receive(relay, "room", ["the only event"])
        assert await received(inbox, 1) == [("ReceiveMessage", [["the only event"], {}])]
        assert inbox.empty


@pytest.mark.parametrize(
    ("key", "arguments", "auth", "refusal"),
    [
        ("room", ["a"], {"receiveKey": "wrong"}, "The ReceiveKey for 'chatservice' is missing or"),
        ("nosuch", ["a"], {}, "nosuch"),
        ("room", {"a": 1}, {}, "The arguments of an event must be an array"),
        ("room", None, {}, "The arguments of an event must be an array"),
    ],
)
@pytest.mark.parametrize("hub_protocol", [JsonHubProtocol(), MessagePackHubProtocol()])
async def test_a_call_with_a_mistake_is_refused(
    gateway: RunningGateway,
    hub_protocol: HubProtocol,
    key: str,
    arguments: Any,
    auth: Mapping[str, str],
    refusal: str,
) -> None:
    """GW-19: the text says what to correct. The receive key is checked as well (GW-18)."""
    async with relay_to(gateway, hub_protocol=hub_protocol) as relay:
        with pytest.raises(HubException, match=refusal):
            await receive(relay, key, arguments, **auth)


async def test_an_event_goes_once_to_each_client_of_several_routes(
    gateway: RunningGateway,
) -> None:
    """GW-2: a relay calls Receive once for each route of an event."""
    client, relay = gateway.client(), relay_to(gateway)
    inbox = Inbox(client)
    async with client, relay:
        await subscribe(client, "one", "two")
        for key, value in (("one", 1), ("two", 1), ("one", 1), ("two", 1), ("two", 2), ("two", 2)):
            await receive(relay, key, [value])
        await receive(relay, "room", ["end"])
        values = [arguments[0] for _, arguments in await received(inbox, 5)]
        assert values == [[1], [1], [2], [2], ["end"]]


async def test_an_event_that_does_not_fit_is_not_forwarded(gateway: RunningGateway) -> None:
    """GW-6: the types of this gateway's routes count."""
    client, relay = gateway.client(), relay_to(gateway)
    inbox = Inbox(client)
    async with client, relay:
        await receive(relay, "strings", [{}])
        await receive(relay, "strings", ["fits"])
        assert await received(inbox, 1) == [("Strings", [["fits"], {}])]
    assert gateway.parts.hub is not None
    assert gateway.parts.hub.broadcaster.counts("chatservice").misfit == 1


async def test_own_events_of_a_relayed_hub_are_not_forwarded(hub: RunningHub) -> None:
    """Otherwise clients would get each event twice. Calls use the gateway's own connection."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url, relayed=True),
        authenticate=KEYS,
        authorize=False,
    ) as gateway:
        client, relay = gateway.client(), relay_to(gateway)
        inbox = Inbox(client)
        async with client, relay:
            await hub.send("Anything", b'["own"]')
            assert (await gateway.post("sample/echo", b"[1]")).body == b"1"
            await receive(relay, "listen", ["relayed"], api="sample")
            assert await received(inbox, 1) == [("Anything", [["relayed"], {}])]
            with pytest.raises(HubException, match="has no receive method"):
                await receive(relay, "echo", [1], api="sample")


async def test_events_of_other_hubs_are_not_taken(hub: RunningHub) -> None:
    """A hub is relayed only if its options say so. Without such a hub there is no Receive."""

    def orchestrate_both(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url)
        orchestrate(orchestrator)

    async with (
        running_gateway(orchestrate_both, authenticate=KEYS, authorize=False) as gateway,
        relay_to(gateway) as relay,
    ):
        with pytest.raises(HubException, match="hub 'sample' are not relayed to this gateway"):
            await receive(relay, "listen", [1], api="sample")
    async with (
        running_gateway(
            lambda orchestrator: sample_routes(orchestrator, hub.url),
            authenticate=KEYS,
            authorize=False,
        ) as gateway,
        relay_to(gateway) as relay,
    ):
        with pytest.raises(HubException, match="Method does not exist"):
            await receive(relay, "listen", [1], api="sample")


async def test_the_orchestration_lists_a_hub_without_a_connection(gateway: RunningGateway) -> None:
    """GW-11. Such a hub is no part of the health answer, because it has no connection (GW-28)."""
    answer = await gateway.request("GET", "/api/Gateway/orchestration")
    assert [hub["api"] for hub in msgspec.json.decode(answer.body)] == ["chatservice"]
    answer = await gateway.request("GET", "/healthz")
    assert msgspec.json.decode(answer.body) == {"status": "ok", "hubs": {}}


def test_a_relayed_hub_needs_authentication() -> None:
    """Without credentials, every caller could send events in the hub's name."""
    orchestrator = Orchestrator()
    orchestrate(orchestrator)
    with pytest.raises(OrchestrationError, match="hub 'chatservice', relayed: needs authenticat"):
        create_app(orchestrator)


def test_a_hub_without_a_connection_takes_no_calls() -> None:
    orchestrator = Orchestrator()
    hub = orchestrator.add_hub("h", None, relayed=True)
    with pytest.raises(OrchestrationError, match="'r', invoke_method: needs a connection to the"):
        hub.add_route("r", HubRouteInfo(invoke_method="Echo"))
    with pytest.raises(OrchestrationError, match="hub 'other', build_hub_connection: must be a f"):
        orchestrator.add_hub("other", None)
    with pytest.raises(OrchestrationError, match="hub 'other', relayed: must be True or False"):
        orchestrator.add_hub("other", None, relayed=1)  # type: ignore[arg-type]


ROUTE = {"api": "chatservice", "key": "room", "receiveKey": RECEIVE_KEY}


async def test_nonsense_of_a_relay(gateway: RunningGateway) -> None:
    """It gets errors, or loses its connection. Clients get only what is an event."""
    client, relay = gateway.client(), relay_to(gateway)
    inbox = Inbox(client)
    async with client, relay:
        for arguments in (
            [],
            [ROUTE],
            ["text", {}, [1], {}],
            [[ROUTE], {}, [1], {}],
            [{**ROUTE, "api": {"a": 1}}, {}, [1], {}],
            [{"api": "chatservice"}, {}, [1], {}],
            [ROUTE, {}, 5, {}],
            [ROUTE, {}, "text", {}],
        ):
            with pytest.raises(HubException):
                await relay.invoke("Receive", *arguments)
        await relay.invoke("Receive", ROUTE, [], ["first"], "state")
        with pytest.raises(ConnectionClosed):
            await relay.invoke("Receive", ROUTE, {}, ["x" * 10_000_000], {})
        async with relay_to(gateway) as again:
            await again.invoke("Receive", ROUTE, None, ["second"], None)
        assert await received(inbox, 2) == [
            ("ReceiveMessage", [["first"], {}]),
            ("ReceiveMessage", [["second"], {}]),
        ]
        assert inbox.empty
