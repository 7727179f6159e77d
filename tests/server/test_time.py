"""Timeouts and pings of a hub server, second by second (section K, H-9)."""

import asyncio
from typing import Any

import pytest

from protocol import Hub, HubOptions, RemoteProtocolError, hub_method
from protocol.messages import HubMessage
from protocol.peer import HubPeer
from tests.support.hub_messages import CLOSE, HANDSHAKE, PING, call, event, result
from tests.support.server_harness import MakeServer

TIMED_OUT = (
    "Connection closed with an error. OperationCanceledException: "
    "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
)
OPTIONS = HubOptions(enable_detailed_errors=True)


class TimeHub(Hub):
    ended: list[Exception | None]
    release: asyncio.Event

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ended.append(error)

    @hub_method
    async def hold(self) -> None:
        await self.release.wait()

    @hub_method
    def echo(self, value: Any) -> Any:
        return value


class Times:
    def __init__(self, serve: MakeServer, options: HubOptions = OPTIONS) -> None:
        self.ended: list[Exception | None] = []
        self.release = asyncio.Event()
        self.harness = serve(TimeHub, options, hub_factory=self._make)
        self.clock = self.harness.clock

    def _make(self) -> TimeHub:
        hub = TimeHub()
        hub.ended, hub.release = self.ended, self.release
        return hub


def timed_out() -> dict[str, Any]:
    return {"type": 7, "error": TIMED_OUT, "allowReconnect": True}


async def test_a_blocked_loop(serve: MakeServer) -> None:
    """K-3: what has arrived while the server's own loop was blocked is read before the timeout."""
    times = Times(serve)
    talking, silent = await times.harness.connect(), await times.harness.connect()
    for client in (talking, silent):
        client.send(PING)
    await times.clock.block(45)
    talking.send(PING)
    await times.clock.advance(1)
    assert (await talking.take())[-1:] == [PING]
    assert (await silent.take())[-1:] == [timed_out()]


async def test_handshake_timeout(serve: MakeServer) -> None:
    """H-9: 15 s for the whole handshake, even if a part has arrived."""
    times = Times(serve)
    silent, slow, done = (
        await times.harness.open(),
        await times.harness.open(),
        await times.harness.connect(),
    )
    slow.send_bytes(b'{"protocol":"json",')
    await times.clock.advance(14.9)
    assert (await silent.take(), await slow.take()) == ([], [])
    await times.clock.advance(0.1)
    for client in (silent, slow):
        assert await client.take() == [{"error": "Handshake was canceled."}]
        assert await client.has_ended()
    assert not await done.has_ended()
    assert times.ended == []


async def test_a_handshake_in_time(serve: MakeServer) -> None:
    """H-9: the timeout is over with the handshake."""
    times = Times(serve)
    client = await times.harness.open()
    await times.clock.advance(14)
    assert await client.ask(HANDSHAKE) == [{}]
    await times.clock.advance(100)
    assert not await client.has_ended()


async def test_pings(serve: MakeServer) -> None:
    """K-1: a ping 15 s after the last one; other messages do not postpone it."""
    times = Times(serve)
    client = await times.harness.connect()
    for second in range(1, 61):
        await times.clock.advance(1)
        await times.harness.server.context.clients.all.send("News")
        expected = [PING, event("News")] if second % 15 == 0 else [event("News")]
        assert await client.take() == expected, second


async def test_pings_go_to_each_at_its_own_time(serve: MakeServer) -> None:
    """K-1: counted from the start of each connection."""
    times = Times(serve)
    first = await times.harness.connect()
    await times.clock.advance(7)
    second = await times.harness.connect()
    await times.clock.advance(8)
    assert (await first.take(), await second.take()) == ([PING], [])
    await times.clock.advance(7)
    assert (await first.take(), await second.take()) == ([], [PING])


async def test_no_ping_while_a_write_is_under_way(serve: MakeServer) -> None:
    """K-1: skipped, not queued."""
    times = Times(serve)
    client = await times.harness.connect()
    client.transport.pause_reading()
    await times.harness.server.context.clients.all.send("News")
    await times.clock.advance(60)
    client.transport.resume_reading()
    assert await client.take() == [event("News")]


async def test_no_ping_before_the_handshake(serve: MakeServer) -> None:
    """H-12: the first record a client gets is the handshake response."""
    times = Times(serve, HubOptions(handshake_timeout=100, keep_alive_interval=5))
    client = await times.harness.open()
    await times.clock.advance(50)
    assert await client.take() == []


async def test_clients_that_never_ping_are_never_timed_out(serve: MakeServer) -> None:
    """K-3: other messages do not arm the timeout."""
    times = Times(serve)
    client = await times.harness.connect()
    assert await client.ask(call("Echo", 1)) == [result(1)]
    await times.clock.advance(600)
    assert set(map(str, await client.take())) == {str(PING)}
    assert not await client.has_ended()


async def test_client_timeout(serve: MakeServer) -> None:
    """K-3: after a Ping and 30 s of silence: a Close with an error and allowReconnect."""
    times = Times(serve)
    client = await times.harness.connect()
    client.send(PING)
    await times.clock.advance(29.9)
    assert not await client.has_ended()
    await times.clock.advance(0.1)
    assert (await client.take())[-1] == timed_out()
    assert await client.has_ended()
    (error,) = times.ended
    assert isinstance(error, RemoteProtocolError)


@pytest.mark.parametrize(
    "message",
    [PING, call("Echo", 1), call("Nobody"), {"type": 99}, {"type": 5, "invocationId": "x"}],
    ids=["ping", "call", "unknown method", "unknown type", "cancel"],
)
async def test_any_message_is_a_sign_of_life(serve: MakeServer, message: Any) -> None:
    """K-3: any complete message resets the clock."""
    times = Times(serve)
    client = await times.harness.connect()
    client.send(PING)
    for _ in range(5):
        await times.clock.advance(25)
        client.send(message)
    await times.clock.advance(29)
    assert not await client.has_ended()
    await times.clock.advance(2)
    assert await client.has_ended()


async def test_bytes_of_an_incomplete_message_are_none(serve: MakeServer) -> None:
    """K-3: bytes of an incomplete message do not reset the timeout."""
    times = Times(serve)
    client = await times.harness.connect()
    client.send(PING)
    for byte in b'{"type":1,"target":"Echo","arguments"':
        client.send_bytes(bytes([byte]))
        await times.clock.advance(1)
    assert await client.has_ended()


async def test_a_running_call_does_not_stop_the_clock(serve: MakeServer) -> None:
    """K-3: clients have to ping during long calls."""
    times = Times(serve)
    client = await times.harness.connect()
    client.send(PING, call("Hold"))
    await times.clock.advance(31)
    assert (await client.take())[-1] == timed_out()
    times.release.set()


async def test_a_call_that_waits_for_a_slot_stops_the_clock(serve: MakeServer) -> None:
    """K-3: pings behind it are not read; the timeout continues when the slot is free."""
    times = Times(serve)
    client = await times.harness.connect()
    client.send(PING, event("Hold"), call("Echo", 1))
    await times.clock.advance(120)
    assert not await client.has_ended()
    times.release.set()
    assert result(1) in await client.take()
    await times.clock.advance(29)
    assert not await client.has_ended()
    await times.clock.advance(2)
    assert await client.has_ended()


async def test_pings_during_on_connected_wait(serve: MakeServer) -> None:
    """L-2, K-3: they are buffered like all messages, and count when they are handled."""
    release = asyncio.Event()

    class SlowHub(Hub):
        async def on_connected(self) -> None:
            await release.wait()

    harness = serve(SlowHub, OPTIONS)
    client = await harness.connect()
    client.send(PING)
    await harness.clock.advance(100)
    assert not await client.has_ended()
    release.set()
    await harness.clock.advance(29)
    assert not await client.has_ended()
    await harness.clock.advance(2)
    assert (await client.take())[-1] == timed_out()


async def test_intervals_are_options(serve: MakeServer) -> None:
    """D: keep_alive_interval and client_timeout_interval."""
    times = Times(serve, HubOptions(keep_alive_interval=2, client_timeout_interval=5))
    client = await times.harness.connect()
    client.send(PING)
    await times.clock.advance(4.9)
    assert await client.take() == [PING, PING]
    await times.clock.advance(0.1)
    assert (await client.take())[-1]["type"] == 7


async def test_no_tick_after_the_end(serve: MakeServer) -> None:
    """L-5: an ended connection whose OnDisconnected still runs neither pings nor times out."""
    release = asyncio.Event()

    class SlowHub(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            await release.wait()

    harness = serve(SlowHub)
    client = await harness.connect()
    assert await client.ask(PING, CLOSE) == [CLOSE]
    await harness.clock.advance(60)
    assert await client.take() == []
    release.set()
    assert await client.has_ended()


async def test_one_connection_s_trouble_is_its_own(
    serve: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K-1: if the pings of one connection fail, those of others do not."""
    times = Times(serve)
    broken, sound = await times.harness.connect(), await times.harness.connect()

    send = HubPeer.send

    def fail_in_one(peer: HubPeer, message: HubMessage, now: float) -> bytes:
        if peer is broken.connection._peer:
            raise LookupError("no ping")
        return send(peer, message, now)

    monkeypatch.setattr(HubPeer, "send", fail_in_one)
    await times.clock.advance(15)
    assert await broken.has_ended()
    assert await sound.take() == [PING]
