"""Above the memory mark, the gateway refuses new calls and connections."""

from __future__ import annotations

import logging
from pathlib import Path

import aiohttp
import pytest

from protocol import HubException
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.serving.memory import MemoryMark, default_mark, resident_memory
from tests.gateway.gateway_clients import Inbox
from tests.gateway.hand_clock import HandClock
from tests.gateway.running_gateway import running_gateway
from tests.gateway.sample_hub import RECEIVE_KEY, RunningHub, sample_routes

MEBIBYTE = 1024 * 1024


async def test_the_memory_is_measured_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """One line a minute says that it is exceeded."""
    clock, used = HandClock(), [0]
    mark = MemoryMark(100 * MEBIBYTE, resident=lambda: used[0] * MEBIBYTE)
    mark.start(clock)
    seen = []
    for used[0] in (100, 101, 300, 100, 101):
        before = mark.is_exceeded
        await clock.advance(0.9)
        assert mark.is_exceeded == before
        await clock.advance(0.1)
        seen.append(mark.is_exceeded)
    assert seen == [False, True, True, False, True]
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert line.getMessage().startswith("101 MiB of memory are above the mark of 100 MiB: ")
    await clock.advance(60)
    assert len(caplog.records) == 2
    mark.stop()
    await clock.advance(120)
    assert len(caplog.records) == 2


async def test_a_system_that_does_not_say_what_is_used() -> None:
    mark = MemoryMark(1, resident=lambda: None)
    mark.start(HandClock())
    assert not mark.is_exceeded


def group(root: Path, name: str, *limits: tuple[str, str]) -> Path:
    """A file system in which the process is in the control group `name`."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"1:name=x:/\n0::/{name}\n", encoding="utf-8")
    for folder, limit in limits:
        place = root / "sys/fs/cgroup" / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "memory.max").write_text(limit, encoding="ascii")
    return root


def test_the_default_mark(tmp_path: Path) -> None:
    """The smallest limit of the group and of those around it; "max" is no limit."""
    machine = default_mark(tmp_path / "none")
    assert machine is not None
    limits = ("a/b", "max\n"), ("a", "1000000\n"), ("", "5000000\n"), ("other", "10\n")
    assert default_mark(group(tmp_path / "nested", "a/b", *limits)) == 800_000
    assert default_mark(group(tmp_path / "container", "", ("", "1000000"))) == 800_000
    assert default_mark(group(tmp_path / "unlimited", "a", ("a", "max"))) == machine
    assert default_mark(group(tmp_path / "large", "", ("", str(2**60)))) == machine


def test_this_process() -> None:
    assert MEBIBYTE < (resident_memory() or 0) < (default_mark() or 0)


async def test_a_gateway_above_the_mark(hub: RunningHub) -> None:
    """GW-9: connected clients are still served, and so is the health of the gateway."""
    limits = Limits(maximum_memory=1024**5)
    async with running_gateway(lambda o: sample_routes(o, hub.url), limits=limits) as gateway:
        client = gateway.client()
        inbox = Inbox(client)
        async with client:
            gateway.parts.memory.is_exceeded = True
            gateway.parts.memory.stop()
            refused = await gateway.post("sample/echo", b"[1]")
            assert (refused.status, refused.problem["code"]) == (503, "gateway-overloaded")
            assert refused.headers["Retry-After"] == "1"
            for path in ("/gatewayhub/negotiate?negotiateVersion=1", "/gatewayhub"):
                assert (await gateway.request("POST", path)).status == 503
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await gateway.session.ws_connect(f"{gateway.url}/gatewayhub")
            assert (await gateway.request("GET", "/healthz")).status == 200
            await hub.send("Anything", b"[]")
            assert await inbox.take() == ("Anything", b"[[],{}]")
            gateway.parts.memory.is_exceeded = False
            assert (await gateway.post("sample/echo", b"[1]")).status == 200


async def test_calls_of_connected_clients_above_the_mark(hub: RunningHub) -> None:
    """GW-19: calls and subscriptions are refused as POSTs are; unsubscribing frees memory."""
    echo = {"Api": "sample", "Key": "echo", "ReceiveKey": RECEIVE_KEY, "Data": 1}
    group = {
        "Api": "sample",
        "Key": "group",
        "ReceiveKey": RECEIVE_KEY,
        "ReceiveGroup": "ChatGroup",
    }
    user = {"Api": "sample", "Key": "one", "ReceiveKey": RECEIVE_KEY, "UserId": "u"}
    async with (
        running_gateway(lambda o: sample_routes(o, hub.url)) as gateway,
        gateway.client() as client,
    ):
        memory = gateway.parts.memory
        memory.stop()
        memory.is_exceeded = True
        for method, call in (
            ("InvokeDownstreamHub", echo),
            ("SubscribeToGroup", group),
            ("SubscribeToRoute", user),
        ):
            with pytest.raises(HubException) as caught:
                await client.invoke(method, call)
            assert caught.value.message == "The gateway is short of memory."
        with pytest.raises(HubException, match="short of memory"):
            async for _ in client.stream("StreamDownstreamHub", echo):
                pass
        assert hub.calls == []
        await client.invoke("UnsubscribeFromGroup", group)
        await client.invoke("UnsubscribeFromRoute", user)
        memory.is_exceeded = False
        assert await client.invoke("InvokeDownstreamHub", echo) == 1
        await client.invoke("SubscribeToGroup", group)
