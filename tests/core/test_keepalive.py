"""KeepAlive at times that the test passes in (section K)."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.keepalive import KeepAlive, KeepAliveAction
from protocol.messages import Close, Completion, HubMessage, Invocation, Ping, Role

START: Final = 1000.0
NOTHING, PING, TIMEOUT = KeepAliveAction.NOTHING, KeepAliveAction.PING, KeepAliveAction.TIMEOUT
NEVER: Final = float("inf")


def keep_alive(role: Role, interval: float = 15.0, timeout: float = 30.0) -> KeepAlive:
    clock = KeepAlive(role, interval=interval, timeout=timeout)
    clock.start(START)
    return clock


class TestServer:
    def test_pings_an_interval_after_its_last_ping(self) -> None:
        server = keep_alive(Role.SERVER)
        ticks = [server.handle_timeout(START + second) for second in range(1, 46)]
        assert [second for second, it in enumerate(ticks, 1) if it is PING] == [15, 30, 45]

    @pytest.mark.parametrize("kind", [Invocation, Completion, Close])
    def test_its_messages_do_not_postpone_the_ping(self, kind: type[HubMessage]) -> None:
        """K-1."""
        server = keep_alive(Role.SERVER)
        server.message_sent(kind, START + 14)
        assert server.handle_timeout(START + 15) is PING

    def test_a_ping_that_the_caller_sends_counts(self) -> None:
        server = keep_alive(Role.SERVER)
        server.message_sent(Ping, START + 5)
        assert server.handle_timeout(START + 19) is NOTHING
        assert server.handle_timeout(START + 20) is PING

    def test_never_times_out_a_client_that_has_not_pinged(self) -> None:
        """K-3: clients of ASP.NET Core 2 never ping."""
        server = keep_alive(Role.SERVER, interval=NEVER)
        server.message_received(START + 1)
        assert server.handle_timeout(START + 1_000_000) is NOTHING

    def test_times_out_a_silent_client_that_has_pinged(self) -> None:
        server = keep_alive(Role.SERVER, interval=NEVER)
        server.message_received(START + 5)
        server.ping_received()
        assert server.handle_timeout(START + 34.9) is NOTHING
        assert server.handle_timeout(START + 35) is TIMEOUT

    def test_any_message_is_a_sign_of_life(self) -> None:
        server = keep_alive(Role.SERVER, interval=NEVER)
        server.ping_received()
        server.message_received(START + 29)
        assert server.handle_timeout(START + 58.9) is NOTHING
        assert server.handle_timeout(START + 59) is TIMEOUT


class TestClient:
    @pytest.mark.parametrize("kind", [Invocation, Completion, Ping])
    def test_pings_an_interval_after_its_last_message(self, kind: type[HubMessage]) -> None:
        """K-4: to the server, any message is a sign of life."""
        client = keep_alive(Role.CLIENT, timeout=NEVER)
        client.message_sent(kind, START + 10)
        assert client.handle_timeout(START + 24) is NOTHING
        assert client.handle_timeout(START + 25) is PING
        assert client.handle_timeout(START + 39) is NOTHING
        assert client.handle_timeout(START + 40) is PING

    def test_expects_the_server_from_the_start(self) -> None:
        """K-2."""
        client = keep_alive(Role.CLIENT, interval=NEVER)
        assert client.handle_timeout(START + 29.9) is NOTHING
        assert client.handle_timeout(START + 30) is TIMEOUT

    def test_a_message_of_the_server_restarts_the_timeout(self) -> None:
        client = keep_alive(Role.CLIENT, interval=NEVER)
        client.message_received(START + 20)
        assert client.handle_timeout(START + 49.9) is NOTHING
        assert client.handle_timeout(START + 50) is TIMEOUT

    def test_a_lost_server_is_not_pinged(self) -> None:
        client = keep_alive(Role.CLIENT)
        assert client.handle_timeout(START + 31) is TIMEOUT


class TestDeadlines:
    """A timer that is set for ``next_deadline`` is never late, and seldom early."""

    @pytest.mark.parametrize("role", Role)
    def test_none_before_the_start(self, role: Role) -> None:
        clock = KeepAlive(role, interval=15.0, timeout=30.0)
        assert clock.next_deadline() is None
        assert clock.handle_timeout(START) is NOTHING

    @pytest.mark.parametrize("role", Role)
    def test_none_over_a_transport_that_keeps_itself_alive(self, role: Role) -> None:
        """TL-11."""
        assert keep_alive(role, NEVER, NEVER).next_deadline() is None

    def test_of_a_client(self) -> None:
        client = keep_alive(Role.CLIENT)
        assert client.next_deadline() == START + 15
        assert client.handle_timeout(START + 15) is PING
        client.message_sent(Invocation, START + 20)
        assert client.next_deadline() == START + 30
        assert client.handle_timeout(START + 30) is TIMEOUT

    def test_of_a_server_allow_for_a_first_ping(self) -> None:
        """K-3: the timeout begins with a client's first ping, and no timer has to be moved."""
        server = keep_alive(Role.SERVER, interval=NEVER)
        assert server.next_deadline() == START + 30
        assert server.handle_timeout(START + 30) is NOTHING
        assert server.next_deadline() == START + 60
        server.message_received(START + 31)
        server.ping_received()
        assert server.handle_timeout(START + 60) is NOTHING
        assert server.next_deadline() == START + 61
        assert server.handle_timeout(START + 61) is TIMEOUT

    def test_a_call_before_the_deadline_does_nothing(self) -> None:
        """For example from a timer that was set before the deadline moved."""
        client = keep_alive(Role.CLIENT)
        client.message_sent(Invocation, START + 10)
        assert client.handle_timeout(START + 15) is NOTHING
        assert client.next_deadline() == START + 25

    @pytest.mark.parametrize("role", Role)
    def test_a_peer_that_is_not_read_does_not_time_out(self, role: Role) -> None:
        """K-3: the timeout is suspended; pings are still due."""
        clock = keep_alive(role, timeout=4.0)
        clock.ping_received()
        clock.suspend()
        assert clock.next_deadline() == START + 4
        assert clock.handle_timeout(START + 4) is NOTHING
        assert clock.next_deadline() == START + 8
        assert clock.handle_timeout(START + 15) is PING
        clock.resume(START + 16)
        assert clock.next_deadline() == START + 20
        assert clock.handle_timeout(START + 19.9) is NOTHING
        assert clock.handle_timeout(START + 20) is TIMEOUT


EVENTS: Final = st.lists(st.tuples(st.sampled_from("hspxr"), st.floats(0, 40)), max_size=30)
"""A received message, a sent message, a received ping, a suspension or a resumption, each after
some seconds."""


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("interval", [3.0, 15.0, 50.0, NEVER])
@given(steps=EVENTS)
def test_a_timer_that_is_never_moved_is_in_time(
    role: Role, interval: float, steps: list[tuple[str, float]]
) -> None:
    """Each ping and timeout is done exactly when it is due, after any steps."""
    clock = keep_alive(role, interval)
    now = last_sent = last_received = START
    counts, is_suspended = role is Role.CLIENT, False
    timer = clock.next_deadline()
    fired = 0
    for step, delay in steps:
        now += delay
        while timer is not None and timer <= now:
            fired += 1
            action = clock.handle_timeout(timer)
            is_over = counts and not is_suspended and timer >= last_received + 30
            if is_over:
                assert (action, timer) == (TIMEOUT, last_received + 30)
                return
            assert action is (PING if timer >= last_sent + interval else NOTHING)
            if action is PING:
                assert timer == last_sent + interval
                last_sent = timer
            timer = clock.next_deadline()
        match step:
            case "h":
                clock.message_received(now)
                last_received = now
            case "s":
                clock.message_sent(Invocation, now)
                last_sent = now if role is Role.CLIENT else last_sent
            case "p":
                clock.message_received(now)
                clock.ping_received()
                last_received, counts = now, True
            case "x":
                clock.suspend()
                is_suspended = True
            case _:
                clock.resume(now)
                last_received, is_suspended = now, False
        assert not (counts and not is_suspended and now > last_received + 30)
        assert now < last_sent + interval
    assert fired <= 1 + (now - START) / interval + (now - START) / 30 * 2 + len(steps)
