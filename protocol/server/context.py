"""The connection, the user and the HTTP request, as hub methods see them."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

from ..hub_protocol import HubProtocol
from .authentication import Principal, default_user_id
from .http_request import HttpRequestData


class HubCallerContext(ABC):
    """The connection that calls a hub method.

    ``user`` is None if the user is not authenticated. ``user_identifier`` is the user's id.
    ``items`` is a dict in which the application stores values for this connection.
    """

    def __init__(
        self,
        connection_id: str,
        http_request: HttpRequestData,
        user: Principal | None,
        user_id: Callable[[Principal], str | None] = default_user_id,
    ) -> None:
        self.connection_id = connection_id
        self.http_request = http_request
        self.user = user
        self.user_identifier = user_id(user) if user is not None else None
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
