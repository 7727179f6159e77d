"""Compares configured URLs with the addresses on which the gateway listens.

Host names other than ``localhost`` are not resolved, so they are never compared with an address.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from ..orchestration.checks import OrchestrationError
from ..orchestration.orchestrator import Orchestrator
from .local_sockets import UNIX

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_LOCALHOST = "localhost"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def gateway_hub_mismatch(orchestrator: Orchestrator, base_urls: Sequence[str]) -> str | None:
    """The reason why clients that use `gateway_hub_url` do not reach the gateway, or None.

    Returns None if clients may reach the gateway. That is possible for a URL that is only a path,
    and for a host name without a port, because a proxy may serve it. It is also possible if the
    gateway listens on a Unix socket.
    """
    given = urlsplit(orchestrator.gateway_hub_url)
    if not orchestrator.serves_gateway_hub or not given.hostname:
        return None
    if any(url.partition("://")[2].startswith(UNIX) for url in base_urls):
        return None  # a proxy must be in front of a Unix socket
    own = [urlsplit(url) for url in base_urls]
    if _address(_name(given)) is None:
        fits = given.port is None or any(given.port == each.port for each in own)
    else:
        fits = any(given.scheme == each.scheme and _reaches(given, each) for each in own)
    if fits:
        return None
    place = f"{given.scheme}://{given.netloc.rpartition('@')[2]}"
    return (
        f"gateway_hub_url is at {place}, but the gateway listens on {', '.join(base_urls)};"
        f" unless a proxy is between them, clients find the gateway hub at"
        f" {base_urls[0]}{orchestrator.gateway_hub_path}"
    )


def require_other_hubs(
    orchestrator: Orchestrator, hub_urls: Mapping[str, Sequence[str]], base_urls: Sequence[str]
) -> None:
    """Raise `OrchestrationError` if a hub behind the gateway is the gateway's own hub.

    `hub_urls` maps the api of each hub to its URLs.
    """
    if not orchestrator.serves_gateway_hub:
        return
    own_path = orchestrator.gateway_hub_path.lower()
    own = [urlsplit(url) for url in base_urls]
    for api, urls in hub_urls.items():
        for hub in map(urlsplit, urls):
            is_own_path = unquote(hub.path).rstrip("/").lower() == own_path
            if is_own_path and any(_reaches(hub, each) for each in own):
                problem = "is the gateway's own hub; expected the URL of the hub behind the gateway"
                field = "url" if len(urls) == 1 else "urls"
                raise OrchestrationError(problem, hub=api, field=field)


def require_other_gateway(orchestrator: Orchestrator, base_urls: Sequence[str]) -> None:
    """Raise `OrchestrationError` if the events are relayed to this gateway itself (GW-57)."""
    target = urlsplit(orchestrator.gateway_hub_url)
    if orchestrator.relay and any(_reaches(target, urlsplit(each)) for each in base_urls):
        problem = "is at this gateway; expected the URL of another one, because relay is true"
        raise OrchestrationError(problem, field="gateway_hub_url")


def _reaches(url: SplitResult, own: SplitResult) -> bool:
    """Whether a connection to the host and port of `url` reaches the listener at `own`."""
    if not url.hostname or not own.hostname or _port(url) != _port(own):
        return False
    if _name(url) == _name(own):
        return True
    target, listening = _address(_name(url)), _address(_name(own))
    if target is None or listening is None:
        return False
    if target == listening:
        return True
    if target.is_loopback or target.is_unspecified:
        is_localhost = _LOCALHOST in (_name(url), _name(own))
        return listening.is_unspecified or (is_localhost and listening.is_loopback)
    return False


def _name(url: SplitResult) -> str:
    """The host in lower case, without the dot that may end an absolute name.

    Names below ``localhost`` are ``localhost``, too.
    """
    host = (url.hostname or "").removesuffix(".")
    return _LOCALHOST if host.endswith(f".{_LOCALHOST}") else host


def _address(host: str) -> _Address | None:
    """The IP address of a host; None for a name other than ``localhost``.

    Resolvers accept short forms such as ``127.1``, and IPv6 addresses that stand for IPv4 ones.
    """
    host = "127.0.0.1" if host == _LOCALHOST else host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _port(url: SplitResult) -> int | None:
    return _DEFAULT_PORTS.get(url.scheme) if url.port is None else url.port
