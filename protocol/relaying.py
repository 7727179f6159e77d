"""Names for programs that forward values undecoded: scanning, transcoding, origins, hosts.

A gateway or a proxy needs these in addition to ``Payload``. Names from pure modules are imported
here. Names from the packages that use asyncio or aiohttp, and those of ``hosting``, are loaded when
they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .errors import DECODING_FAILURES as DECODING_FAILURES
from .http_transport_type import TRANSFER_FORMATS as TRANSFER_FORMATS
from .http_transport_type import TRANSPORT_NAMES as TRANSPORT_NAMES
from .json.scanner import is_deeper as is_json_deeper
from .json.scanner import split_array as split_json_array
from .messagepack.scanner import is_deeper as is_messagepack_deeper
from .origins import normal_origins as normal_origins
from .origins import normal_servers as normal_servers
from .values.naming import json_members as json_members
from .values.transcoding import MAXIMUM_JSON_DEPTH as MAXIMUM_JSON_DEPTH
from .values.transcoding import json_to_messagepack as json_to_messagepack
from .values.transcoding import messagepack_to_json as messagepack_to_json

if TYPE_CHECKING:
    from .aio.log_thinning import LogThinning as LogThinning
    from .aio.log_thinning import failure_subject as failure_subject
    from .aio.system_errors import system_reason as system_reason
    from .client.retry import DEFAULT_RETRY_DELAYS as DEFAULT_RETRY_DELAYS
    from .client.retry import retry_policy as retry_policy
    from .hosting.access import AccessControl as AccessControl
    from .hosting.access import Caller as Caller
    from .hosting.access import type_and_place as type_and_place
    from .hosting.client_address import address_owner as address_owner
    from .hosting.cors import CorsPolicy as CorsPolicy
    from .hosts import LOOPBACK_HOSTS as LOOPBACK_HOSTS
    from .hosts import HostPolicy as HostPolicy
    from .hosts import normal_hosts as normal_hosts
    from .server.authentication import Authenticate as Authenticate
    from .server.authentication import authenticator_of as authenticator_of
    from .server.authentication import default_user_id as default_user_id
    from .server.authorization import Authorize as Authorize
    from .server.authorization import is_authorized as is_authorized
    from .server.authorization import needs_user as needs_user
    from .server.authorization import require_authorize as require_authorize
    from .server.authorization import require_bool as require_bool
    from .server.waiting_messages import MessageQueue as MessageQueue
    from .server.waiting_messages import QueuePolicy as QueuePolicy
    from .transports.server.aiohttp_conversion import mark_origin as mark_origin
    from .transports.server.aiohttp_conversion import request_data as request_data
    from .transports.server.aiohttp_conversion import response_of as response_of
    from .transports.server.hardening import harden as harden
    from .transports.server.hardening import harden_server as harden_server

_HOMES: Final = {
    "AccessControl": ".hosting.access",
    "Caller": ".hosting.access",
    "Authenticate": ".server.authentication",
    "Authorize": ".server.authorization",
    "CorsPolicy": ".hosting.cors",
    "DEFAULT_RETRY_DELAYS": ".client.retry",
    "LOOPBACK_HOSTS": ".hosts",
    "HostPolicy": ".hosts",
    "MessageQueue": ".server.waiting_messages",
    "QueuePolicy": ".server.waiting_messages",
    "LogThinning": ".aio.log_thinning",
    "address_owner": ".hosting.client_address",
    "authenticator_of": ".server.authentication",
    "default_user_id": ".server.authentication",
    "failure_subject": ".aio.log_thinning",
    "harden": ".transports.server.hardening",
    "harden_server": ".transports.server.hardening",
    "is_authorized": ".server.authorization",
    "mark_origin": ".transports.server.aiohttp_conversion",
    "needs_user": ".server.authorization",
    "normal_hosts": ".hosts",
    "request_data": ".transports.server.aiohttp_conversion",
    "require_authorize": ".server.authorization",
    "require_bool": ".server.authorization",
    "retry_policy": ".client.retry",
    "response_of": ".transports.server.aiohttp_conversion",
    "system_reason": ".aio.system_errors",
    "type_and_place": ".hosting.access",
}

__all__ = [
    "DECODING_FAILURES",
    "DEFAULT_RETRY_DELAYS",
    "LOOPBACK_HOSTS",
    "MAXIMUM_JSON_DEPTH",
    "TRANSFER_FORMATS",
    "TRANSPORT_NAMES",
    "AccessControl",
    "Authenticate",
    "Authorize",
    "Caller",
    "CorsPolicy",
    "HostPolicy",
    "LogThinning",
    "MessageQueue",
    "QueuePolicy",
    "address_owner",
    "authenticator_of",
    "default_user_id",
    "failure_subject",
    "harden",
    "harden_server",
    "is_authorized",
    "is_json_deeper",
    "is_messagepack_deeper",
    "json_members",
    "json_to_messagepack",
    "mark_origin",
    "messagepack_to_json",
    "needs_user",
    "normal_hosts",
    "normal_origins",
    "normal_servers",
    "request_data",
    "require_authorize",
    "require_bool",
    "response_of",
    "retry_policy",
    "split_json_array",
    "system_reason",
    "type_and_place",
]


def __getattr__(name: str) -> Any:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module, __package__), name)
    globals()[name] = value
    return value
