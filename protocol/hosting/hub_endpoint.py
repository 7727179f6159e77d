"""Chooses what a request does to its connection (sections N and TG).

There is one endpoint per path of a hub. Method, headers and query of a request decide the action.
The endpoint answers requests that need no transport. The host opens transports, reads bodies and
writes answers. ``access`` decides which users may use the path, and ``admission`` which requests
may use a connection.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, Generic

from ..hosts import HostPolicy
from ..http_transport_type import HttpTransportType
from ..server.authentication import Principal, authenticator_of, default_user_id
from ..server.authorization import Authorize
from ..server.http_request import HttpRequestData
from ..server.options import EndpointOptions
from .access import AccessControl, Caller
from .admission import Admission
from .cors import CorsPolicy
from .http_answer import POLL_HEADERS, HttpAnswer, plain_answer
from .http_connections import ConnectionT, HttpConnection, HttpConnectionManager
from .refresh import RefreshRequests

_WEB_SOCKETS: Final = HttpTransportType.WEB_SOCKETS
_SERVER_SENT_EVENTS: Final = HttpTransportType.SERVER_SENT_EVENTS
_LONG_POLLING: Final = HttpTransportType.LONG_POLLING


class Action(Enum):
    """What the host has to do for an admitted request."""

    OPEN_WEB_SOCKET = auto()
    RESUME_WEB_SOCKET = auto()
    """Continue the connection on the new WebSocket (SR-12)."""

    OPEN_EVENT_STREAM = auto()
    START_LONG_POLLING = auto()
    """Open the transport, and answer this first poll with ``POLL_STARTED``."""

    POLL = auto()
    RECEIVE = auto()
    """Take hub bytes from the body."""

    TERMINATE = auto()
    """End long polling, and answer with ``TERMINATED``."""


@dataclass(frozen=True, slots=True)
class Admitted(Generic[ConnectionT]):
    """An admitted request. ``user`` is the user of the request, or None for an anonymous user.

    ``user_id`` is the id of the user.
    """

    action: Action
    connection: ConnectionT
    user: Principal | None
    user_id: str | None = None


class HubEndpoint(Generic[ConnectionT]):
    """One path of one hub.

    A host calls it for every request, and adds the headers of ``cors`` to every answer, the host's
    own answers included.
    """

    def __init__(
        self,
        connections: HttpConnectionManager[ConnectionT],
        path: str,
        options: EndpointOptions,
        clock: Callable[[], float],
        *,
        wall_clock: Callable[[], float],
        requirements: Iterable[Authorize] = (),
        user_id: Callable[[Principal], str | None] = default_user_id,
    ) -> None:
        """``path`` is in lower case. ``clock`` returns seconds of a monotonic clock, and
        ``wall_clock`` seconds since the epoch.

        ``requirements`` are the requirements of the hub class. They apply in addition to
        ``EndpointOptions.authorize``. ``user_id`` returns the id of a user. The host starts and
        closes ``authenticator``.
        """
        self.authenticator = (
            None if options.authenticate is None else authenticator_of(options.authenticate)
        )
        self._path = path
        self._access = AccessControl(
            path, clock, self.authenticator, [options.authorize, *requirements], user_id
        )
        self._admission = Admission(connections, path, options, clock, self._access)
        self._refresh = RefreshRequests(
            connections,
            path,
            self._access,
            clock,
            wall_clock,
            is_enabled=options.enable_authentication_refresh,
        )
        self.cors = CorsPolicy(options.allowed_origins)
        self._hosts = HostPolicy(options.allowed_hosts)

    async def negotiate(self, request: HttpRequestData) -> HttpAnswer:
        """The answer to a request of ``{path}/negotiate``, of any method (N-1…N-12)."""
        if answer := self._early_answer(request):
            return answer
        caller = await self._access.admit(request)
        if isinstance(caller, HttpAnswer):
            return caller
        return self._admission.negotiate(request, self._refresh.lifetime(caller.user))

    async def refresh(self, request: HttpRequestData) -> HttpAnswer:
        """The answer to a request of ``{path}/refresh``, of any method (AR-1…AR-6)."""
        return self._early_answer(request) or await self._refresh.answer(request)

    async def dispatch(
        self, request: HttpRequestData, accept: Iterable[str], *, is_upgrade: bool
    ) -> Admitted[ConnectionT] | HttpAnswer:
        """The action for a request of ``{path}`` itself, or the answer to it (TG-1…TG-7).

        ``accept`` contains the values of all Accept headers of the request. ``is_upgrade`` is True
        for a complete WebSocket upgrade.

        If the action opens a transport, the connection is active when this method returns. The host
        must then open the transport before its next ``await``, and must remove the connection from
        the table when the connection has ended.
        """
        if answer := self._early_answer(request):
            return answer
        caller = await self._access.admit(request)  # before every other check
        if isinstance(caller, HttpAnswer):
            return caller
        match request.method:
            case "GET":
                return await self._get(
                    request, caller, requested_transport(accept, is_upgrade=is_upgrade)
                )
            case "POST":
                return self._post(request, caller)
            case "DELETE":
                return self._delete(request, caller)
            case _:
                return plain_answer(405)

    def _early_answer(self, request: HttpRequestData) -> HttpAnswer | None:
        """The answer to a request that names another host, or to a preflight. None otherwise."""
        if not self._hosts.allows(request.headers):
            return plain_answer(400, "Bad Request - Invalid Hostname")
        return self.cors.preflight(request.method, request.headers)

    async def _get(
        self, request: HttpRequestData, caller: Caller, transport: HttpTransportType
    ) -> Admitted[ConnectionT] | HttpAnswer:
        if transport is _WEB_SOCKETS:
            return await self._open_web_socket(request, caller)
        if transport is _SERVER_SENT_EVENTS:
            return self._open_event_stream(request, caller)
        decision = await self._poll(request, caller)
        return (
            replace(decision, headers={**decision.headers, **POLL_HEADERS})
            if isinstance(decision, HttpAnswer)
            else decision
        )

    async def _open_web_socket(
        self, request: HttpRequestData, caller: Caller
    ) -> Admitted[ConnectionT] | HttpAnswer:
        if not self.cors.admits_web_socket(request.headers):
            return plain_answer(403)
        found = self._admission.find_or_create(request, caller)
        if isinstance(found, HttpAnswer):
            return replace(found, content_type=None)  # TG-4: unlike the answers to other requests
        if found.can_resume:
            if refusal := await self._refresh.renew(found, caller.user, request):
                return refusal
            if found.can_resume:  # it may have ended in the meantime
                return Admitted(Action.RESUME_WEB_SOCKET, found, caller.user, caller.user_id)
        return self._open(Action.OPEN_WEB_SOCKET, found, _WEB_SOCKETS, caller)

    def _open_event_stream(
        self, request: HttpRequestData, caller: Caller
    ) -> Admitted[ConnectionT] | HttpAnswer:
        found = self._admission.find(request, caller)
        if isinstance(found, HttpAnswer):
            return found
        return self._open(Action.OPEN_EVENT_STREAM, found, _SERVER_SENT_EVENTS, caller)

    async def _poll(
        self, request: HttpRequestData, caller: Caller
    ) -> Admitted[ConnectionT] | HttpAnswer:
        found = self._admission.find_of_any_user(request)
        if isinstance(found, HttpAnswer):
            return found
        if not self._refresh.decides_about(found, caller.user) and (
            refusal := self._access.refusal(found, caller, request)
        ):
            return refusal
        if not _is_polled(found):
            return self._open(Action.START_LONG_POLLING, found, _LONG_POLLING, caller)
        if refusal := await self._refresh.renew(found, caller.user, request):
            return refusal
        if found.is_disposed:
            return plain_answer(404)
        return Admitted(Action.POLL, found, caller.user, caller.user_id)

    def _open(
        self,
        action: Action,
        connection: ConnectionT,
        transport: HttpTransportType,
        caller: Caller,
    ) -> Admitted[ConnectionT] | HttpAnswer:
        refusal = self._admission.activate(connection, transport, caller)
        return refusal or Admitted(action, connection, caller.user, caller.user_id)

    def _post(self, request: HttpRequestData, caller: Caller) -> Admitted[ConnectionT] | HttpAnswer:
        """Hub bytes of a client of long polling or Server-Sent Events (TG-6)."""
        found = self._admission.find(request, caller)
        if isinstance(found, HttpAnswer):
            return found
        if found.transport_type is _WEB_SOCKETS:
            return plain_answer(405, "POST requests are not allowed for WebSocket connections.")
        if found.is_disposed:
            return plain_answer(404)
        # From now on the connection belongs to the sender: no other user can open its transport.
        found.set_user(caller.user, caller.user_id, self._path)
        return Admitted(Action.RECEIVE, found, caller.user, caller.user_id)

    def _delete(
        self, request: HttpRequestData, caller: Caller
    ) -> Admitted[ConnectionT] | HttpAnswer:
        """The end of long polling (TL-9)."""
        found = self._admission.find(request, caller)
        if isinstance(found, HttpAnswer):
            return found
        if not _is_polled(found):
            return plain_answer(400, "Cannot terminate this connection using the DELETE endpoint.")
        found.is_disposed = True
        return Admitted(Action.TERMINATE, found, caller.user, caller.user_id)


def _is_polled(connection: HttpConnection) -> bool:
    return connection.transport_type is _LONG_POLLING


def requested_transport(accept: Iterable[str], *, is_upgrade: bool) -> HttpTransportType:
    """The transport that a GET asks for (TG-2).

    Accept decides first, then the upgrade. Any other GET is a poll.
    """
    media_types = ",".join(accept).lower().split(",")
    if any(each.strip() == "text/event-stream" for each in media_types):
        return _SERVER_SENT_EVENTS
    return _WEB_SOCKETS if is_upgrade else _LONG_POLLING
