"""Without free file descriptors the gateway serves established connections, and logs one line."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import sys
from typing import Any

import aiohttp
import pytest

from signalr_gateway.serving.open_files import check_limit, exhaustion_logged
from tests.gateway.command import command

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit and /proc")


def out_of_descriptors() -> dict[str, Any]:
    """The context that asyncio passes to the exception handler."""
    error = OSError(errno.EMFILE, "Too many open files")
    return {"message": "socket.accept() out of system resource", "exception": error, "socket": 0}


async def test_one_line_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    now = 1000.0
    monkeypatch.setattr(loop, "time", lambda: now)
    with exhaustion_logged(loop):
        for _ in range(100):
            loop.call_exception_handler(out_of_descriptors())
        now += 60
        loop.call_exception_handler(out_of_descriptors())
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert lines[0].startswith("out of file descriptors: new connections wait")
    assert "ulimit -n" in lines[0]


async def test_other_errors_reach_the_handler_before(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    seen: list[str] = []
    loop.set_exception_handler(lambda _, context: seen.append(context["message"]))
    with exhaustion_logged(loop):
        loop.call_exception_handler({"message": "other"})
        files = {"message": "files", "exception": OSError(errno.EMFILE, "Too many open files")}
        loop.call_exception_handler(files)  # not from a listener
    loop.call_exception_handler(out_of_descriptors())
    loop.set_exception_handler(None)
    assert seen == ["other", "files", out_of_descriptors()["message"]]
    assert caplog.records == []


async def test_without_a_handler_other_errors_reach_the_default_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    with exhaustion_logged(loop):
        loop.call_exception_handler({"message": "other"})
    assert [record.getMessage() for record in caplog.records] == ["other"]
    assert loop.get_exception_handler() is None


@pytest.mark.parametrize(("limit", "warns"), [(None, False), (1064, False), (1063, True)])
def test_a_limit_below_the_clients(
    caplog: pytest.LogCaptureFixture, limit: int | None, warns: bool
) -> None:
    with caplog.at_level(logging.WARNING):
        check_limit(limit, 1000)
    assert ("1000 clients (maximum_connections) need 1064" in caplog.text) is warns


async def is_served_again(url: str) -> None:
    """By a new connection. The first ones may come before the process has closed the idle ones."""
    for attempt in range(100):
        try:
            async with aiohttp.ClientSession() as session, session.get(url + "/healthz") as answer:
                assert answer.status == 200
                return
        except aiohttp.ClientConnectionError:
            assert attempt < 99


@linux_only
@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--uvloop", "--no-uvloop"])
async def test_the_process_goes_on(flag: str) -> None:
    """A few idle sockets take all descriptors; an established client is served meanwhile."""
    import resource

    arguments = ("demo", "--port", "0", "--hub-port", "0", flag)
    async with command(*arguments, merged=True) as running:
        url = (await running.line(r"console +(\S+)/"))[1]
        host, port = url.removeprefix("http://").split(":")
        async with aiohttp.ClientSession() as session:
            async with session.get(url + "/healthz") as answer:
                assert answer.status == 200
            taken = len(os.listdir(f"/proc/{running.pid}/fd"))
            resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (taken + 5, taken + 5))
            idle = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
            if flag == "--no-uvloop":  # uvloop accepts and closes them without a report
                await running.line("out of file descriptors")
            for _ in range(20):
                async with session.get(url + "/healthz") as answer:
                    assert answer.status == 200
            for _, writer in idle:
                writer.close()
        await is_served_again(url)
        output = await running.stop_and_read()
    assert len(re.findall("out of file descriptors", output)) == (0 if flag == "--uvloop" else 1)
    assert len(output.splitlines()) < 40


@linux_only
@pytest.mark.slow
async def test_the_command_line_raises_the_limit() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowered = min(soft, hard - 1, 256)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowered, hard))
    try:
        async with command("demo", "--port", "0", "--hub-port", "0", merged=True) as running:
            await running.line("^console")
            assert resource.prlimit(running.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
