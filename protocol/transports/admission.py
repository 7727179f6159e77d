"""Which connection a request means, and whether it gets it (N, TG-3…TG-7).

Decides who is let in: negotiate, tokens, users, limits. What happens on a connection that was given
is left to the dispatcher and the transports.
"""

import asyncio
import inspect
import logging
from typing import Final

from aiohttp import web

from .. import negotiate
from ..aio.context import HttpRequestData, Principal
from ..aio.options import EndpointOptions
from ..errors import NegotiationError
from ..http_transport_type import TRANSPORT_NAMES, HttpTransportType
from .http_answers import (
    NO_ID,
    OTHER_TRANSPORT,
    UNKNOWN_ID,
    json_answer,
    plain_answer,
    query_values,
)
from .http_connections import HttpConnection, HttpConnectionManager

logger = logging.getLogger(__name__)

_BETWEEN_WARNINGS: Final = 60.0  # seconds


class Admission:
    """To one path of one hub."""

    def __init__(
        self, connections: HttpConnectionManager, path: str, options: EndpointOptions
    ) -> None:
        self._connections = connections
        self._path = path  # in lower case
        self._options = options
        self._tells_again_at = 0.0  # that connections are refused

    def negotiate(self, request: web.Request) -> web.Response:
        """Hands out a connection, or says why not (N-1…N-12)."""
        if request.method != "POST":
            return plain_answer(405)
        requested = query_values(request, "negotiateversion")
        try:
            version = negotiate.choose_version(requested, self._options.minimum_protocol_version)
        except NegotiationError as error:
            return json_answer(negotiate.write_error(str(error)))
        if self._connections.is_full(self._path, self._options.maximum_connections):
            return self._full("connected")
        connection = self._connections.create(
            self._path,
            version,
            asyncio.get_running_loop().time(),
            self._options.disconnect_timeout,
            self._options.maximum_negotiated_connections,
        )
        if connection is None:
            return self._full("waiting to be picked up")
        return json_answer(
            negotiate.write_offer(
                version,
                connection.connection_id,
                connection.token,
                negotiate.available_transports(self._options.transports),
            )
        )

    def find(self, request: web.Request) -> "HttpConnection | web.Response":
        """The connection a request means, or the refusal where it means none (TG-3, TG-4)."""
        ids = query_values(request, "id")
        if not any(ids):
            return plain_answer(400, NO_ID)
        connection = None
        if len(ids) == 1:
            connection = self._connections.find(ids[0], asyncio.get_running_loop().time())
        return connection or plain_answer(404, UNKNOWN_ID)

    async def admit(
        self, connection: HttpConnection, transport: HttpTransportType, request: HttpRequestData
    ) -> "Principal | web.Response | None":
        """Lets a transport pick up the connection, for life (TG-7); the user, or why not (TG-5)."""
        if refusal := self._refusal(connection, transport):
            return refusal
        user = await self._authenticate(request)
        if refusal := self._refusal(connection, transport):  # another one came meanwhile
            return refusal
        if not self._connections.activate(
            connection, transport, self._path, self._options.maximum_connections
        ):
            return self._full("connected")
        connection.inbound.open(self._options.application_max_buffer_size)
        return user

    def _refusal(
        self, connection: HttpConnection, transport: HttpTransportType
    ) -> web.Response | None:
        if transport not in self._options.transports:
            name = TRANSPORT_NAMES[transport]
            return plain_answer(404, f"{name} transport not supported by this end point type")
        if not connection.is_active:
            return None
        if connection.transport_type is not transport:
            return plain_answer(400, OTHER_TRANSPORT)
        return plain_answer(409)

    def _full(self, how: str) -> web.Response:
        """Strangers can cause it at will, so it is not told each time."""
        now = asyncio.get_running_loop().time()
        if now >= self._tells_again_at:
            self._tells_again_at = now + _BETWEEN_WARNINGS
            logger.warning("Connections are refused: as many as may be are %s.", how)
        return plain_answer(503)

    async def _authenticate(self, http_request: HttpRequestData) -> Principal | None:
        if self._options.authenticate is None:
            return None
        user = self._options.authenticate(http_request)
        return await user if inspect.isawaitable(user) else user
