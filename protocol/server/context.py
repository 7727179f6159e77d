"""Who is connected: what hub methods see of a connection and of the request that opened it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from ..hub_protocol import HubProtocol


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user. ``user_id`` is what ``clients.user`` matches, ordinally."""  # G-4

    user_id: str | None = None
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class HttpRequestData:
    """The HTTP request that opened the transport.

    ``headers`` is case-insensitive. ``query_string`` is the query as it was sent, without the
    question mark and still percent-encoded. It may contain tokens: keep it out of logs.
    """  # TG-11

    method: str
    path: str
    query_string: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    remote: str | None

    def query(self, name: str) -> str | None:
        """Returns the first value of a query key, decoded, or None. Keys ignore case."""  # LA-3
        return next(iter(self.query_values(name)), None)

    def query_values(self, name: str) -> list[str]:
        """Returns all values of a query key, decoded, in order. Keys ignore case."""
        key = name.lower()
        pairs = parse_qsl(self.query_string, keep_blank_values=True)
        return [value for each, value in pairs if each.lower() == key]


class HubCallerContext(ABC):
    """The connection a hub method is called on.

    ``items`` is the application's, for as long as the connection lives.
    """

    def __init__(
        self, connection_id: str, http_request: HttpRequestData, user: Principal | None
    ) -> None:
        self.connection_id = connection_id
        self.http_request = http_request
        self.user = user
        self.user_identifier = user.user_id if user is not None else None
        self.items: dict[Any, Any] = {}

    @cached_property
    def connection_aborted(self) -> asyncio.Event:
        """Is set once the connection has ended; a method that runs for long should watch it."""
        return asyncio.Event()  # 900 bytes, which an idle connection does without

    @property
    @abstractmethod
    def hub_protocol(self) -> HubProtocol:
        """What was agreed in the handshake."""

    @abstractmethod
    def abort(self) -> None:
        """Ends the connection; nothing more is sent but the Close message."""  # S-26
