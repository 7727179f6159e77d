"""The orchestration as a TOML file: the same hubs and routes as in Python, and no Python (GW-3).

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

Names are those of Python's arguments and fields. The file is read strictly (`config_table`), then
goes through the same checks as an orchestration in Python; how a connection is built from a hub's
table is decided by `config_hub`.
"""

from __future__ import annotations

import codecs
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from protocol import HubOptions, SlowClientPolicy

from .clients.gateway_hub import DEFAULT_MAXIMUM_CONNECTIONS
from .config_hub import HUB_KEYS, hub_arguments
from .config_table import Table
from .http.api import DEFAULT_BODY_TIMEOUT, DEFAULT_MAXIMUM_BODY_SIZE
from .orchestration.checks import OrchestrationError
from .orchestration.orchestrator import HubBuilder, Orchestrator
from .orchestration.route import BroadcastType, HubRouteInfo
from .routing.arguments import DEFAULT_MAXIMUM_DEPTH
from .serving.request_heads import DEFAULT_HEADERS_TIMEOUT
from .serving.tls import CertificatePair

_ROOT_KEYS = (
    "start_gateway_hub",
    "gateway_hub_url",
    "allowed_origins",
    "listen",
    "limits",
    "hubs",
)
_LISTEN_KEYS = ("host", "port", "certificate", "key")
_HUB_OPTIONS = HubOptions()
_SLOW_CLIENT_POLICIES = {each.value: each for each in SlowClientPolicy}
_ROUTE_KEYS = tuple(each.name for each in fields(HubRouteInfo))
_BROADCAST_TYPES = {each.value.lower(): each for each in BroadcastType}


class ConfigError(Exception):
    """The file cannot be used; `str()` is one line: the file, the place in it, what is wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listen:
    """Where the gateway serves: http, or https when there is a pair (GW-5)."""

    host: str = "127.0.0.1"
    port: int = 8080
    pair: CertificatePair | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What bounds requests and clients: `create_app`, its `hub_options`, and `serving`."""

    maximum_body_size: int = DEFAULT_MAXIMUM_BODY_SIZE
    maximum_depth: int = DEFAULT_MAXIMUM_DEPTH
    body_timeout: float = DEFAULT_BODY_TIMEOUT
    headers_timeout: float = DEFAULT_HEADERS_TIMEOUT
    maximum_connections: int = DEFAULT_MAXIMUM_CONNECTIONS
    maximum_outbound_buffer_size: int = _HUB_OPTIONS.maximum_outbound_buffer_size
    slow_client_policy: SlowClientPolicy = _HUB_OPTIONS.slow_client_policy


_LIMITS_KEYS = tuple(each.name for each in fields(Limits))


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayConfig:
    """All that it takes to run a gateway."""

    orchestrator: Orchestrator
    listen: Listen = field(default_factory=Listen)
    limits: Limits = field(default_factory=Limits)


def load_config(path: str | Path) -> GatewayConfig:
    """Read and check the file. Raises `ConfigError`.

    Paths in it begin in its own folder. Secrets that it names, files and environment variables,
    must be there; hubs need not.
    """
    file = Path(path)
    try:
        # Editors on Windows put a byte order mark first.
        document = tomllib.loads(file.read_bytes().removeprefix(codecs.BOM_UTF8).decode())
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: is no TOML: {exc}") from exc
    try:
        return _config(document, file.parent)
    except OrchestrationError as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def _config(document: dict[str, Any], folder: Path) -> GatewayConfig:
    root = Table(document, _ROOT_KEYS, folder)
    orchestrator = Orchestrator()
    orchestrator.start_gateway_hub = root.flag("start_gateway_hub", default=True)
    url = root.text("gateway_hub_url")
    if url is not None:
        orchestrator.gateway_hub_url = url
    orchestrator.allowed_origins = root.texts("allowed_origins") or ()
    listen = _listen(Table(root.table("listen"), _LISTEN_KEYS, folder, prefix="listen."))
    limits = _limits(Table(root.table("limits"), _LIMITS_KEYS, folder, prefix="limits."))
    hubs = root.tables("hubs")
    if not hubs:
        raise root.error("hubs", "there is none; a hub is a table such as [hubs.chatservice]")
    for api, values in hubs.items():
        _add_hub(orchestrator, api, Table(values, HUB_KEYS, folder, hub=api), folder)
    return GatewayConfig(orchestrator=orchestrator, listen=listen, limits=limits)


def _listen(table: Table) -> Listen:
    host = table.text("host")
    port = table.whole_number("port", lowest=0, highest=65535)
    certificate, key = table.path("certificate"), table.path("key")
    if certificate is not None and key is None:
        raise table.error("key", "needed beside the certificate")
    if key is not None and certificate is None:
        raise table.error("certificate", "needed beside the key")
    return Listen(
        host=Listen().host if host is None else host,
        port=Listen().port if port is None else port,
        pair=CertificatePair(certificate, key) if certificate and key else None,
    )


def _limits(table: Table) -> Limits:
    return Limits(
        maximum_body_size=table.whole_number("maximum_body_size") or DEFAULT_MAXIMUM_BODY_SIZE,
        maximum_depth=table.whole_number("maximum_depth") or DEFAULT_MAXIMUM_DEPTH,
        body_timeout=table.seconds("body_timeout") or DEFAULT_BODY_TIMEOUT,
        headers_timeout=table.seconds("headers_timeout") or DEFAULT_HEADERS_TIMEOUT,
        maximum_connections=table.whole_number("maximum_connections")
        or DEFAULT_MAXIMUM_CONNECTIONS,
        maximum_outbound_buffer_size=table.whole_number("maximum_outbound_buffer_size")
        or _HUB_OPTIONS.maximum_outbound_buffer_size,
        slow_client_policy=table.choice("slow_client_policy", _SLOW_CLIENT_POLICIES, "close"),
    )


def _add_hub(orchestrator: Orchestrator, api: str, table: Table, folder: Path) -> None:
    builder = orchestrator.add_hub(api, **hub_arguments(table))
    for key, values in table.tables("routes").items():
        _add_route(builder, key, Table(values, _ROUTE_KEYS, folder, hub=api, route=key))


def _add_route(builder: HubBuilder, key: str, table: Table) -> None:
    info = HubRouteInfo(
        invoke_method=table.text("invoke_method"),
        receive_method=table.text("receive_method"),
        receive_parameter_types=table.texts("receive_parameter_types"),
        broadcast_type=table.choice("broadcast_type", _BROADCAST_TYPES, "all"),
        receive_group=table.text("receive_group"),
        spread=table.flag("spread", default=False),
        invoke_timeout=table.seconds("invoke_timeout"),
        maximum_body_size=table.whole_number("maximum_body_size"),
        summary=table.text("summary"),
        examples=cast("Any", table.raw("examples")),  # add_route checks it
    )
    builder.add_route(key, info)
