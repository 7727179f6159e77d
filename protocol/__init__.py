"""SignalR for asyncio: a client (``HubConnection``) and a hub server (``Hub``, ``map_hub``).

Rings, imports only inwards: the modules here are pure (bytes ↔ messages, rules, no clock, no I/O),
``protocol.aio`` adds asyncio, ``protocol.hosting`` decides what an HTTP host answers, and
``protocol.transports`` adds aiohttp. The names below are loaded when first used, so that ``import
protocol`` needs none of the outer rings.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aio.client import HubConnection as HubConnection
    from .aio.clients import ClientProxy as ClientProxy
    from .aio.clients import GroupManager as GroupManager
    from .aio.clients import HubCallerClients as HubCallerClients
    from .aio.clients import HubClients as HubClients
    from .aio.clients import HubContext as HubContext
    from .aio.connection import HubConnectionContext as HubConnectionContext
    from .aio.connection_keeper import HubConnectionState as HubConnectionState
    from .aio.context import HttpRequestData as HttpRequestData
    from .aio.context import HubCallerContext as HubCallerContext
    from .aio.context import Principal as Principal
    from .aio.hub import Hub as Hub
    from .aio.hub import hub_method as hub_method
    from .aio.lifetime import DefaultHubLifetimeManager as DefaultHubLifetimeManager
    from .aio.lifetime import HubLifetimeManager as HubLifetimeManager
    from .aio.options import EndpointOptions as EndpointOptions
    from .aio.options import HubOptions as HubOptions
    from .aio.options import SlowClientPolicy as SlowClientPolicy
    from .aio.retry import RetryContext as RetryContext
    from .aio.retry import RetryPolicy as RetryPolicy
    from .dotnet_types import Char as Char
    from .dotnet_types import DateTimeOffset as DateTimeOffset
    from .errors import ArgumentBindingError as ArgumentBindingError
    from .errors import ConnectionClosed as ConnectionClosed
    from .errors import GroupLimitError as GroupLimitError
    from .errors import HandshakeError as HandshakeError
    from .errors import HubException as HubException
    from .errors import LocalProtocolError as LocalProtocolError
    from .errors import MessageTooLargeError as MessageTooLargeError
    from .errors import NegotiationError as NegotiationError
    from .errors import NotConnectedError as NotConnectedError
    from .errors import ProtocolError as ProtocolError
    from .errors import RemoteProtocolError as RemoteProtocolError
    from .errors import ServerTimeoutError as ServerTimeoutError
    from .errors import SignalRError as SignalRError
    from .errors import TranscodingError as TranscodingError
    from .errors import TransportViolationError as TransportViolationError
    from .framing import Framer as Framer
    from .http_transport_type import HttpTransportType as HttpTransportType
    from .hub_protocol import ArgumentsReader as ArgumentsReader
    from .hub_protocol import HubProtocol as HubProtocol
    from .hub_protocol import SerializedHubMessage as SerializedHubMessage
    from .hub_protocol import TransferFormat as TransferFormat
    from .hub_protocol import ValueReader as ValueReader
    from .json_protocol import JsonHubProtocol as JsonHubProtocol
    from .messagepack_protocol import MessagePackHubProtocol as MessagePackHubProtocol
    from .messages import HubMessage as HubMessage
    from .messages import ReceivedMessage as ReceivedMessage
    from .number_types import Byte as Byte
    from .number_types import Int16 as Int16
    from .number_types import Int32 as Int32
    from .number_types import Int64 as Int64
    from .number_types import SByte as SByte
    from .number_types import Single as Single
    from .number_types import UInt16 as UInt16
    from .number_types import UInt32 as UInt32
    from .number_types import UInt64 as UInt64
    from .origins import is_own_origin as is_own_origin
    from .origins import normal_origin as normal_origin
    from .payload import Payload as Payload
    from .transports.aiohttp_server import map_hub as map_hub
    from .transports.builder import HubConnectionBuilder as HubConnectionBuilder

_HOMES = {
    ".aio.client": ("HubConnection",),
    ".aio.clients": (
        "ClientProxy",
        "GroupManager",
        "HubCallerClients",
        "HubClients",
        "HubContext",
    ),
    ".aio.connection": ("HubConnectionContext",),
    ".aio.connection_keeper": ("HubConnectionState",),
    ".aio.context": ("HttpRequestData", "HubCallerContext", "Principal"),
    ".aio.hub": ("Hub", "hub_method"),
    ".aio.lifetime": ("DefaultHubLifetimeManager", "HubLifetimeManager"),
    ".aio.options": ("EndpointOptions", "HubOptions", "SlowClientPolicy"),
    ".aio.retry": ("RetryContext", "RetryPolicy"),
    ".dotnet_types": ("Char", "DateTimeOffset"),
    ".errors": (
        "ArgumentBindingError",
        "ConnectionClosed",
        "GroupLimitError",
        "HandshakeError",
        "HubException",
        "LocalProtocolError",
        "MessageTooLargeError",
        "NegotiationError",
        "NotConnectedError",
        "ProtocolError",
        "RemoteProtocolError",
        "ServerTimeoutError",
        "SignalRError",
        "TranscodingError",
        "TransportViolationError",
    ),
    ".framing": ("Framer",),
    ".http_transport_type": ("HttpTransportType",),
    ".hub_protocol": (
        "ArgumentsReader",
        "HubProtocol",
        "SerializedHubMessage",
        "TransferFormat",
        "ValueReader",
    ),
    ".json_protocol": ("JsonHubProtocol",),
    ".messagepack_protocol": ("MessagePackHubProtocol",),
    ".messages": ("HubMessage", "ReceivedMessage"),
    ".number_types": (
        "Byte",
        "Int16",
        "Int32",
        "Int64",
        "SByte",
        "Single",
        "UInt16",
        "UInt32",
        "UInt64",
    ),
    ".origins": ("is_own_origin", "normal_origin"),
    ".payload": ("Payload",),
    ".transports.aiohttp_server": ("map_hub",),
    ".transports.builder": ("HubConnectionBuilder",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
