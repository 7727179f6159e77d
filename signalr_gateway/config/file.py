"""Reads an orchestration from a TOML file (GW-3).

    start_gateway_hub = true
    gateway_hub_url = "https://localhost:44360/GatewayHub"

    [listen]
    port = 8443
    certificate = "certificate.pem"
    key = "key.pem"

    [hubs.chatservice]
    url = "http://localhost:53353/ChatHub"

    [hubs.chatservice.routes.room]
    invoke_method = "SendMessage"
    receive_method = "ReceiveMessage"
    receive_parameter_types = ["string", "string"]

`schema` defines the tables and options of a file, and `reading` refuses everything else. `hubs`
converts the table of a hub to the arguments of `Orchestrator.add_hub`. So the hubs and routes of a
file are checked like those that a Python program adds.
"""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..orchestration.checks import OrchestrationError, shown
from ..orchestration.limits import Limits
from ..orchestration.orchestrator import Orchestrator
from ..routing.client_address import parse_networks
from .authentication import authenticator
from .authentication_tables import AuthenticationTable
from .gateway_hub import check_transports
from .hosts import allowed_hosts
from .hubs import hub_arguments
from .listen_table import Listen
from .reading import Place, read_table
from .relay_connection import relay_connection
from .relay_table import OtherGatewayTable
from .schema import File, GatewayHubTable, SendTable


class ConfigError(Exception):
    """The file cannot be used; `str()` is one line with the path, the wrong option and the reason.

    There is no option in the line if the file cannot be read, or is not TOML.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayConfig:
    """Everything that is needed to run a gateway.

    The fields other than `orchestrator` are tables of `File`, and have the same names there.
    """

    orchestrator: Orchestrator
    listen: Listen = field(default_factory=Listen)
    limits: Limits = field(default_factory=Limits)
    gateway_hub: GatewayHubTable = field(default_factory=GatewayHubTable)
    authentication: AuthenticationTable = field(default_factory=AuthenticationTable)
    send: SendTable = field(default_factory=SendTable)
    other_gateway: OtherGatewayTable = field(default_factory=OtherGatewayTable)


def load_config(path: str | Path) -> GatewayConfig:
    """Read and check the file. Raises `ConfigError`.

    Paths in the TOML file are relative to its folder. The secret files and environment variables
    that the TOML file names must exist. The hubs need not be reachable.
    """
    file = Path(path)
    try:
        # Some editors on Windows write a byte order mark at the beginning.
        document = tomllib.loads(file.read_bytes().removeprefix(codecs.BOM_UTF8).decode())
        return _config(document, Place(file.parent))
    except (OSError, RecursionError, ValueError) as exc:
        raise ConfigError(f"{shown(str(path))}: {_problem(exc)}") from exc


def _problem(error: OSError | RecursionError | ValueError) -> str:
    """The reason why a file cannot be used, for `ConfigError`."""
    match error:
        case OSError():
            return f"cannot be read: {error.strerror}"
        case OrchestrationError():
            return str(error)
        case tomllib.TOMLDecodeError():
            return f"invalid TOML: {error}"
        case UnicodeDecodeError(object=content, start=start):
            line = content.count(b"\n", 0, start) + 1
            return (
                f"invalid TOML: expected UTF-8 text, got other bytes (at line {line});"
                " save it as UTF-8"
            )
        case RecursionError():
            return "invalid TOML: arrays or tables are nested too deeply"
        case _:
            return "invalid TOML: a number has too many digits"


def _config(document: Mapping[str, object], place: Place) -> GatewayConfig:
    file = read_table(File, document, place)
    _check_pair(file.listen, place.at("listen"))
    _check_sockets(file.listen, place.at("listen"))
    _check_hosts(file.listen, place.at("listen").at("allowed_hosts"))
    _check_proxies(file.limits, place.at("limits").at("trusted_proxies"))
    if file.send.enabled and not file.start_gateway_hub:
        raise place.at("send").at("enabled").error("needs the gateway hub: start_gateway_hub")
    if file.send.enabled and file.relay:
        raise (place.at("send").at("enabled").error("needs the gateway hub: relay serves none"))
    if not file.relay and file.other_gateway != OtherGatewayTable():
        raise place.at("other_gateway").error("has no effect without relay = true")
    check_transports(
        file.gateway_hub.transports,
        file.gateway_hub.supported_protocols,
        place.at("gateway_hub").at("transports"),
    )
    if (
        file.gateway_hub.allow_stateful_reconnects
        and "WebSockets" not in file.gateway_hub.transports
    ):
        problem = 'needs "WebSockets" in transports'
        raise place.at("gateway_hub").at("allow_stateful_reconnects").error(problem)
    authenticator(file.authentication, place.at("authentication"))  # checks it
    return GatewayConfig(
        orchestrator=_orchestrator(file, place),
        listen=file.listen,
        limits=file.limits,
        gateway_hub=file.gateway_hub,
        authentication=file.authentication,
        send=file.send,
        other_gateway=file.other_gateway,
    )


def _check_pair(listen: Listen, place: Place) -> None:
    if listen.certificate is not None and listen.key is None:
        raise place.at("key").error("required together with certificate")
    if listen.key is not None and listen.certificate is None:
        raise place.at("certificate").error("required together with key")


def _check_sockets(listen: Listen, place: Place) -> None:
    try:
        listen.check_sockets()
    except ValueError as exc:
        raise place.at("sockets").error(str(exc)) from exc
    try:
        _ = listen.permissions
    except ValueError as exc:
        raise place.at("unix_mode").error(str(exc)) from exc


def _check_hosts(listen: Listen, place: Place) -> None:
    try:
        allowed_hosts(listen)
    except ValueError as exc:
        raise place.error(str(exc)) from exc


def _check_proxies(limits: Limits, place: Place) -> None:
    try:
        parse_networks(limits.trusted_proxies)
    except ValueError as exc:
        raise place.error(str(exc)) from exc


def _orchestrator(file: File, place: Place) -> Orchestrator:
    orchestrator = Orchestrator()
    orchestrator.start_gateway_hub = file.start_gateway_hub
    orchestrator.gateway_hub_url = file.gateway_hub_url
    orchestrator.allowed_origins = file.allowed_origins
    orchestrator.relay = file.relay
    for name, policy in file.policies.items():
        orchestrator.add_policy(name, policy)
    orchestrator.call_policies = file.call_policies
    orchestrator.receive_policies = file.receive_policies
    if not file.hubs:
        problem = "no hub; add a table such as [hubs.chatservice]"
        raise place.at("hubs").error(problem)
    for api, table in file.hubs.items():
        builder = orchestrator.add_hub(api, **hub_arguments(table, place.at("hubs").entry(api)))
        for key, route in table.routes.items():
            builder.add_route(key, route)
    orchestrator.check_relay()
    if file.relay:
        orchestrator.build_relay_connection = relay_connection(
            file.other_gateway, file.gateway_hub_url, place.at("other_gateway")
        )
    return orchestrator
