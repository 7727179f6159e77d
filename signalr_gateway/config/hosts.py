"""The host names under which a configured gateway may be reached, against DNS rebinding (GW-30)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from protocol.relaying import LOOPBACK_HOSTS, normal_hosts

from .schema import Listen


def allowed_hosts(listen: Listen) -> Sequence[str] | None:
    """The names that requests may name; None for all. Raises ValueError for a wrong name."""
    # Each address is a name, too: a machine has more loopback addresses than 127.0.0.1.
    own = [host for host in listen.hosts if _is_loopback(host)]
    if not listen.allowed_hosts and len(own) < len(listen.hosts):
        return None
    return normal_hosts([*listen.allowed_hosts, *LOOPBACK_HOSTS, *own])


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
