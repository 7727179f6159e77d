"""``signalr-gateway check``: the routes as a table, the options, and whether hubs can be reached.

`config.sources` loads the orchestration and checks it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from protocol import HubConnection
from protocol.relaying import TRANSPORT_NAMES, QueuePolicy

from ..clients.relay_acceptance import require_acceptance
from ..config.file import GatewayConfig
from ..config.options import Option, as_toml, options_of
from ..config.schema import File
from ..config.sources import load_orchestration
from ..downstream.building import build_connections, build_relay_connection
from ..logs.redaction import describe_error
from ..orchestration.checks import shown
from ..orchestration.orchestrator import DownstreamHub, Orchestrator
from ..orchestration.route import BroadcastType, HubRoute
from ..serving.own_urls import require_other_gateway, require_other_hubs
from ..serving.tls import server_context
from .running import base_urls, pair_of, require_access_rules

CONNECT_TIMEOUT = 10.0
"""Seconds in which each hub must accept a connection, and the other gateway must answer."""

_HEADINGS = ("HUB", "ROUTE", "INVOKES", "RECEIVES", "TYPES", "AUDIENCE", "OPTIONS")
_NOTHING = "-"
_RELAY = "relay"
"""The name of the connection to the gateway that gets the events."""


def routes_table(orchestrator: Orchestrator, connections: Mapping[str, HubConnection]) -> str:
    """The routes of all hubs in aligned columns, and the options of the whole gateway.

    These options are the path of the gateway hub, the allowed origins and the policies. Secrets are
    not shown. `connections` maps the api of each hub to its connection. Some hubs have none.
    """
    hubs = orchestrator.hubs.values()
    rows = [
        _HEADINGS,
        *(row for hub in hubs for row in _rows(hub, connections.get(hub.api))),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    place = "switched off"
    if orchestrator.serves_gateway_hub:
        place = f"at {orchestrator.gateway_hub_path}"
    elif orchestrator.relay:
        place = f"that of {urlsplit(orchestrator.gateway_hub_url).hostname}"
    everywhere = [
        f"{label}: {', '.join(values)}"
        for label, values in (
            ("allowed origins", orchestrator.allowed_origins),
            ("policies of all calls", orchestrator.call_policies),
            ("policies of all events", orchestrator.receive_policies),
        )
        if values
    ]
    return "\n".join([*lines, "", f"{_counts(hubs)}, gateway hub {place}", *everywhere])


def _rows(hub: DownstreamHub, connection: HubConnection | None) -> Iterator[tuple[str, ...]]:
    if not hub.routes:
        yield (_shown(hub.api), *[_NOTHING] * (len(_HEADINGS) - 1))
    for route in hub.routes.values():
        yield (
            _shown(hub.api),
            _shown(route.key),
            _shown(route.invoke_method),
            _shown(route.receive_method),
            _types(route),
            _audience(route),
            _options(hub, route, connection),
        )


def _shown(name: str | None) -> str:
    return _NOTHING if name is None else shown(name)


def _types(route: HubRoute) -> str:
    names = route.receive_parameter_names
    if names is None:
        return _NOTHING if route.receive_method is None else "any"
    return ", ".join(names) or "none"


def _audience(route: HubRoute) -> str:
    if route.receive_method is None:
        return _NOTHING
    match route.broadcast_type:
        case BroadcastType.GROUP:
            return f"group {_shown(route.receive_group)}"
        case other:
            return str(other.value).lower()


def _options(hub: DownstreamHub, route: HubRoute, connection: HubConnection | None) -> str:
    options = [] if connection is None else list(_connection_options(connection))
    if hub.relayed:
        options.append("relayed")
    if hub.is_per_user:
        options.append("per user")
    if hub.receive_key is not None:
        options.append("receive key")
    call = (*hub.call_policies, *route.call_policies)
    if call and route.invoke_method is not None:
        options.append(f"calls need {' and '.join(call)}")
    receive = (*hub.receive_policies, *route.receive_policies)
    if receive and route.receive_method is not None:
        options.append(f"events need {' and '.join(receive)}")
    if route.spread:
        options.append("spread")
    if route.queue_policy is not QueuePolicy.CLOSE:
        options.append(f"queue {route.queue_policy.value}")
    if route.streams:
        options.append("streams")
    if route.invoke_method is not None:
        options.append(f"timeout {route.invoke_timeout:g} s")
    if route.maximum_body_size is not None:
        options.append(f"body {route.maximum_body_size} bytes")
    return ", ".join(options) or _NOTHING


def _connection_options(connection: HubConnection) -> Iterator[str]:
    if connection.hub_protocol.name != "json":
        yield connection.hub_protocol.name
    transports = [name for each, name in TRANSPORT_NAMES.items() if each in connection.transports]
    if len(transports) < len(TRANSPORT_NAMES):
        yield " or ".join(transports)


SHORTEST_KEY = 16
"""Characters of a receive key below which `check` warns."""


def key_warnings(hubs: Iterable[DownstreamHub]) -> Iterator[str]:
    """A line for each hub whose receive key is so short that it may be guessed."""
    for hub in hubs:
        if hub.receive_key is not None and len(hub.receive_key) < SHORTEST_KEY:
            yield (
                f"warning: hub {hub.api!r}: receive_key has {len(hub.receive_key)} characters;"
                f" use at least {SHORTEST_KEY}, chosen at random"
            )


def _counts(hubs: Iterable[DownstreamHub]) -> str:
    routes = [len(hub.routes) for hub in hubs]
    return f"{_count(len(routes), 'hub')}, {_count(sum(routes), 'route')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def changed_options(config: GatewayConfig) -> Iterator[str]:
    """The options in tables, such as `listen`, that are not the defaults, as TOML."""
    for table in options_of(File):
        if table.options:
            yield from _changed(table, getattr(config, table.name), table.name)


def _changed(table: Option, values: Struct, place: str) -> Iterator[str]:
    for option in table.options:
        value, name = getattr(values, option.name), f"{place}.{option.name}"
        if isinstance(value, Struct):
            yield from _changed(option, value, name)
        elif value != option.default and not isinstance(value, dict):
            yield f"{name} = {as_toml(value)}"


async def reach_all(orchestrator: Orchestrator) -> dict[str, str | None]:
    """Connect once to all hubs with a shared connection, and to the gateway that gets the events.

    All connections are made at the same time, and then ended. The other gateway is asked whether it
    takes the events.

    Returns a dict from the name of each to None, or to the reason why it cannot be reached.
    Raises `OrchestrationError` if a connection cannot be built.
    """
    shared = {api: hub for api, hub in orchestrator.hubs.items() if not hub.is_per_user}
    built = build_connections(shared)
    connections = {f"hub {api!r}": connection for api, connection in built.items()}
    if orchestrator.relay:
        connections[_RELAY] = build_relay_connection(orchestrator)

    async def reach(name: str, connection: HubConnection) -> str | None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT), connection:
                if name == _RELAY:
                    await require_acceptance(connection)
                return None
        except TimeoutError:
            return f"no answer within {CONNECT_TIMEOUT:g} seconds"
        except Exception as exc:  # any failure is a result of the check
            return describe_error(exc)

    reasons = await asyncio.gather(*(reach(*each) for each in connections.items()))
    return dict(zip(connections, reasons, strict=True))


async def check(arguments: argparse.Namespace) -> int:
    """Print routes and changed options, connect to the hubs if asked to; return the exit code."""
    config = await load_orchestration(arguments.orchestration)
    require_access_rules(config)
    hubs = config.orchestrator.hubs
    pair = pair_of(config.listen)
    if pair is not None:
        server_context(pair)
    hub_urls: dict[str, tuple[str, ...]] = {}
    # Raises OrchestrationError if a `build_hub_connection` function does not return a connection.
    connections = build_connections(hubs, hub_urls)
    config.orchestrator.check_relay()
    require_other_hubs(config.orchestrator, hub_urls, base_urls(config.listen))
    require_other_gateway(config.orchestrator, base_urls(config.listen))
    print(routes_table(config.orchestrator, connections))
    for line in changed_options(config):
        print(line)
    for line in key_warnings(hubs.values()):
        print(line, file=sys.stderr)
    if not arguments.connect:
        return 0
    failures = await reach_all(config.orchestrator)
    print()
    for name, reason in failures.items():
        print(f"{name}: {'connected' if reason is None else f'cannot connect: {reason}'}")
    for api, hub in hubs.items():
        if hub.is_per_user:
            print(f"hub {api!r}: not connected, because its connections need the tokens of users")
    return 0 if not any(failures.values()) else 1
