"""Binds the sockets of a listener: several hosts, one port, IPv4 and IPv6.

All sockets have the same port, also if the system chooses the port. The host ``::`` serves IPv4 as
well, unless an IPv4 address is given, too.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_ALL_IPV6 = "::"
_PORT_ERRORS = (errno.EADDRINUSE, errno.EACCES)
"""Errors that another port can avoid."""


class CannotListen(Exception):
    """An address cannot be bound; `str()` is one line with the address and the reason."""


async def bind(hosts: Sequence[str], port: int, port_option: str | None) -> list[socket.socket]:
    """Bind a socket for each address of the hosts. Port 0 binds a free port.

    `port_option` is the name of the option that sets the port, for the error text. Raises
    `CannotListen`; then no socket is left open.
    """
    resolved = {host: await _resolve(host, port, port_option) for host in hosts}
    has_ipv4 = any(family == socket.AF_INET for each in resolved.values() for family, _ in each)
    bound: dict[str, socket.socket] = {}
    try:
        for host, addresses in resolved.items():
            unavailable = None
            for family, ip in addresses:
                if ip in bound:
                    continue
                ipv6_only = ip != _ALL_IPV6 or has_ipv4
                try:
                    with bind_failures_reported(host, port, port_option):
                        bound[ip] = _bind(family, ip, port, ipv6_only=ipv6_only)
                except CannotListen as exc:
                    if not _is_unavailable(exc.__cause__):
                        raise
                    unavailable = exc
                    continue
                port = bound[ip].getsockname()[1]
            # A name such as localhost may have an address of a family that the system lacks.
            if unavailable is not None and not any(ip in bound for _, ip in addresses):
                raise unavailable
    except BaseException:
        for each in bound.values():
            each.close()
        raise
    return list(bound.values())


def _is_unavailable(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL


async def _resolve(
    host: str, port: int, port_option: str | None
) -> list[tuple[socket.AddressFamily, str]]:
    with bind_failures_reported(host, port, port_option):
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _bind(family: socket.AddressFamily, ip: str, port: int, *, ipv6_only: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix" and sys.platform != "cygwin":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(ipv6_only))
        bound.setblocking(False)
        bound.bind((ip, port))
    except BaseException:
        bound.close()
        raise
    return bound


@contextmanager
def bind_failures_reported(host: str, port: int, port_option: str | None) -> Iterator[None]:
    """Raise `CannotListen` in place of the errors that binding an address raises."""
    with listening_failures_reported(host_and_port(host, port), port_option):
        yield


@contextmanager
def listening_failures_reported(place: str, port_option: str | None) -> Iterator[None]:
    """Raise `CannotListen` in place of other errors. `place` is the address, or the path."""
    try:
        yield
    except (OSError, OverflowError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        if isinstance(exc, ValueError):  # raised while the host is encoded for the resolver
            reason = "the host is not a valid name"
        if isinstance(exc, OSError) and exc.errno in _PORT_ERRORS and port_option is not None:
            reason += f" (change the port with {port_option})"
        raise CannotListen(f"cannot listen on {place}: {reason}") from exc


def host_and_port(host: str, port: int) -> str:
    """``host:port`` as in a URL, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
