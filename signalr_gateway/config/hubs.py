"""Checks the table of a hub in a file, builds the hub's connection and reads its receive key."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from protocol import HubConnection, HubConnectionBuilder

from ..orchestration.hub_options import DownstreamHubOptions
from ..orchestration.option_types import no_limit
from .gateway_hub import HUB_PROTOCOLS, check_transports, transport_types
from .hub_tls import hub_tls
from .reading import Place
from .schema import HubTable
from .stored_secrets import secret

_DIRECT_OPTIONS = (
    "server_timeout",
    "keep_alive_interval",
    "handshake_timeout",
    "authentication_refresh",
    "maximum_waiting_events_size",
)
"""Options that have a method ``with_…`` of the same name on `HubConnectionBuilder`."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def hub_arguments(table: HubTable, place: Place) -> dict[str, Any]:
    """The arguments of `add_hub` for the table of a hub, without `api`.

    Raises `OrchestrationError`.
    """
    read_key = secret("receive_key", table.receive_key_file, table.receive_key_env, place)
    if table.receive_key is not None and read_key is not None:
        raise place.at("receive_key").error(
            "is set twice; use one of receive_key, receive_key_file and receive_key_env"
        )
    no_url = table.relayed and table.url is None and not table.urls
    return {
        "build_hub_connection": None if no_url else _connection(table, place).build,
        "receive_key": table.receive_key if read_key is None else read_key(),
        **{name: no_limit(getattr(table, name)) for name in DownstreamHubOptions.__struct_fields__},
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Connection:
    table: HubTable
    access_token: Callable[[], str] | None
    trust: ssl.SSLContext | bool

    def build(self, builder: HubConnectionBuilder) -> HubConnection:
        table = self.table
        first, *others = table.urls or [table.url or ""]
        more = {} if table.close_timeout is None else {"close_timeout": table.close_timeout}
        builder.with_hub_protocol(HUB_PROTOCOLS[table.protocol]).with_url(
            first,
            transports=transport_types(table.transports),
            headers=table.headers,
            cookies=table.cookies,
            access_token_factory=self.access_token,
            skip_negotiation=table.skip_negotiation,
            ssl=self.trust,
            alternatives=others,
            **more,
        )
        builder.with_maximum_item_wait(table.maximum_item_wait)
        if table.reconnect_delays:
            builder.with_automatic_reconnect(table.reconnect_delays)
        if table.stateful_reconnect:
            builder.with_stateful_reconnect()
        if table.maximum_receive_message_size is not None:
            builder.with_maximum_receive_message_size(no_limit(table.maximum_receive_message_size))
        for name in _DIRECT_OPTIONS:
            value = getattr(table, name)
            if value is not None:
                getattr(builder, f"with_{name}")(value)
        return builder.build()


def _connection(table: HubTable, place: Place) -> _Connection:
    _check_urls(table, place)
    access_token = secret("access_token", table.access_token_file, table.access_token_env, place)
    check_transports(table.transports, [table.protocol], place.at("transports"))
    for name, value in table.headers.items():
        _check_header(name, value, place.at("headers"))
    if table.skip_negotiation and table.transports != ["WebSockets"]:
        raise place.at("skip_negotiation").error('needs transports = ["WebSockets"]')
    if table.stateful_reconnect and table.skip_negotiation:  # negotiate asks for it (SR-20)
        raise place.at("stateful_reconnect").error("cannot be combined with skip_negotiation")
    if table.stateful_reconnect and "WebSockets" not in table.transports:
        raise place.at("stateful_reconnect").error('needs "WebSockets" in transports')
    for name, value in table.cookies.items():
        try:
            HubConnectionBuilder().with_url("http://h", cookies={name: value})
        except ValueError as exc:  # its text quotes the name only
            raise place.at("cookies").error("contains a cookie that no header can carry") from exc
    return _Connection(table=table, access_token=access_token, trust=hub_tls(table, place))


def _check_urls(table: HubTable, place: Place) -> None:
    if table.urls and table.url is not None:
        raise place.at("urls").error("cannot be combined with url")
    if not table.urls and table.url is None:
        raise place.at("url").error("missing; expected the hub's URL, http or https")
    has_token = table.access_token_file is not None or table.access_token_env is not None
    if table.is_per_user and has_token:
        raise place.at("connection").error("per_user cannot be combined with an access token")
    if table.is_per_user and any(name.lower() == "authorization" for name in table.headers):
        raise place.at("connection").error("per_user cannot be combined with an Authorization")
    place = place.at("urls" if table.urls else "url")
    for url in table.urls or [table.url or ""]:
        _check_url(url, place)
        if (has_token or table.is_per_user) and urlsplit(url).username is not None:
            problem = "contains credentials, which cannot be combined with an access token"
            raise place.error(problem)


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
