"""Decides which host names requests to a gateway may use, to prevent DNS rebinding (GW-30)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from protocol.relaying import LOOPBACK_HOSTS, normal_hosts

from .authentication_tables import AuthenticationTable
from .schema import Listen


def allowed_hosts(listen: Listen) -> Sequence[str] | None:
    """The host names that requests may use; None for all. Raises ValueError for an invalid name."""
    # A request may use an address as its host name, and `LOOPBACK_HOSTS` has not all loopback
    # addresses.
    own = [host for host in listen.hosts if _is_loopback(host)]
    if not listen.allowed_hosts and len(own) < len(listen.hosts):
        return None
    return normal_hosts([*listen.allowed_hosts, *LOOPBACK_HOSTS, *own])


def are_loopback(listen: Listen) -> bool:
    """Whether the gateway listens on loopback addresses only."""
    return all(_is_loopback(host) for host in listen.hosts)


def is_exposed(listen: Listen, authentication: AuthenticationTable) -> bool:
    """Whether other machines reach the gateway without credentials, although this is not allowed.

    `allow_anonymous` allows it.
    """
    if authentication.allow_anonymous or authentication.has_credentials:
        return False
    return not are_loopback(listen)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
