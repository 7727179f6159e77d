"""A hub of an orchestration file: how its connection is built, with which key it is protected.

Secrets are named, not written: a file or an environment variable holds them. An access token is
read again for every request that needs one, so that it may be renewed while the gateway runs.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

from protocol import (
    HttpTransportType,
    HubConnection,
    HubConnectionBuilder,
    JsonHubProtocol,
    MessagePackHubProtocol,
)
from protocol.http_transport_type import TRANSFER_FORMATS, TRANSPORT_NAMES
from protocol.hub_protocol import HubProtocol

from .config_table import Table, kind
from .orchestration.checks import suggestion
from .orchestration.orchestrator import DEFAULT_INVOKE_TIMEOUT, DEFAULT_MAXIMUM_MESSAGE_SIZE

if TYPE_CHECKING:
    from .orchestration.orchestrator import BuildHubConnection

HUB_KEYS = (
    "url",
    "protocol",
    "transports",
    "headers",
    "access_token_file",
    "access_token_env",
    "verify_tls",
    "ca_file",
    "server_timeout",
    "keep_alive_interval",
    "handshake_timeout",
    "maximum_message_size",
    "invoke_timeout",
    "receive_key",
    "receive_key_file",
    "receive_key_env",
    "routes",
)
UNLIMITED = "unlimited"

_PROTOCOLS = {each.name: each for each in (JsonHubProtocol(), MessagePackHubProtocol())}
_TRANSPORTS = {name.lower(): each for each, name in TRANSPORT_NAMES.items()}

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class HubArguments(TypedDict):
    """Those of `Orchestrator.add_hub`, but for the key."""

    build_hub_connection: BuildHubConnection
    receive_key: str | None
    maximum_message_size: int | None
    invoke_timeout: float


def hub_arguments(table: Table) -> HubArguments:
    """What the table of a hub says. Raises `OrchestrationError`."""
    receive_key = table.text("receive_key")
    secret = _secret(table, "receive_key")
    if receive_key is not None and secret is not None:
        raise table.error("receive_key", "is given twice; name it in one way only")
    return {
        "build_hub_connection": _connection_settings(table).build,
        "receive_key": receive_key if secret is None else secret(),
        "maximum_message_size": _maximum_message_size(table),
        "invoke_timeout": table.seconds("invoke_timeout") or DEFAULT_INVOKE_TIMEOUT,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _ConnectionSettings:
    url: str = field(repr=False)  # may hold credentials, as headers do
    hub_protocol: HubProtocol
    transports: HttpTransportType
    headers: dict[str, str] = field(repr=False)
    access_token: Callable[[], str] | None
    trust: ssl.SSLContext | bool
    server_timeout: float | None
    keep_alive_interval: float | None
    handshake_timeout: float | None

    def build(self, builder: HubConnectionBuilder) -> HubConnection:
        builder.with_hub_protocol(self.hub_protocol).with_url(
            self.url,
            transports=self.transports,
            headers=self.headers,
            access_token_factory=self.access_token,
            ssl=self.trust,
        )
        if self.server_timeout is not None:
            builder.with_server_timeout(self.server_timeout)
        if self.keep_alive_interval is not None:
            builder.with_keep_alive_interval(self.keep_alive_interval)
        if self.handshake_timeout is not None:
            builder.with_handshake_timeout(self.handshake_timeout)
        return builder.build()


def _connection_settings(table: Table) -> _ConnectionSettings:
    url, access_token = _url(table), _secret(table, "access_token")
    if access_token is not None and urlsplit(url).username is not None:
        raise table.error("url", "holds credentials, which cannot go with an access token")
    hub_protocol = table.choice("protocol", _PROTOCOLS, JsonHubProtocol.name)
    return _ConnectionSettings(
        url=url,
        hub_protocol=hub_protocol,
        transports=_transports(table, hub_protocol),
        headers=_headers(table),
        access_token=access_token,
        trust=_trust(table),
        server_timeout=table.seconds("server_timeout"),
        keep_alive_interval=table.seconds("keep_alive_interval"),
        handshake_timeout=table.seconds("handshake_timeout"),
    )


def _url(table: Table) -> str:
    url = table.text("url")
    if url is None:
        raise table.error("url", "missing; it says where the hub is")
    if any(character.isspace() for character in url):
        raise table.error("url", "must not hold blanks")
    try:
        HubConnectionBuilder().with_url(url)
    except ValueError as exc:
        problem = "must be an absolute http or https URL, its port, if any, from 1 to 65535"
        raise table.error("url", problem) from exc
    return url


def _transports(table: Table, hub_protocol: HubProtocol) -> HttpTransportType:
    names = table.texts("transports")
    if names is None:
        return HttpTransportType.ALL
    transports = HttpTransportType.NONE
    for name in names:
        if name.lower() not in _TRANSPORTS:
            problem = f"holds an unknown one; {suggestion(name, tuple(TRANSPORT_NAMES.values()))}"
            raise table.error("transports", problem)
        transports |= _TRANSPORTS[name.lower()]
    carrying = [
        each
        for each, formats in TRANSFER_FORMATS.items()
        if hub_protocol.transfer_format in formats
    ]
    if not any(each in transports for each in carrying):
        known = " or ".join(TRANSPORT_NAMES[each] for each in carrying)
        problem = f"must name one that carries {hub_protocol.name}: {known}"
        raise table.error("transports", problem)
    return transports


def _headers(table: Table) -> dict[str, str]:
    headers: dict[str, Any] = table.table("headers")
    for name, value in headers.items():
        place = f"headers.{name}"
        if not _HEADER_NAME.fullmatch(name):
            raise table.error(place, "is no name of an HTTP header")
        if not isinstance(value, str):
            raise table.error(place, f"must be text, not {kind(value)}")
        if not _HEADER_VALUE.fullmatch(value):
            raise table.error(place, "holds characters that an HTTP header cannot")
    return headers


def _trust(table: Table) -> ssl.SSLContext | bool:
    """What `HubConnectionBuilder.with_url` takes as ``ssl``."""
    ca_file = table.path("ca_file")
    verify = table.flag("verify_tls", default=True)
    if ca_file is None:
        return verify
    if not verify:
        raise table.error("ca_file", "has no meaning when verify_tls is false")
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as exc:
        raise table.error("ca_file", "holds no certificates in PEM form") from exc
    except OSError as exc:
        raise table.error("ca_file", f"cannot be read: {exc.strerror}") from exc


def _maximum_message_size(table: Table) -> int | None:
    value = table.raw("maximum_message_size")
    if value == UNLIMITED:
        return None
    if isinstance(value, str):
        problem = f"must be a whole number or {UNLIMITED!r}, not other text"
        raise table.error("maximum_message_size", problem)
    return table.whole_number("maximum_message_size") or DEFAULT_MAXIMUM_MESSAGE_SIZE


# --- secrets -------------------------------------------------------------------------------


def _secret(table: Table, name: str) -> Callable[[], str] | None:
    """How to read the secret that ``<name>_file`` or ``<name>_env`` names, tried out once."""
    path, variable = table.path(f"{name}_file"), table.text(f"{name}_env")
    if path is not None and variable is not None:
        raise table.error(f"{name}_env", f"has no meaning beside {name}_file")
    if path is not None:
        source: Callable[[], str] = _FileSecret(path)
        place = f"{name}_file"
    elif variable is not None:
        source, place = _EnvironmentSecret(variable), f"{name}_env"
    else:
        return None
    try:
        source()
    except SecretUnavailable as exc:
        raise table.error(place, str(exc)) from exc
    return source


class SecretUnavailable(Exception):
    """A secret is not where it should be; the text names the place."""


@dataclass(frozen=True, slots=True)
class _FileSecret:
    path: Path

    def __call__(self) -> str:
        """The file's text without the blanks and line ends around it."""
        try:
            text = self.path.read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise SecretUnavailable(f"cannot read {str(self.path)!r}: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise SecretUnavailable(f"{str(self.path)!r} is not UTF-8 text") from exc
        return _one_line(text, repr(str(self.path)))


@dataclass(frozen=True, slots=True)
class _EnvironmentSecret:
    variable: str

    def __call__(self) -> str:
        text = os.environ.get(self.variable, "").strip()
        if not text:
            raise SecretUnavailable(f"the environment variable {self.variable!r} is not set")
        return _one_line(text, f"the environment variable {self.variable!r}")


def _one_line(text: str, place: str) -> str:
    if not text or not text.isprintable():
        raise SecretUnavailable(f"{place} does not hold one line of printable text")
    return text
