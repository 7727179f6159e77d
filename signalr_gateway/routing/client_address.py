"""Finds the address of a client behind trusted proxies (GW-53).

A proxy appends the address of its own client to `X-Forwarded-For` or `Forwarded`. A client can
write these headers as well, so only addresses that a trusted proxy has appended count.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from protocol.relaying import address_owner

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PAIR = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(\"[^\"\\]*\"|[^\s\"\\]*)")


UNIX = "unix"
"""The name of the other end of a Unix socket, which has no address."""


def parse_networks(texts: Iterable[str]) -> tuple[_Network, ...]:
    """The networks or addresses with these texts, without `UNIX`.

    Raises ValueError for any other text.
    """
    try:
        return tuple(ipaddress.ip_network(text) for text in texts if text != UNIX)
    except (TypeError, ValueError) as exc:
        raise ValueError("must be addresses or networks, such as 10.0.0.0/8, or 'unix'") from exc


class ClientAddresses:
    """Decides which client has sent a request. `trusted` are the networks of the proxies."""

    def __init__(self, trusted: Collection[str] = ()) -> None:
        self._trusted = parse_networks(trusted)
        self._trusts_unix = UNIX in trusted

    def find(self, remote: str | None, headers: Mapping[str, str]) -> str:
        """The address that limits count: the prefix of an IPv6 address, else the whole address.

        `remote` is the other end of the connection. If it is a trusted proxy, the last address in
        a header that is not a trusted proxy counts. A proxy may write one of the two headers and
        pass the other one on as its client has written it. So if both headers are there and
        contain different addresses, `remote` counts.
        """
        if not self._is_trusted(remote):
            return address_owner(remote)
        found = {address_owner(self._client(remote, listed)) for listed in _forwarded(headers)}
        return found.pop() if len(found) == 1 else address_owner(remote)

    def _client(self, remote: str | None, listed: Sequence[str]) -> str | None:
        """The client by the addresses in one header."""
        client = remote
        for each in reversed(listed):
            if _parsed(each) is None:
                break  # not an address: what stands before it cannot be trusted
            client = each
            if not self._is_trusted(each):
                break
        return client

    def _is_trusted(self, text: str | None) -> bool:
        if not text:  # the other end of a Unix socket
            return self._trusts_unix
        if not self._trusted:
            return False
        address = _parsed(text)
        return address is not None and any(address in network for network in self._trusted)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _forwarded(headers: Mapping[str, str]) -> Iterator[list[str]]:
    """The addresses in each of the headers that are there, without ports."""
    if "X-Forwarded-For" in headers:
        addresses = headers["X-Forwarded-For"].split(",")
        yield [_without_port(each.strip()) for each in addresses]
    if "Forwarded" in headers:
        elements = headers["Forwarded"].split(",")
        yield [_without_port(_node(each)) for each in elements if each.strip()]


def _node(element: str) -> str:
    """The parameter `for` of an element of `Forwarded`; empty if the element is not valid.

    A client can write quotes, commas and semicolons, in its own elements and in its host name,
    which proxies add to theirs. Therefore quotes do not protect separators here: an element that
    has them in quotes is not valid.
    """
    nodes = []
    for part in element.split(";"):
        pair = _PAIR.fullmatch(part.strip())
        if pair is None:
            return ""
        if pair[1].lower() == "for":
            nodes.append(pair[2].strip('"'))
    return nodes[0] if len(nodes) == 1 else ""


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
