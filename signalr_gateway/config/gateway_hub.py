"""Converts values of a file to hub protocols, transports and options of the library.

A field of `GatewayHubTable` sets the field of `HubOptions` or `EndpointOptions` with the same name.
`create_app` sets the fields that are also fields of `Limits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from msgspec import structs

from protocol import (
    EndpointOptions,
    HttpTransportType,
    HubOptions,
    JsonHubProtocol,
    MessagePackHubProtocol,
)
from protocol.relaying import TRANSFER_FORMATS, TRANSPORT_NAMES

from ..orchestration.option_types import no_limit
from .reading import Place
from .schema import GatewayHubTable

HUB_PROTOCOLS = {each.name: each for each in (JsonHubProtocol(), MessagePackHubProtocol())}
_TRANSPORTS = {name: each for each, name in TRANSPORT_NAMES.items()}


def hub_options(table: GatewayHubTable) -> HubOptions:
    """The `HubOptions` of the gateway hub, with the defaults for the fields of `Limits`."""
    return HubOptions(**_values(table, HubOptions))


def endpoint_options(table: GatewayHubTable) -> EndpointOptions:
    """The `EndpointOptions` of the gateway hub, with the defaults for the fields of `Limits`."""
    return EndpointOptions(**_values(table, EndpointOptions))


def transport_types(names: Iterable[str]) -> HttpTransportType:
    """The transports with these names, as one set of flags."""
    transports = HttpTransportType.NONE
    for name in names:
        transports |= _TRANSPORTS[name]
    return transports


def check_transports(names: Sequence[str], protocols: Sequence[str], place: Place) -> None:
    """Raise `OrchestrationError` unless a transport can carry one of the hub protocols."""
    needed = {HUB_PROTOCOLS[protocol].transfer_format for protocol in protocols}
    carrying = [
        TRANSPORT_NAMES[each]
        for each, formats in TRANSFER_FORMATS.items()
        if not needed.isdisjoint(formats)
    ]
    if not set(names).intersection(carrying):
        carried = " or ".join(protocols)
        problem = f"must include one that carries {carried}: {' or '.join(carrying)}"
        raise place.error(problem)


def _values(table: GatewayHubTable, options: type[HubOptions | EndpointOptions]) -> dict[str, Any]:
    given = structs.asdict(table)
    names = [each.name for each in fields(options) if each.name in given]
    return {name: _value(name, given[name]) for name in names}


def _value(name: str, value: Any) -> object:
    match name:
        case "supported_protocols":
            return [HUB_PROTOCOLS[each] for each in dict.fromkeys(value)]
        case "transports":
            return transport_types(value)
        case _:
            return no_limit(value)
