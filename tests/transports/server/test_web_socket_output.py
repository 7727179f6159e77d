"""What the server's WebSocket writes, and clients that do not read it (TG-8, TG-9, TSC-7)."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from protocol import HubCallerContext, HubOptions
from tests.support.hub_messages import call, result
from tests.support.waiting import until
from tests.transports.conftest import Connect
from tests.transports.end_host import EndHost, being_served, stop_reading
from tests.transports.host import BasicHub, Host
from tests.transports.raw_web_socket import (
    CLOSE,
    TEXT,
    RawWebSocket,
)

pytestmark = pytest.mark.usefixtures("reading_mode")


async def test_one_write_per_tick(client: RawWebSocket) -> None:
    """TSC-7: a burst of calls is answered in few frames, each with whole records."""
    before = len(client.frames)
    client.send_records(*(call("Add", number, 1, id=str(number)) for number in range(200)))
    answers = await client.records(200)
    assert [answer["result"] for answer in answers] == list(range(1, 201))
    frames = client.frames[before:]
    assert len(frames) <= 3
    assert all(frame.payload.endswith(b"\x1e") for frame in frames)


@pytest.mark.parametrize("size", [10, 125, 126, 40_000, 65_600, 300_000])
async def test_sizes_of_answers(client: RawWebSocket, size: int) -> None:
    """RFC 6455: all three lengths of a frame's head."""
    client.send_records(call("Large", size))
    assert await client.record() == result("x" * size)


@pytest.mark.parametrize("limit", [None, 2**30, 2**62])
async def test_no_limit_or_a_huge_one(connect: Connect, limit: int | None) -> None:
    """F-4: None means that large messages pass."""
    host = Host()
    host.map(hub_options=HubOptions(maximum_receive_message_size=limit))
    async with host.run():
        client = await connect(f"{host.url}/hub")
        text = "x" * 3_000_000
        client.send_records(call("Echo", text))
        assert await client.record() == result(text)


async def test_a_client_that_does_not_read_is_cut_off(connect: Connect) -> None:
    """TG-9: it is cut by its buffer; a client that reads gets every message."""
    host = EndHost(HubOptions(maximum_outbound_buffer_size=512 * 1024))
    async with host.run():
        slow, quick = [await connect(f"{host.url}/hub") for _ in range(2)]
        stop_reading(slow)
        await until(lambda: host.context.connection_count == 2)
        while not host.ended:  # the system's own buffers hold some megabytes
            await host.context.clients.all.send("News", "x" * 65_536)
            assert (await quick.record())["target"] == "News"
        assert type(host.ended[0]).__name__ == "SlowClientError"
        await until(lambda: being_served() == 1)
        await until(lambda: host.context.connection_count == 1)


async def test_a_method_that_sends_much_to_its_caller(
    end_host: EndHost, client: RawWebSocket
) -> None:
    """TG-8: the method is as slow as its caller reads; the buffer stays within its limit."""
    stop_reading(client)
    client.send_records(call("TellMuch", 30))
    before = -1
    while len(end_host.served) != before:
        before = len(end_host.served)
        for _ in range(100):
            await asyncio.sleep(0)
    assert before < 30
    transport: Any = client.writer.transport
    transport.resume_reading()
    for number in range(30):
        assert (await client.record())["arguments"][0] == number
    assert await client.record() == result(None)


@pytest.mark.parametrize("ends", [False, True])
async def test_who_waits_for_a_client_is_woken_by_its_socket(
    end_host: EndHost, connect: Connect, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """TG-8: waiting does not poll; a cancelled waiter does not cancel the others."""
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    call_at = loop.call_at

    def remember(when: float, *args: Any, **more: Any) -> asyncio.TimerHandle:
        delays.append(when - loop.time())
        return call_at(when, *args, **more)

    client = await connect(f"{end_host.url}/hub")
    client.send_records(call("Who"))
    connection_id = (await client.record())["result"][0]
    stop_reading(client)
    monkeypatch.setattr(loop, "call_at", remember)
    to_client = end_host.context.clients.client(connection_id)
    waiting: list[asyncio.Task[None]] = []
    while len(waiting) < 3:  # the system's own buffers hold some megabytes
        sending = asyncio.create_task(to_client.send("News", "x" * 300_000))
        for _ in range(5):
            await asyncio.sleep(0)
        if not sending.done():
            waiting.append(sending)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert not any(sending.done() for sending in waiting[1:])
    assert min(delays) > 1  # except for the timeouts of waiting calls
    if ends:
        client.cut()
    else:
        transport: Any = client.writer.transport
        transport.resume_reading()
    reading = asyncio.create_task(client.end())
    await asyncio.gather(*waiting[1:])
    client.cut()
    await reading


@pytest.mark.parametrize("cause", ["shutdown", "abort", "violation"])
async def test_the_end_does_not_wait_for_a_client_that_does_not_read(
    connect: Connect, cause: str
) -> None:
    """TW-6: what is buffered cannot leave; after close_timeout the socket is cut all the same."""
    host = EndHost(HubOptions(maximum_outbound_buffer_size=64 * 1024 * 1024))
    async with host.run():
        slow = await connect(f"{host.url}/hub")
        stop_reading(slow)
        await until(lambda: host.context.connection_count == 1)
        for _ in range(10):
            await host.context.clients.all.send("News", "x" * 1024 * 1024)
            await asyncio.sleep(0)
        match cause:
            case "shutdown":
                await host.app.shutdown()
            case "abort":
                slow.send_records(call("Abort"))
            case _:
                slow.send(TEXT, b"\xff")
        await host.has_ended()
        await until(lambda: being_served() == 0)


async def test_nothing_holds_on_to_what_has_ended(connect: Connect) -> None:
    """L-1: connections are garbage once they are over."""
    alive: weakref.WeakSet[HubCallerContext] = weakref.WeakSet()

    class NotingHub(BasicHub):
        async def on_connected(self) -> None:
            alive.add(self.context)

    host = Host()
    context = host.map(hub_class=NotingHub)
    async with host.run():
        for _ in range(10):
            client = await connect(f"{host.url}/hub")
            client.send_records(call("Echo", 1))
            await client.record()
            client.send(CLOSE, b"")
            await client.end()
        await until(lambda: context.connection_count + being_served() == 0)
        for _ in range(10):
            await asyncio.sleep(0)
        gc.collect()
        assert len(alive) <= 1  # aiohttp may remember the last request
