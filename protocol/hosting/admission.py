"""Finds the connection that a request names, and refuses requests (N, TG-3…TG-7).

This module decides about negotiate, tokens and limits. ``access`` decides about users.
``hub_endpoint`` chooses the action of an admitted request. ``http_connections`` keeps the table of
connections.
"""

import logging
from collections.abc import Callable
from typing import Final, Generic

from .. import negotiate
from ..errors import NegotiationError
from ..http_transport_type import TRANSPORT_NAMES, HttpTransportType
from ..server.http_request import HttpRequestData
from ..server.options import EndpointOptions
from .access import AccessControl, Caller
from .http_answer import HttpAnswer, json_answer, plain_answer
from .http_connections import ConnectionT, HttpConnectionManager

logger = logging.getLogger(__name__)

_BETWEEN_WARNINGS: Final = 60.0  # seconds


class Admission(Generic[ConnectionT]):
    """Admits requests to one path of one hub. ``clock`` returns seconds of a monotonic clock."""

    def __init__(
        self,
        connections: HttpConnectionManager[ConnectionT],
        path: str,
        options: EndpointOptions,
        clock: Callable[[], float],
        access: AccessControl,
    ) -> None:
        self._connections = connections
        self._path = path  # in lower case
        self._options = options
        self._clock = clock
        self._access = access
        self._next_warning_at: dict[str, float] = {}  # by limit

    def negotiate(self, request: HttpRequestData, lifetime: int | None = None) -> HttpAnswer:
        """Offers a new connection, or refuses it (N-1…N-12).

        ``lifetime`` is what the offer announces about the authentication (AR-1).
        """
        if request.method != "POST":
            return plain_answer(405)
        requested = request.query_values("negotiateVersion")
        try:
            version = negotiate.choose_version(requested, self._options.minimum_protocol_version)
        except NegotiationError as error:
            return json_answer(negotiate.write_error(str(error)))
        if self._connections.is_full(self._path, self._options.maximum_connections):
            return self._full("maximum_connections")
        now, options = self._clock(), self._options
        if self._connections.make_room(self._path, options.maximum_negotiated_connections, now):
            self._warn("Negotiated connections are dropped", "maximum_negotiated_connections")
        connection = self._connections.create(
            self._path, version, now, options.disconnect_timeout, remote=request.remote
        )
        # In version 0 the public id is the token (N-12), so other clients could take it over.
        connection.is_stateful = (
            options.allow_stateful_reconnects
            and version > 0
            and negotiate.asks_for_stateful_reconnect(request.query_values("useStatefulReconnect"))
        )
        return json_answer(
            negotiate.write_offer(
                version,
                connection.connection_id,
                connection.token,
                negotiate.available_transports(self._options.transports),
                lifetime,
                use_stateful_reconnect=connection.is_stateful,
            )
        )

    def find(self, request: HttpRequestData, caller: Caller) -> ConnectionT | HttpAnswer:
        """The connection that the request names, or the answer that refuses it (TG-3, TG-4).

        If the connection has another user, the request is refused (A-9).
        """
        found = self.find_of_any_user(request)
        if isinstance(found, HttpAnswer):
            return found
        return self._access.refusal(found, caller, request) or found

    def find_of_any_user(self, request: HttpRequestData) -> ConnectionT | HttpAnswer:
        """Like ``find``, but does not look at the user of the connection."""
        ids = request.query_values("id")
        if not any(ids):
            return plain_answer(400, "Connection ID required")
        found = self._connections.find(ids[0], self._clock()) if len(ids) == 1 else None
        return found or plain_answer(404, "No Connection with that ID")

    def find_or_create(self, request: HttpRequestData, caller: Caller) -> ConnectionT | HttpAnswer:
        """Like ``find``, but creates a connection for a request that names none (TG-3)."""
        if any(request.query_values("id")):
            return self.find(request, caller)
        return self._connections.create_unnegotiated(self._path, self._clock())

    def activate(
        self, connection: ConnectionT, transport: HttpTransportType, caller: Caller
    ) -> HttpAnswer | None:
        """Activates the connection for the transport that a request of ``caller`` opens (TG-7).

        If the request is refused, returns the answer and changes nothing (TG-5).
        """
        if refusal := self._refusal(connection, transport):
            return refusal
        if not self._connections.activate(
            connection, transport, self._path, self._options.maximum_connections
        ):
            return self._full("maximum_connections")
        if not self._options.allow_stateful_reconnects:  # negotiated on a path that allows it
            connection.is_stateful = False
        connection.set_user(caller.user, caller.user_id, self._path)
        return None

    def _refusal(self, connection: ConnectionT, transport: HttpTransportType) -> HttpAnswer | None:
        if transport not in self._options.transports:
            name = TRANSPORT_NAMES[transport]
            return plain_answer(404, f"{name} transport not supported by this end point type")
        if not connection.is_active:
            return None
        if connection.transport_type is not transport:
            return plain_answer(400, "Cannot change transports mid-connection")
        return plain_answer(409)

    def _full(self, limit: str) -> HttpAnswer:
        """The answer that refuses a request because the limit named ``limit`` is reached."""
        self._warn("Connections are refused with 503", limit)
        return plain_answer(503)

    def _warn(self, what: str, limit: str) -> None:
        """Logs each warning once a minute at most, because any client can cause it."""
        now = self._clock()
        if now >= self._next_warning_at.get(limit, now):
            self._next_warning_at[limit] = now + _BETWEEN_WARNINGS
            logger.warning("%s: %s is reached.", what, limit)
