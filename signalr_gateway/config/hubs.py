"""Checks the table of a hub in a file, builds the hub's connection and reads its receive key."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from protocol import HubConnection, HubConnectionBuilder

from ..orchestration.option_types import no_limit
from .gateway_hub import HUB_PROTOCOLS, check_transports, transport_types
from .reading import Place
from .schema import HubTable
from .stored_secrets import secret

if TYPE_CHECKING:
    from ..orchestration.orchestrator import BuildHubConnection

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class HubArguments(TypedDict):
    """The arguments of `Orchestrator.add_hub` other than `api`."""

    build_hub_connection: BuildHubConnection
    receive_key: str | None
    maximum_message_size: int | None
    invoke_timeout: float
    redirects: Sequence[str]
    maximum_event_size: int | None
    spare_connections: int
    maximum_calls: int | None
    busy_timeout: float
    circuit_timeouts: int | None
    circuit_pause: float


def hub_arguments(table: HubTable, place: Place) -> HubArguments:
    """The arguments of `add_hub` for the table of a hub. Raises `OrchestrationError`."""
    read_key = secret("receive_key", table.receive_key_file, table.receive_key_env, place)
    if table.receive_key is not None and read_key is not None:
        raise place.at("receive_key").error(
            "is set twice; use one of receive_key, receive_key_file and receive_key_env"
        )
    return {
        "build_hub_connection": _connection(table, place).build,
        "receive_key": table.receive_key if read_key is None else read_key(),
        "maximum_message_size": no_limit(table.maximum_message_size),
        "invoke_timeout": table.invoke_timeout,
        "redirects": table.redirects,
        "maximum_event_size": no_limit(table.maximum_event_size),
        "spare_connections": table.spare_connections,
        "maximum_calls": no_limit(table.maximum_calls),
        "busy_timeout": table.busy_timeout,
        "circuit_timeouts": no_limit(table.circuit_timeouts),
        "circuit_pause": table.circuit_pause,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Connection:
    table: HubTable
    access_token: Callable[[], str] | None
    trust: ssl.SSLContext | bool

    def build(self, builder: HubConnectionBuilder) -> HubConnection:
        table = self.table
        builder.with_hub_protocol(HUB_PROTOCOLS[table.protocol]).with_url(
            table.url,
            transports=transport_types(table.transports),
            headers=table.headers,
            access_token_factory=self.access_token,
            ssl=self.trust,
        )
        builder.with_maximum_item_wait(table.maximum_item_wait)
        if table.server_timeout is not None:
            builder.with_server_timeout(table.server_timeout)
        if table.keep_alive_interval is not None:
            builder.with_keep_alive_interval(table.keep_alive_interval)
        if table.handshake_timeout is not None:
            builder.with_handshake_timeout(table.handshake_timeout)
        return builder.build()


def _connection(table: HubTable, place: Place) -> _Connection:
    _check_url(table.url, place.at("url"))
    access_token = secret("access_token", table.access_token_file, table.access_token_env, place)
    if access_token is not None and urlsplit(table.url).username is not None:
        problem = "contains credentials, which cannot be combined with an access token"
        raise place.at("url").error(problem)
    check_transports(table.transports, [table.protocol], place.at("transports"))
    for name, value in table.headers.items():
        _check_header(name, value, place.at("headers"))
    return _Connection(table=table, access_token=access_token, trust=_trust(table, place))


def _check_url(url: str, place: Place) -> None:
    if any(character.isspace() for character in url):
        raise place.error("must not contain spaces")
    try:
        HubConnectionBuilder().with_url(url)
    except ValueError as exc:
        problem = "must be an absolute http or https URL; a port must be from 1 to 65535"
        raise place.error(problem) from exc


def _check_header(name: str, value: str, place: Place) -> None:
    valid = _HEADER_NAME.match(name)
    if valid is None or valid[0] != name:
        # The text after the first invalid character may be a secret: "Authorization: Bearer …".
        start = "" if valid is None else valid[0]
        raise place.at(f"{start}…").error("not a valid name of an HTTP header")
    if not _HEADER_VALUE.fullmatch(value):
        raise place.at(name).error("contains characters that an HTTP header cannot have")


def _trust(table: HubTable, place: Place) -> ssl.SSLContext | bool:
    """The argument ``ssl`` of `HubConnectionBuilder.with_url`."""
    if table.ca_file is None:
        return table.verify_tls
    place = place.at("ca_file")
    if not table.verify_tls:
        raise place.error("has no effect when verify_tls is false")
    try:
        return ssl.create_default_context(cafile=table.ca_file)
    except ssl.SSLError as exc:
        raise place.error("contains no certificate in PEM format") from exc
    except OSError as exc:
        raise place.error(f"cannot be read: {exc.strerror}") from exc
