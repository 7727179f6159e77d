"""Decides which addresses count as one client, for limits that apply to each client."""

import ipaddress
from typing import Final

_IPV6_PREFIX: Final = 64
"""Bits. A client on IPv6 usually owns all addresses with the same prefix."""


def address_owner(remote: str | None) -> str:
    """The prefix of an IPv6 address. Any other address is unchanged; None becomes ""."""
    if remote is None or ":" not in remote:
        return remote or ""
    try:
        address = ipaddress.IPv6Address(remote.partition("%")[0])
    except ValueError:
        return remote
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _IPV6_PREFIX), strict=False))
