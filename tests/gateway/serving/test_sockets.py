"""Which sockets a listener binds, and the error texts when it cannot."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import aiohttp
import pytest

from signalr_gateway import Orchestrator, create_app
from signalr_gateway.serving.listener import serving, taken
from signalr_gateway.serving.sockets import CannotListen, bind


@contextmanager
def closed_at_the_end(sockets: Sequence[socket.socket]) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(each) for each in sockets]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as answer:
        return answer.status


async def test_several_hosts_have_one_port() -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
    async with taken(hosts, 0) as address:
        first, second = address.urls
        assert first.startswith("http://127.0.0.1:")
        assert second == first.replace("127.0.0.1", "127.0.0.2")
        async with address.serving(create_app(Orchestrator())) as url:
            assert url == first
            assert [await status(each) for each in address.urls] == [200, 200]
        for each in address.urls:
            with pytest.raises(aiohttp.ClientConnectorError):
                await status(each)


async def test_both_families() -> None:
    """``::`` serves IPv4 as well, unless an IPv4 address is given."""
    if not has_ipv6():
        with pytest.raises(CannotListen, match=r"^cannot listen on \[::1\]:0: "):
            await bind(["::1"], 0, None)
        return
    async with serving(create_app(Orchestrator()), "::", 0) as url:
        assert url.startswith("http://[::]:")
        port = url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            assert await status(f"http://{host}:{port}") == 200
    with closed_at_the_end(await bind(["::", "0.0.0.0"], 0, None)) as (ipv6, ipv4):
        assert ipv6.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        assert ipv6.getsockname()[1] == ipv4.getsockname()[1]
    with closed_at_the_end(await bind(["::1"], 0, None)) as (ipv6,):
        assert ipv6.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


async def resolved_to(
    monkeypatch: pytest.MonkeyPatch, *addresses: tuple[socket.AddressFamily, str]
) -> None:
    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(family, 1, 6, "", (ip, port)) for family, ip in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def test_a_name_with_an_address_that_this_machine_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As ``localhost`` has where IPv6 is off; 192.0.2.1 is never an address of a machine."""
    absent, present = (socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "127.0.0.1")
    for addresses in ([absent, present], [present, absent]):
        await resolved_to(monkeypatch, *addresses)
        with closed_at_the_end(await bind(["localhost"], 0, None)) as (bound,):
            assert bound.getsockname()[0] == "127.0.0.1"
    await resolved_to(monkeypatch, absent)
    with pytest.raises(CannotListen, match=r"^cannot listen on localhost:0: Cannot assign"):
        await bind(["localhost"], 0, None)


async def test_a_failure_closes_the_sockets_before_it() -> None:
    with closed_at_the_end(await bind(["127.0.0.2"], 0, None)) as (taken_before,):
        taken_before.listen()
        port = taken_before.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"^cannot listen on 127\.0\.0\.2:{port}: "):
            await bind(["127.0.0.1", "127.0.0.2"], port, None)
        with closed_at_the_end(await bind(["127.0.0.1"], port, None)):
            pass


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        (["127.0.0.1", "a..b"], "a..b:80: the host is not a valid name"),
        (["a..b"], "a..b:80: the host is not a valid name"),
        (["é" * 70], f"{'é' * 70}:80: the host is not a valid name"),
    ],
)
async def test_a_host_that_is_no_name(hosts: list[str], text: str) -> None:
    with pytest.raises(CannotListen) as caught:
        await bind(hosts, 80, "--port")
    assert str(caught.value) == f"cannot listen on {text}"


@pytest.mark.parametrize("number", [errno.EADDRINUSE, errno.EACCES])
async def test_an_error_names_the_option_that_avoids_it(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(self: socket.socket, address: object) -> None:
        raise OSError(number, "no such luck")

    monkeypatch.setattr(socket.socket, "bind", fail)
    with pytest.raises(CannotListen) as caught:
        await bind(["127.0.0.1"], 80, "--hub-port")
    assert str(caught.value) == (
        "cannot listen on 127.0.0.1:80: no such luck (change the port with --hub-port)"
    )


async def test_an_address_that_another_socket_has_taken_meanwhile() -> None:
    """Linux lets two sockets bind the same address as long as neither of them listens."""
    async with taken("127.0.0.1", 0, port_option="--port") as address:
        port = int(address.urls[0].rpartition(":")[2])
        with closed_at_the_end(await bind(["127.0.0.1"], port, None)) as (other,):
            other.listen()
            with pytest.raises(CannotListen, match=r"in use \(change the port with --port\)$"):
                async with address.serving(create_app(Orchestrator())):
                    pass
