"""KeepAlive on a clock that the test holds in its hand (section K)."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.keepalive import KeepAlive, KeepAliveAction
from protocol.messages import Role

START: Final = 1000.0
NOTHING, PING, TIMEOUT = KeepAliveAction.NOTHING, KeepAliveAction.PING, KeepAliveAction.TIMEOUT


def keep_alive(role: Role, interval: float = 15.0, timeout: float = 30.0) -> KeepAlive:
    return KeepAlive(role, interval=interval, timeout=timeout, now=START)


class TestServer:
    def test_pings_an_interval_after_its_last_ping(self) -> None:
        server = keep_alive(Role.SERVER)
        ticks = [server.tick(START + second) for second in range(1, 46)]
        assert [second for second, it in enumerate(ticks, 1) if it is PING] == [15, 30, 45]

    def test_its_messages_do_not_postpone_the_ping(self) -> None:
        """K-1."""
        server = keep_alive(Role.SERVER)
        server.sent(START + 14)
        assert server.tick(START + 15) is PING

    def test_never_gives_up_a_client_that_has_not_pinged(self) -> None:
        """K-3: clients of ASP.NET Core 2 never do."""
        server = keep_alive(Role.SERVER, interval=float("inf"))
        server.heard(START + 1)
        assert server.tick(START + 1_000_000) is NOTHING

    def test_gives_up_a_client_that_has_pinged_and_fell_silent(self) -> None:
        server = keep_alive(Role.SERVER, interval=float("inf"))
        server.heard(START + 5)
        server.pinged()
        assert server.tick(START + 35) is NOTHING
        assert server.tick(START + 35.1) is TIMEOUT

    def test_any_message_is_a_sign_of_life(self) -> None:
        server = keep_alive(Role.SERVER, interval=float("inf"))
        server.pinged()
        server.heard(START + 29)
        assert server.tick(START + 59) is NOTHING
        assert server.tick(START + 59.1) is TIMEOUT


class TestClient:
    def test_pings_an_interval_after_its_last_message(self) -> None:
        """K-4: any message of ours keeps the server content."""
        client = keep_alive(Role.CLIENT, timeout=float("inf"))
        client.sent(START + 10)
        assert client.tick(START + 24) is NOTHING
        assert client.tick(START + 25) is PING
        assert client.tick(START + 39) is NOTHING
        assert client.tick(START + 40) is PING

    def test_expects_the_server_from_the_start(self) -> None:
        """K-2."""
        client = keep_alive(Role.CLIENT, interval=float("inf"))
        assert client.tick(START + 30) is NOTHING
        assert client.tick(START + 30.1) is TIMEOUT

    def test_a_message_of_the_server_starts_the_wait_anew(self) -> None:
        client = keep_alive(Role.CLIENT, interval=float("inf"))
        client.heard(START + 20)
        assert client.tick(START + 50) is NOTHING
        assert client.tick(START + 50.1) is TIMEOUT

    def test_a_lost_server_is_not_pinged(self) -> None:
        client = keep_alive(Role.CLIENT)
        assert client.tick(START + 31) is TIMEOUT


@pytest.mark.parametrize("role", Role)
@given(steps=st.lists(st.tuples(st.sampled_from("htsp"), st.floats(0, 40)), max_size=30))
def test_whatever_happens_pings_keep_their_distance(
    role: Role, steps: list[tuple[str, float]]
) -> None:
    """And nobody is given up who was heard within the timeout."""
    clock = keep_alive(role)
    now = last_ping = last_heard = START
    for step, delay in steps:
        now += delay
        match step:
            case "h":
                clock.heard(now)
                last_heard = now
            case "s":
                clock.sent(now)
            case "p":
                clock.pinged()
            case _:
                action = clock.tick(now)
                if action is PING:
                    assert now - last_ping >= 15
                    last_ping = now
                if action is TIMEOUT:
                    assert now - last_heard > 30
