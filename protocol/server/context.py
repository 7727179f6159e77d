"""The connection, the user and the HTTP request, as hub methods see them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..hub_protocol import HubProtocol
from ..query_string import query_values


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user. ``clients.user`` matches ``user_id`` exactly, with its case."""  # G-4

    user_id: str | None = None
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class HttpRequestData:
    """The HTTP request that opened the transport.

    ``headers`` ignores the case of its keys; the values of a repeated header are joined by commas.
    ``query_string`` is the query as it was sent: percent-encoded and without the question mark. It
    may contain tokens: do not log it. ``remote`` is the address of the client, if known.
    """  # TG-11, TG-12, TG-13

    method: str
    path: str
    query_string: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    remote: str | None

    def query(self, name: str) -> str | None:
        """Returns the first value of a query key, decoded, or None. Keys ignore case.

        Escapes that are not UTF-8 stay as they were sent.
        """  # LA-3
        return next(iter(self.query_values(name)), None)

    def query_values(self, name: str) -> list[str]:
        """Returns all values of a query key, decoded, in order. Keys ignore case."""
        return query_values(self.query_string, name)


class HubCallerContext(ABC):
    """The connection that calls a hub method.

    ``user`` is None if the user is not authenticated. ``user_identifier`` is the user's id.
    ``items`` is a dict in which the application stores values for this connection.
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
        """Set when the connection has ended. A long-running method should check it."""
        return asyncio.Event()  # made on first use, because an Event takes 900 bytes

    @property
    @abstractmethod
    def hub_protocol(self) -> HubProtocol:
        """The hub protocol that the client has chosen in the handshake."""

    @abstractmethod
    def abort(self) -> None:
        """Ends the connection. Only a Close message is sent after this call."""  # S-26
