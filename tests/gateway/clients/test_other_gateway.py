"""GW-57: the events of the hubs go to the gateway hub of another gateway."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
import pytest

from protocol import (
    ConnectionClosed,
    ExponentialBackoff,
    HubConnectionBuilder,
    HubException,
    MessagePackHubProtocol,
    NotConnectedError,
)
from signalr_gateway.access.api_keys import key_hash, new_key
from signalr_gateway.cli.check import reach_all
from signalr_gateway.cli.running import app_of
from signalr_gateway.clients.other_gateway import (
    CALL_SIZE,
    MAXIMUM_CALLS,
    MAXIMUM_WAITING_SIZE,
    OtherGateway,
)
from signalr_gateway.config.file import load_config
from signalr_gateway.downstream.connection import ATTEMPT_TIMEOUT, HubState
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.routing.tables import RoutingTables
from signalr_gateway.serving.app import GATEWAY
from signalr_gateway.serving.listener import serving
from tests.gateway.fake_connection import FakeConnection
from tests.gateway.gateway_clients import Inbox
from tests.gateway.hand_clock import HandClock, settle
from tests.gateway.payloads import json_payload
from tests.gateway.sample_hub import RECEIVE_KEY, RunningHub, connecting_to
from tests.support.checkout import ROOT
from tests.support.documents import code_blocks
from tests.support.waiting import until

from .relay_recordings import RelayRecording, relay_recordings

ROUTES = {
    "room": HubRouteInfo(
        invoke_method="SendMessage",
        receive_method="ReceiveMessage",
        receive_parameter_types=[str, str],
    ),
    "typed": HubRouteInfo(invoke_method="MixedTyped", receive_method="ReceiveTyped"),
    "one": HubRouteInfo(receive_method="Shared", broadcast_type=BroadcastType.INDIVIDUAL),
    "two": HubRouteInfo(receive_method="Shared", broadcast_type=BroadcastType.INDIVIDUAL),
}
QUESTION = ("Receive", [b""] * 4)
UNAUTHORIZED = "Failed to invoke 'Receive' because user is unauthorized"
NO_METHOD = (
    "Failed to invoke 'Receive' due to an error on the server. HubException: Method does not exist."
)
GROUP = HubRouteInfo(
    invoke_method="SendMessage",
    receive_method="ReceiveMessage",
    receive_parameter_types=[str, str],
    broadcast_type=BroadcastType.GROUP,
    receive_group="ChatGroup",
)


class Bench:
    """A relay over a fake connection, and its clock."""

    def __init__(self, room: HubRouteInfo = ROUTES["room"]) -> None:
        self.clock = HandClock()
        self.connection = FakeConnection()
        self.connection.time = self.clock.time
        orchestrator = Orchestrator()
        hub = orchestrator.add_hub("chatservice", lambda builder: self.connection, RECEIVE_KEY)
        for key, info in (ROUTES | {"room": room}).items():
            hub.add_route(key, info)
        self.other = OtherGateway(
            RoutingTables(orchestrator.hubs),
            self.connection,
            clock=self.clock,
            backoff=ExponentialBackoff(random=lambda: 0.0),
        )

    async def connect(self) -> None:
        await until(lambda: self.connection.attempting)
        self.connection.accept()
        await settle()

    async def event(self, arguments: bytes, target: str = "ReceiveTyped") -> None:
        await self.other.on_event("chatservice", target, json_payload(arguments))

    @property
    def calls(self) -> list[tuple[str, list[bytes]]]:
        """The calls for events, without those that ask whether the other gateway takes events."""
        return [each for each in self.connection.calls if each != QUESTION]

    @property
    def sent(self) -> list[bytes]:
        """The arguments of the events that were sent."""
        return [arguments[2] for _, arguments in self.calls]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.other.start()
    await bench.connect()
    yield bench
    await bench.other.stop()


@pytest.mark.parametrize("recording", relay_recordings(), ids=lambda each: each.mode)
async def test_calls_are_those_of_the_original(recording: RelayRecording) -> None:
    """The recorded arguments of Receive, member by member; only the names of types are null."""
    bench = Bench(GROUP if recording.mode == "group" else ROUTES["room"])
    bench.other.start()
    await bench.connect()
    for event in recording.hub_events:
        await bench.event(json.dumps(event["arguments"]).encode(), event["target"])
    await settle()
    for (target, arguments), call in zip(bench.calls, recording.calls, strict=True):
        call["arguments"][1]["receiveParameterTypes"] = None
        written = [json.loads(argument) for argument in arguments]
        assert (target, written) == (call["target"], call["arguments"])
        assert list(written[1]) == list(call["arguments"][1])  # in the same order
    await bench.other.stop()


async def test_an_event_is_sent_once_for_each_of_its_routes(bench: Bench) -> None:
    """As the original does; a C# gateway knows only the route of the call."""
    await bench.event(b"[0.10]", "Shared")
    await settle()
    keys = [json.loads(arguments[0])["key"] for _, arguments in bench.calls]
    assert keys == ["one", "two"]
    assert bench.sent == [b"[0.10]", b"[0.10]"]


@pytest.mark.parametrize("audience", [BroadcastType.AUTHENTICATED, BroadcastType.SUBSCRIBED])
async def test_a_route_that_not_all_clients_receive(audience: BroadcastType) -> None:
    """A C# gateway has neither audience, and must not send the events to all of its clients."""
    bench = Bench(HubRouteInfo(receive_method="ReceiveMessage", broadcast_type=audience))
    bench.other.start()
    await bench.connect()
    await bench.event(b"[1]", "ReceiveMessage")
    await settle()
    [(_, arguments)] = bench.calls
    assert json.loads(arguments[1])["broadcastType"] == 2
    await bench.other.stop()


async def test_events_that_no_route_receives_or_that_do_not_fit_are_not_sent(bench: Bench) -> None:
    """GW-6, GW-27"""
    await bench.event(b"[1]", "Unknown")
    await bench.event(b"[1]", "ReceiveMessage")
    await settle()
    assert bench.sent == []


async def test_events_wait_five_seconds_for_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.other.start()
    await settle()
    await bench.event(b'["early"]')
    await bench.clock.advance(3)
    await bench.event(b'["late"]')
    await bench.clock.advance(3)
    assert (
        "event 'ReceiveTyped' not relayed (1 so far): the other gateway is not conn" in caplog.text
    )
    bench.connection.accept()
    await settle()
    assert bench.sent == [b'["late"]']
    await bench.other.stop()


async def test_what_waits_is_bounded(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Events beyond the bound are dropped. The order of the others stays."""
    answers = [asyncio.get_running_loop().create_future() for _ in range(2)]
    bench.connection.answer = iter(answers).__next__
    half = b'["' + b"x" * (MAXIMUM_WAITING_SIZE // 2 - CALL_SIZE - 4) + b'"]'
    await bench.event(half)
    await bench.event(half)
    await bench.event(b"[3]")
    await settle()
    assert bench.sent == [half, half]
    text = f"'ReceiveTyped' not relayed (1 so far): more than {MAXIMUM_WAITING_SIZE} bytes wait"
    assert text in caplog.text
    for answer in answers:
        answer.set_result(msgspec.Raw(b""))
    bench.connection.answer = lambda: msgspec.Raw(b"")
    await settle()
    await bench.event(b"[4]")
    await settle()
    assert bench.sent == [half, half, b"[4]"]


async def test_a_flood_of_small_events_is_bounded() -> None:
    """Each event counts more bytes than its arguments have."""
    bench = Bench()
    bench.other.start()
    await settle()
    for number in range(2 * MAXIMUM_WAITING_SIZE // CALL_SIZE):
        await bench.event(b"[%d]" % number)
    bench.connection.accept()
    await until(lambda: len(bench.sent) > MAXIMUM_WAITING_SIZE // CALL_SIZE - 100)
    await settle()
    assert len(bench.sent) < MAXIMUM_WAITING_SIZE // CALL_SIZE
    assert bench.sent[-1] == b"[%d]" % (len(bench.sent) - 1)
    await bench.other.stop()


async def test_calls_wait_for_answers_to_earlier_ones(bench: Bench) -> None:
    answers: list[asyncio.Future[msgspec.Raw]] = []

    def answer() -> asyncio.Future[msgspec.Raw]:
        answers.append(asyncio.get_running_loop().create_future())
        return answers[-1]

    bench.connection.answer = answer
    for number in range(MAXIMUM_CALLS + 2):
        await bench.event(b"[%d]" % number)
    await until(lambda: len(answers) == MAXIMUM_CALLS)
    await settle()
    assert len(answers) == MAXIMUM_CALLS
    answers[5].set_result(msgspec.Raw(b""))
    await until(lambda: len(answers) == MAXIMUM_CALLS + 1)
    assert bench.sent == [b"[%d]" % number for number in range(MAXIMUM_CALLS + 1)]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HubException("secret text of the peer"), "the other gateway answered with an error"),
        (ConnectionClosed("lost"), "the connection to the other gateway was lost"),
        (NotConnectedError("lost"), "the connection to the other gateway was lost"),
    ],
)
async def test_an_event_that_fails_is_not_sent_again(
    bench: Bench, caplog: pytest.LogCaptureFixture, error: Exception, reason: str
) -> None:
    """The other gateway may have forwarded it. The log has no text of the other gateway."""
    failed: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    bench.connection.answer = lambda: failed
    await bench.event(b"[1]")
    await settle()
    bench.connection.answer = lambda: msgspec.Raw(b"")
    await bench.event(b"[2]")
    await settle()
    assert bench.sent == [b"[1]", b"[2]"]
    assert f"event 'ReceiveTyped' not relayed (1 so far): {reason}" in caplog.text
    assert "secret" not in caplog.text


async def test_a_call_without_an_answer_ends_after_thirty_seconds(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.connection.answer = asyncio.get_running_loop().create_future
    await bench.event(b"[1]")
    await bench.clock.advance(30)
    await until(lambda: bench.connection.unanswered == 1)
    await settle()
    assert "the other gateway did not answer within 30 seconds" in caplog.text


async def test_the_connection_is_supervised(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """GW-27, GW-28: a lost connection is opened again, and the log says so."""
    bench.connection.lose()
    await bench.event(b"[1]")
    assert bench.other.status.state is HubState.RECONNECTING
    await bench.clock.advance(1)
    await bench.connect()
    assert bench.sent == [b"[1]"]
    assert "relay: connection lost: closed by the hub" in caplog.text


# --- whether the other gateway takes events (GW-64)


def failing(error: Exception) -> asyncio.Future[msgspec.Raw]:
    failed: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
    failed.set_exception(error)
    return failed


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (UNAUTHORIZED, "takes no events with this key: it is missing, wrong, or without the scope"),
        (NO_METHOD, "the other gateway takes no relayed events"),
    ],
)
async def test_a_gateway_that_takes_no_events(
    caplog: pytest.LogCaptureFixture, answer: str, reason: str
) -> None:
    """GW-64: it counts as not connected, and is asked again. Events wait for it."""
    bench = Bench()
    bench.other.start()
    bench.connection.answer = lambda: failing(HubException(answer))
    await bench.connect()
    status = bench.other.status
    assert status.state is HubState.CONNECTING
    assert reason in (status.last_error or "")
    assert f"relay: cannot connect: {status.last_error}" in caplog.text
    await bench.event(b"[1]")
    bench.connection.answer = lambda: msgspec.Raw(b"")
    await bench.clock.advance(1)
    await bench.connect()
    assert bench.other.status.state is HubState.CONNECTED
    assert bench.other.status.last_error is None
    assert bench.sent == [b"[1]"]
    await bench.other.stop()


async def test_no_event_is_sent_before_the_answer() -> None:
    """GW-64: the other gateway might refuse it."""
    bench = Bench()
    bench.other.start()
    answers: list[asyncio.Future[msgspec.Raw]] = []

    def answer() -> asyncio.Future[msgspec.Raw]:
        answers.append(asyncio.get_running_loop().create_future())
        return answers[-1]

    bench.connection.answer = answer
    await bench.connect()
    await bench.event(b"[1]")
    await settle()
    assert bench.sent == []
    answers[0].set_result(msgspec.Raw(b""))
    await settle()
    assert bench.sent == [b"[1]"]
    await bench.other.stop()


async def test_a_gateway_that_never_answers_is_not_connected() -> None:
    """GW-64: the deadline of an attempt includes the answer."""
    bench = Bench()
    bench.other.start()
    bench.connection.answer = asyncio.get_running_loop().create_future
    await bench.connect()
    await bench.clock.advance(ATTEMPT_TIMEOUT)
    await until(lambda: bench.other.status.last_error is not None)
    assert bench.other.status.last_error == "TimeoutError"
    assert bench.connection.stopped
    await bench.other.stop()


async def test_a_connection_that_is_lost_before_the_answer() -> None:
    """GW-64: the attempt has failed. The state never was CONNECTED."""
    bench = Bench()
    bench.other.start()
    bench.connection.answer = lambda: failing(ConnectionClosed("lost"))
    await bench.connect()
    status = bench.other.status
    assert (status.state, status.last_error) == (HubState.CONNECTING, "ConnectionClosed")
    await bench.other.stop()


async def test_an_error_about_the_question_alone() -> None:
    """GW-64: a C# gateway answers so, because the call has no route. It takes events."""
    bench = Bench()
    bench.other.start()
    text = "An unexpected error occurred invoking 'Receive' on the server."
    bench.connection.answer = lambda: failing(HubException(text))
    await bench.connect()
    assert bench.other.status.state is HubState.CONNECTED
    await bench.other.stop()


async def test_credentials_that_are_no_longer_accepted(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """GW-64: the connection is opened again, so that the relay uses the key of then."""
    bench.connection.answer = lambda: failing(HubException(UNAUTHORIZED))
    await bench.event(b"[1]")
    await bench.event(b"[2]")
    await settle()
    status = bench.other.status
    assert status.state is HubState.RECONNECTING
    assert "takes no events with this key" in (status.last_error or "")
    assert f"relay: connection lost: {status.last_error}" in caplog.text
    assert bench.other.lost == 2
    bench.connection.answer = lambda: msgspec.Raw(b"")
    await bench.clock.advance(1)
    await bench.connect()
    await bench.event(b"[3]")
    await settle()
    assert bench.other.status.state is HubState.CONNECTED
    assert bench.sent == [b"[1]", b"[3]"]


# --- two gateways


async def test_two_gateways(hub: RunningHub, tmp_path: Path) -> None:
    """Clients of the second gateway get the events, each once. The first one serves no hub.

    The files are those of `docs/relay.md`. At first, the key of the relay is wrong (GW-64).
    """
    second, first = code_blocks(ROOT / "docs" / "relay.md", "toml")
    key = new_key()
    (tmp_path / "relay.key").write_text(new_key())
    (tmp_path / "second.toml").write_text(re.sub("sha256:0+", key_hash(key), second))
    app = app_of(load_config(tmp_path / "second.toml"))
    async with serving(app, "127.0.0.1", 0) as url:
        first = first.replace("https://gateway.example", url)
        first = first.replace("http://127.0.0.1:8081/chathub", hub.url)
        (tmp_path / "first.toml").write_text(first)
        config = load_config(tmp_path / "first.toml")
        refused = "the other gateway takes no events with this key"
        reasons = await reach_all(config.orchestrator)
        assert reasons["hub 'chatservice'"] is None
        assert (reasons["relay"] or "").startswith(refused)
        relaying = app_of(config)
        build = connecting_to(f"{url}/gatewayhub", MessagePackHubProtocol())
        connection = build(HubConnectionBuilder())
        inbox = Inbox(connection)
        async with (
            serving(relaying, "127.0.0.1", 0) as relaying_url,
            connection,
            aiohttp.ClientSession() as session,
        ):
            target, downstreams = relaying[GATEWAY].relay_target, relaying[GATEWAY].downstreams
            assert target is not None
            await until(lambda: target.status is not None and target.status.last_error is not None)
            async with session.get(f"{relaying_url}/healthz") as answer:
                health = await answer.json()
            assert (health["status"], health["relay"]["state"]) == ("degraded", "connecting")
            assert health["relay"]["lastError"].startswith(refused)
            (tmp_path / "relay.key").write_text(key)
            await until(
                lambda: (
                    (status := target.status) is not None
                    and status.state is HubState.CONNECTED
                    and downstreams["chatservice"].status.state is HubState.CONNECTED
                )
            )
            async with session.get(f"{relaying_url}/healthz") as answer:
                health = await answer.json()
            assert health["status"] == "ok"
            assert (health["relay"]["state"], health["relay"]["lost"]) == ("connected", 0)
            assert (await reach_all(config.orchestrator))["relay"] is None
            async with session.get(f"{relaying_url}/gatewayhub") as answer:
                assert answer.status == 404  # it serves no hub itself (GW-5)
            call = {"Api": "chatservice", "Key": "notices", "UserId": "John"}
            await connection.invoke("SubscribeToRoute", call)
            await hub.send("ReceiveMessage", b'["John","Hello!"]')
            await hub.send("Notice", b"[0.5]")
            await hub.send("ReceiveMessage", b'["John","Bye!"]')
            taken = [await inbox.take() for _ in range(3)]
            assert [(target, msgspec.msgpack.decode(each)) for target, each in taken] == [
                ("ReceiveMessage", [["John", "Hello!"], []]),
                ("Notice", [[0.5], []]),
                ("ReceiveMessage", [["John", "Bye!"], []]),
            ]
