"""GW-27, GW-28, GW-9, GW-10: the supervised connection, on a clock that a test moves by hand."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from protocol import (
    ConnectionClosed,
    ExponentialBackoff,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    NotConnectedError,
    Payload,
)
from signalr_gateway.downstream import building
from signalr_gateway.downstream.building import build_connections
from signalr_gateway.downstream.call_errors import GatewayDraining, HubTimeout, HubUnavailable
from signalr_gateway.downstream.connection import HubState
from signalr_gateway.downstream.hub import Downstream
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.gateway.fake_connection import FakeConnection
from tests.gateway.hand_clock import HandClock, settle
from tests.gateway.payloads import json_payload, json_text
from tests.support.routes import route_to

START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


class Bench:
    """A downstream over a fake connection, and its clock."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.connection = FakeConnection()
        self.connection.time = self.clock.time
        self.events: list[tuple[str, str, bytes]] = []
        orchestrator = Orchestrator()
        orchestrator.add_hub("ChatService", lambda builder: self.connection)
        begin = self.clock.time()
        self.downstream = Downstream(
            orchestrator.hubs["chatservice"],
            self.connection,
            self.hear,
            clock=self.clock,
            backoff=ExponentialBackoff(random=lambda: 0.0),
            utcnow=lambda: START + timedelta(seconds=self.clock.time() - begin),
        )

    async def hear(self, api: str, target: str, arguments: Payload, user: str | None) -> None:
        self.events.append((api, target, json_text(arguments)))

    def post(self, argument: bytes = b"1") -> asyncio.Task[Payload | None]:
        return asyncio.create_task(
            self.downstream.invoke(route_to("Method"), [json_payload(argument)])
        )

    def state(self) -> tuple[HubState, float, str | None]:
        status = self.downstream.status
        return status.state, (status.since - START).total_seconds(), status.last_error

    def starts(self, start: int = 0) -> list[float]:
        return [moment - 1000 for moment in self.connection.started_at[start:]]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.downstream.start()
    await settle()
    yield bench
    await bench.downstream.stop()


@pytest.fixture
async def connected(bench: Bench) -> Bench:
    bench.connection.accept()
    await settle()
    return bench


async def outcomes(tasks: list[asyncio.Task[Payload | None]]) -> list[object]:
    return list(await asyncio.gather(*tasks, return_exceptions=True))


# --- connecting (GW-27) ----------------------------------------------------------------------


async def test_connects_at_start_and_tries_for_ever(bench: Bench) -> None:
    """GW-27: 0.5 s doubling to 30 s, without end."""
    assert bench.state() == (HubState.CONNECTING, 0, None)
    bench.connection.refuse()
    bench.connection.refuse_at_once = ConnectionRefusedError(errno.ECONNREFUSED, "hush")
    await bench.clock.advance(60)
    assert bench.starts() == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 30.5, 45.5]


class BreakOut(BaseException):
    """An exception that is not a subclass of Exception, like cancellation in other frameworks."""


@pytest.mark.parametrize("error", [BreakOut(), OSError("hush", "as its errno")])
async def test_tries_again_whatever_a_token_factory_raises(
    bench: Bench, error: BaseException
) -> None:
    """GW-27."""
    bench.connection.refuse()
    bench.connection.refuse_at_once = error
    await bench.clock.advance(1)
    assert bench.state() == (HubState.CONNECTING, 0, type(error).__name__)
    bench.connection.refuse_at_once = None
    await bench.clock.advance(5)
    bench.connection.accept()
    await settle()
    assert bench.state()[0] is HubState.CONNECTED


async def test_serves_while_it_connects(bench: Bench) -> None:
    bench.connection.accept()
    await settle()
    assert bench.state() == (HubState.CONNECTED, 0, None)


async def test_no_event_is_missed_after_the_start(connected: Bench) -> None:
    """GW-27: the catch-all is registered before the connection starts (the fake checks it)."""
    assert connected.connection.any_handler is not None
    await connected.connection.any_handler("Event", msgspec.Raw(b'["x"]'))
    assert connected.events == [("chatservice", "Event", b'["x"]')]


async def test_without_a_listener_no_catch_all_is_registered() -> None:
    """GW-4."""
    connection = FakeConnection()
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", lambda builder: connection)
    Downstream(orchestrator.hubs["h"], connection)
    assert connection.any_handler is None


async def test_a_lost_connection_is_started_again(connected: Bench) -> None:
    await connected.clock.advance(10)
    connected.connection.lose(ConnectionResetError(errno.ECONNRESET, "hush"))
    await settle()
    assert connected.state() == (HubState.RECONNECTING, 10, "Connection reset by peer")
    assert connected.connection.starts == 1
    await connected.clock.advance(0.5)
    assert connected.connection.starts == 2
    connected.connection.accept()
    await settle()
    assert connected.state() == (HubState.CONNECTED, 10.5, None)


async def test_a_connection_closed_by_the_hub_is_started_again(connected: Bench) -> None:
    connected.connection.lose(None)
    await settle()
    assert connected.state()[2] == "closed by the hub"
    await connected.clock.advance(1)
    assert connected.connection.attempting


async def test_the_users_retry_policy_is_obeyed_while_it_lasts(connected: Bench) -> None:
    """GW-27."""
    connected.connection.lose_and_retry(ConnectionClosed("gone"))
    await settle()
    assert connected.state() == (HubState.RECONNECTING, 0, "gone")
    post = connected.post()
    await connected.clock.advance(3)
    assert connected.connection.starts == 1  # not started while the policy decides
    connected.connection.come_back()
    assert json_text(await post) == b""
    assert connected.state() == (HubState.CONNECTED, 3, None)
    connected.connection.lose_and_retry()
    connected.connection.lose(OSError("retries have been exhausted"))
    await connected.clock.advance(0.5)
    assert connected.connection.starts == 2


async def test_an_attempt_without_an_end_is_cancelled(bench: Bench) -> None:
    await bench.clock.advance(29)
    assert bench.connection.starts == 1
    await bench.clock.advance(2)
    assert bench.starts() == [0, 30.5]
    assert bench.state()[2] == "TimeoutError"


async def test_errors_are_shown_without_secrets(bench: Bench) -> None:
    """GW-28."""
    bench.connection.refuse(OSError("GET http://h/chathub?access_token=HUSH: 401"))
    await settle()
    assert bench.state() == (HubState.CONNECTING, 0, "OSError")


async def test_one_line_is_logged_per_news_not_per_attempt(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "signalr_gateway")
    bench.connection.refuse()
    bench.connection.refuse_at_once = ConnectionRefusedError(errno.ECONNREFUSED, "hush")
    await bench.clock.advance(20)
    bench.connection.refuse_at_once = None
    await bench.clock.advance(30)
    bench.connection.accept()
    await settle()
    bench.connection.lose(None)
    await settle()
    assert [record.getMessage() for record in caplog.records] == [
        "hub 'chatservice': cannot connect: Connection refused",
        "hub 'chatservice': connected",
        "hub 'chatservice': connection lost: closed by the hub",
    ]


async def test_a_hub_that_connects_and_disconnects_does_not_fill_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """GW-28: each state is shown once a minute, and the last one is shown in the end."""
    caplog.set_level(logging.INFO, "signalr_gateway")
    bench.connection.accept()
    await settle()
    for _ in range(5):
        bench.connection.lose_and_retry(None)
        bench.connection.come_back()
    bench.connection.lose(None)
    bench.connection.refuse_at_once = ConnectionRefusedError(errno.ECONNREFUSED, "hush")
    await bench.clock.advance(90)
    assert [record.getMessage() for record in caplog.records] == [
        "hub 'chatservice': connected",
        "hub 'chatservice': connection lost: closed by the hub",
        "hub 'chatservice': cannot connect: Connection refused",
    ]


# --- calls (GW-8, GW-9, GW-10) -------------------------------------------------------------------


async def test_invokes_with_the_arguments_as_they_are(connected: Bench) -> None:
    connected.connection.answer = lambda: msgspec.Raw(b"0.10")
    result = await connected.downstream.invoke(
        route_to("Method"), [json_payload(b"1e400"), json_payload(b"{}")]
    )
    assert json_text(result) == b"0.10"
    assert connected.connection.calls == [("Method", [b"1e400", b"{}"])]


async def test_a_hub_error_comes_out_unchanged(connected: Bench) -> None:
    def fail() -> None:
        raise HubException("the hub says no")

    connected.connection.answer = fail
    with pytest.raises(HubException, match=r"^the hub says no$"):
        await connected.post()


async def test_a_call_joins_the_attempt_under_way(bench: Bench) -> None:
    """GW-10."""
    posts = [bench.post() for _ in range(10)]
    await bench.clock.advance(1)
    assert bench.connection.starts == 1
    bench.connection.accept()
    await outcomes(list(posts))
    assert len(bench.connection.calls) == 10
    assert bench.connection.starts == 1


async def test_a_call_starts_an_attempt_whatever_the_backoff_says(bench: Bench) -> None:
    """GW-9."""
    bench.connection.refuse()
    bench.connection.refuse_at_once = ConnectionRefusedError(errno.ECONNREFUSED, "hush")
    await bench.clock.advance(46)
    bench.connection.refuse_at_once = None
    before = bench.connection.starts
    post = bench.post()
    await settle()
    assert bench.connection.starts == before + 1
    bench.connection.accept()
    await post


async def test_200_calls_while_the_hub_is_away(bench: Bench) -> None:
    """GW-9: 200 times refused within 5 s, one attempt at a time, at most one per 0.5 s."""
    bench.connection.refuse()
    bench.connection.refuse_at_once = ConnectionRefusedError(errno.ECONNREFUSED, "hush")
    await bench.clock.advance(31)
    before = bench.connection.starts
    posts = [bench.post() for _ in range(200)]
    await bench.clock.advance(4.9)
    assert not any(post.done() for post in posts)
    await bench.clock.advance(0.1)
    assert all(isinstance(error, HubUnavailable) for error in await outcomes(posts))
    for_callers = bench.starts(before)
    assert for_callers == [31 + 0.5 * n for n in range(len(for_callers))]
    assert len(for_callers) <= 11
    await bench.clock.advance(5)
    assert bench.connection.starts == before + len(for_callers)  # no call waits any longer
    assert bench.connection.calls == []


async def test_200_calls_are_served_when_the_hub_comes_back(bench: Bench) -> None:
    """GW-9: 200 times done, each run once."""
    bench.connection.refuse()
    bench.connection.refuse_at_once = ConnectionRefusedError(errno.ECONNREFUSED, "hush")
    await bench.clock.advance(31)
    posts = [bench.post(b"%d" % number) for number in range(200)]
    await bench.clock.advance(3.2)
    bench.connection.refuse_at_once = None
    await bench.clock.advance(0.5)
    bench.connection.accept()
    await outcomes(posts)
    assert sorted(int(arguments[0]) for _, arguments in bench.connection.calls) == list(range(200))


async def test_calls_one_after_another_start_one_attempt_per_half_second(bench: Bench) -> None:
    """GW-9."""
    bench.connection.refuse()
    bench.connection.refuse_at_once = ConnectionRefusedError(errno.ECONNREFUSED, "hush")
    await bench.clock.advance(31)
    before = bench.connection.starts
    for _ in range(100):
        post = bench.post()
        await bench.clock.advance(0.1)
        post.cancel()
        await settle()
    assert len(bench.starts(before)) <= 21


async def test_a_cancelled_call_leaves_nothing(bench: Bench) -> None:
    """GW-10."""
    bench.connection.refuse()
    bench.connection.refuse_at_once = ConnectionRefusedError(errno.ECONNREFUSED, "hush")
    await bench.clock.advance(31)
    post = bench.post()
    await settle()
    before = bench.connection.starts
    post.cancel()
    await outcomes([post])
    await bench.clock.advance(4)
    assert bench.connection.starts == before
    assert post.cancelled()


async def test_a_call_that_finds_the_connection_just_lost_waits_for_the_next(
    connected: Bench,
) -> None:
    """Nothing was sent, so it is safe to wait and send it then."""
    lost = False

    def answer() -> msgspec.Raw:
        nonlocal lost
        if not lost:
            lost = True
            connected.connection.lose(OSError("gone"))
            raise NotConnectedError("not connected")
        return msgspec.Raw(b"2")

    connected.connection.answer = answer
    post = connected.post()
    await connected.clock.advance(0.1)
    connected.connection.accept()
    assert json_text(await post) == b"2"


async def test_the_wait_is_5_seconds_in_all(connected: Bench) -> None:
    """GW-9: a second loss of the connection does not start a new wait."""
    connected.connection.lose(OSError("gone"))
    post = connected.post()
    await connected.clock.advance(4)

    def lose_again() -> None:
        connected.connection.lose(OSError("gone"))
        raise NotConnectedError("not connected")

    connected.connection.answer = lose_again
    connected.connection.accept()
    await connected.clock.advance(0.9)
    assert not post.done()
    await connected.clock.advance(0.1)
    with pytest.raises(HubUnavailable, match=r"^Hub 'chatservice' is not connected\.$"):
        await post


async def test_a_connection_that_only_looks_alive_ends_the_wait_too(connected: Bench) -> None:
    def refuse() -> None:
        raise NotConnectedError("not connected")

    connected.connection.answer = refuse
    post = connected.post()
    await connected.clock.advance(5)
    with pytest.raises(HubUnavailable):
        await post


async def test_a_call_without_an_answer_times_out_and_is_cancelled(connected: Bench) -> None:
    """GW-9, GW-16."""
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    connected.connection.answer = lambda: never
    post = connected.post()
    await connected.clock.advance(29.9)
    assert not post.done()
    await connected.clock.advance(0.1)
    with pytest.raises(HubTimeout, match=r"^Hub 'chatservice' did not answer within 30 seconds"):
        await post
    assert never.cancelled()


async def test_a_timeout_of_the_users_own_is_not_taken_for_ours(connected: Bench) -> None:
    def fail() -> None:
        raise TimeoutError("another one")

    connected.connection.answer = fail
    with pytest.raises(TimeoutError, match="another one"):
        await connected.post()


# --- the end -----------------------------------------------------------------------------------


async def test_draining_sends_waiting_callers_away_and_lets_running_calls_end(
    connected: Bench,
) -> None:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    connected.connection.answer = lambda: answer
    running = connected.post()
    await settle()
    connected.downstream.drain()
    with pytest.raises(GatewayDraining):
        await connected.post()
    answer.set_result(msgspec.Raw(b"1"))
    assert json_text(await running) == b"1"


async def test_stopping_ends_an_attempt_and_refuses_those_who_wait(bench: Bench) -> None:
    post = bench.post()
    await settle()
    await bench.downstream.stop()
    assert isinstance((await outcomes([post]))[0], GatewayDraining)
    assert not bench.connection.attempting
    assert bench.connection.stopped
    assert bench.state()[0] is HubState.STOPPED
    await bench.clock.advance(60)
    assert bench.connection.starts == 1


# --- building ----------------------------------------------------------------------------------


def broken(builder: HubConnectionBuilder) -> HubConnection:
    raise LookupError("no such setting")


def forgot_build(builder: HubConnectionBuilder) -> Any:
    return builder.with_url("http://127.0.0.1:9/")


def test_items_of_streams_wait_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """GW-32: unless the function of the hub sets another time."""
    given: list[float | None] = []

    class Spy(HubConnectionBuilder):
        def with_maximum_item_wait(self, seconds: float | None) -> HubConnectionBuilder:
            given.append(seconds)
            return super().with_maximum_item_wait(seconds)

    monkeypatch.setattr(building, "HubConnectionBuilder", Spy)
    orchestrator = Orchestrator()
    orchestrator.add_hub("a", lambda builder: forgot_build(builder).build())
    orchestrator.add_hub(
        "b", lambda builder: forgot_build(builder).with_maximum_item_wait(60).build()
    )
    build_connections(orchestrator.hubs)
    assert given == [5, 5, 60]


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (broken, r"failed: LookupError \(test_connection.py, line \d+\)$"),
        (forgot_build, "must return the built HubConnection, not HubConnectionBuilder"),
        (lambda builder: None, "must return the built HubConnection, not NoneType"),
    ],
)
async def test_a_builder_that_fails_names_its_hub(build: Any, problem: str) -> None:
    orchestrator = Orchestrator()
    orchestrator.add_hub("ChatService", build)
    with pytest.raises(OrchestrationError, match=problem) as caught:
        build_connections(orchestrator.hubs)
    assert (caught.value.hub, caught.value.field) == ("chatservice", "build_hub_connection")
