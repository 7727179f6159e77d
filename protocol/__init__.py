"""SignalR for asyncio: a client (``HubConnection``) and a hub server (``Hub``, ``map_hub``).

The modules of this folder and the packages ``values``, ``json`` and ``messagepack`` are pure: they
convert bytes to messages and back and apply the rules of the protocol, without clock or I/O.
``aio``, ``client`` and ``server`` add asyncio. ``hosting`` decides what an HTTP host answers.
``transports`` adds aiohttp. Each package imports only from packages named before it. A public name
is loaded when it is first used, so that ``import protocol`` loads neither asyncio nor aiohttp.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client.hub_connection import HubConnection as HubConnection
    from .client.keeper import HubConnectionState as HubConnectionState
    from .client.retry import ExponentialBackoff as ExponentialBackoff
    from .client.retry import RetryContext as RetryContext
    from .client.retry import RetryPolicy as RetryPolicy
    from .client.streams import HubStream as HubStream
    from .errors import ArgumentBindingError as ArgumentBindingError
    from .errors import AuthenticationRefreshError as AuthenticationRefreshError
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
    from .errors import StreamOverflowError as StreamOverflowError
    from .errors import TranscodingError as TranscodingError
    from .errors import TransportViolationError as TransportViolationError
    from .framing import Framer as Framer
    from .http_transport_type import HttpTransportType as HttpTransportType
    from .hub_protocol import ArgumentsReader as ArgumentsReader
    from .hub_protocol import HubProtocol as HubProtocol
    from .hub_protocol import SerializedHubMessage as SerializedHubMessage
    from .hub_protocol import TransferFormat as TransferFormat
    from .hub_protocol import ValueReader as ValueReader
    from .json.protocol import JsonHubProtocol as JsonHubProtocol
    from .messagepack.protocol import MessagePackHubProtocol as MessagePackHubProtocol
    from .messages import HubMessage as HubMessage
    from .messages import ReceivedMessage as ReceivedMessage
    from .origins import is_own_origin as is_own_origin
    from .origins import normal_origin as normal_origin
    from .server.authentication import AuthenticationFailure as AuthenticationFailure
    from .server.authentication import Authenticator as Authenticator
    from .server.authentication import Challenge as Challenge
    from .server.authentication import Principal as Principal
    from .server.authorization import AuthorizationContext as AuthorizationContext
    from .server.clients import ClientProxy as ClientProxy
    from .server.clients import GroupManager as GroupManager
    from .server.clients import HubCallerClients as HubCallerClients
    from .server.clients import HubClients as HubClients
    from .server.clients import HubContext as HubContext
    from .server.clients import SingleClientProxy as SingleClientProxy
    from .server.connection_context import HubConnectionContext as HubConnectionContext
    from .server.context import HubCallerContext as HubCallerContext
    from .server.filters import HubFilter as HubFilter
    from .server.filters import HubInvocation as HubInvocation
    from .server.http_request import HttpRequestData as HttpRequestData
    from .server.hub import Hub as Hub
    from .server.hub import hub_method as hub_method
    from .server.lifetime import DefaultHubLifetimeManager as DefaultHubLifetimeManager
    from .server.lifetime import HubLifetimeManager as HubLifetimeManager
    from .server.options import EndpointOptions as EndpointOptions
    from .server.options import HubOptions as HubOptions
    from .server.options import SlowClientPolicy as SlowClientPolicy
    from .server.presence import Presence as Presence
    from .server.refresh_context import (
        AuthenticationRefreshContext as AuthenticationRefreshContext,
    )
    from .transports.client.builder import HubConnectionBuilder as HubConnectionBuilder
    from .transports.server.map_hub import map_hub as map_hub
    from .values.dotnet_types import Char as Char
    from .values.dotnet_types import DateTimeOffset as DateTimeOffset
    from .values.number_types import Byte as Byte
    from .values.number_types import Int16 as Int16
    from .values.number_types import Int32 as Int32
    from .values.number_types import Int64 as Int64
    from .values.number_types import SByte as SByte
    from .values.number_types import Single as Single
    from .values.number_types import UInt16 as UInt16
    from .values.number_types import UInt32 as UInt32
    from .values.number_types import UInt64 as UInt64
    from .values.payload import Payload as Payload

_HOMES = {
    ".client.hub_connection": ("HubConnection",),
    ".client.keeper": ("HubConnectionState",),
    ".client.retry": ("ExponentialBackoff", "RetryContext", "RetryPolicy"),
    ".client.streams": ("HubStream",),
    ".errors": (
        "ArgumentBindingError",
        "AuthenticationRefreshError",
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
        "StreamOverflowError",
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
    ".json.protocol": ("JsonHubProtocol",),
    ".messagepack.protocol": ("MessagePackHubProtocol",),
    ".messages": ("HubMessage", "ReceivedMessage"),
    ".origins": ("is_own_origin", "normal_origin"),
    ".server.authentication": (
        "AuthenticationFailure",
        "Authenticator",
        "Challenge",
        "Principal",
    ),
    ".server.authorization": ("AuthorizationContext",),
    ".server.clients": (
        "ClientProxy",
        "GroupManager",
        "HubCallerClients",
        "HubClients",
        "HubContext",
        "SingleClientProxy",
    ),
    ".server.connection_context": ("HubConnectionContext",),
    ".server.context": ("HubCallerContext",),
    ".server.filters": ("HubFilter", "HubInvocation"),
    ".server.hub": ("Hub", "hub_method"),
    ".server.http_request": ("HttpRequestData",),
    ".server.lifetime": ("DefaultHubLifetimeManager", "HubLifetimeManager"),
    ".server.options": ("EndpointOptions", "HubOptions", "SlowClientPolicy"),
    ".server.presence": ("Presence",),
    ".server.refresh_context": ("AuthenticationRefreshContext",),
    ".transports.client.builder": ("HubConnectionBuilder",),
    ".transports.server.map_hub": ("map_hub",),
    ".values.dotnet_types": ("Char", "DateTimeOffset"),
    ".values.number_types": (
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
    ".values.payload": ("Payload",),
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
