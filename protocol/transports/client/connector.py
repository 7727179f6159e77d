"""Connects a client to a hub: negotiate, redirects, and the order of transports (section N)."""

from typing import Final

import aiohttp

from ... import negotiate
from ...aio.log_thinning import LogThinning
from ...aio.transport import Transport
from ...authentication_refresh import read_lifetime
from ...client.hub_connection import Connected
from ...client.reopening_transport import Reopen
from ...errors import NegotiationError, SignalRError
from ...handshake import STATEFUL_VERSION
from ...http_transport_type import HttpTransportType
from ...hub_protocol import HubProtocol
from .authentication_refresh import AuthenticationRefresh
from .cookies import HubCookieJar
from .http_client import HttpClient, HttpRequestError, read_all
from .long_polling import LongPollingClientTransport
from .negotiate_errors import RequestUrl
from .options import HttpConnectionOptions, is_field_value
from .server_sent_events import ServerSentEventsClientTransport
from .web_socket import WebSocketClientTransport

_MAXIMUM_NEGOTIATE_BODY: Final = 256 * 1024
_MINIMUM_LIMIT: Final = 64 * 1024 * 1024


class HttpConnector:
    """Opens connections to one hub; a ``Connector``.

    Each attempt starts at the URL of the hub, not at the URL of an earlier redirect (N-20). Cookies
    that the server sets are kept between attempts. ``maximum_receive_message_size`` is the limit of
    a hub message in bytes; None means no limit. With ``use_stateful_reconnect`` it asks the server
    for stateful reconnect, if the hub protocol allows it.
    """

    def __init__(
        self,
        options: HttpConnectionOptions,
        hub_protocol: HubProtocol,
        maximum_receive_message_size: int | None,
        *,
        use_stateful_reconnect: bool = False,
    ) -> None:
        self._options = options
        self._is_stateful = use_stateful_reconnect and hub_protocol.version >= STATEFUL_VERSION
        self._transfer_format = hub_protocol.transfer_format
        self._maximum_size = _maximum_size(maximum_receive_message_size)
        self._cookies: aiohttp.CookieJar | None = None
        self._thinning = LogThinning()

    async def __call__(self) -> Connected:
        """Opens a connection. Raises NegotiationError, whose text has no query and no token."""
        if self._cookies is None:
            self._cookies = HubCookieJar(self._options)
        http = HttpClient(self._options, self._cookies, self._thinning)
        try:
            if self._options.skip_negotiation:
                return await self._connect_directly(http)
            return await self._negotiate_and_connect(http)
        except BaseException:
            await http.close()
            raise

    async def _connect_directly(self, http: HttpClient) -> Connected:
        """Opens the WebSocket without negotiate and without a connection id (N-26)."""
        try:
            transport = await self._open_web_socket(http, self._options.url, None)
        except HttpRequestError as error:
            raise RequestUrl(self._options.url, is_configured=True).refused(error) from None
        return Connected(transport, None)

    async def _negotiate_and_connect(self, http: HttpClient) -> Connected:
        """Tries the transports in the order in which the first offer lists them (N-14, N-24)."""
        url, offer = await self._negotiate(http, self._options.url, self._is_stateful)
        is_offer_used = False  # an offer is valid for one transport only
        failures: list[tuple[str, SignalRError]] = []
        status = None
        for listed in (offer.available_transports or ())[: negotiate.MAXIMUM_TRANSPORTS]:
            try:
                transport_type = negotiate.usable_transport(
                    listed, self._options.transports, self._transfer_format
                )
            except NegotiationError as error:
                failures.append((listed.transport, error))
                continue
            try:
                may_resume = self._is_stateful and transport_type is HttpTransportType.WEB_SOCKETS
                if is_offer_used:
                    url, offer = await self._negotiate(http, url, may_resume)  # N-23
                is_offer_used = True
                refresh = AuthenticationRefresh(http, url, offer.token)
                transport = await self._start(http, transport_type, url, offer.token, refresh)
                lifetime = read_lifetime(offer.token_lifetime_seconds)
                reopen = None
                # A grant that the client has not asked for is ignored (SR-1).
                if may_resume and offer.use_stateful_reconnect:
                    reopen = self._reopener(http, url, offer.token, transport)
                return Connected(
                    transport, str(offer.connection_id), refresh, lifetime, reopen=reopen
                )
            except (HttpRequestError, NegotiationError) as error:
                failures.append((listed.transport, error))
                status = error.status or status
        raise negotiate.no_transport(failures, status)

    async def _negotiate(
        self, http: HttpClient, url: str, use_stateful_reconnect: bool
    ) -> tuple[str, negotiate.NegotiateResponse]:
        """Follows redirects. Returns the last URL, and the offer of its server (N-18, N-19)."""
        for _ in range(negotiate.MAXIMUM_REDIRECTS):
            response = await self._post_negotiate(http, url, use_stateful_reconnect)
            if isinstance(response.access_token, str):
                if not is_field_value(response.access_token):
                    raise NegotiationError("The server gave a token with control characters.")
                given_for = response.url if isinstance(response.url, str) else url
                http.tokens.replace(response.access_token, given_for)
            if not isinstance(response.url, str):
                return url, response
            url = response.url
        raise NegotiationError("Negotiate redirection limit exceeded.")

    async def _post_negotiate(
        self, http: HttpClient, url: str, use_stateful_reconnect: bool
    ) -> negotiate.NegotiateResponse:
        is_configured = url == self._options.url
        url = negotiate.negotiate_url(url, use_stateful_reconnect=use_stateful_reconnect)
        request_url = RequestUrl(url, is_configured=is_configured)
        media_type = ""
        try:
            async with await http.request("POST", url, asks_for_token=True) as response:
                media_type = response.content_type
                body = await read_all(response, _MAXIMUM_NEGOTIATE_BODY)
            if body is None:
                raise NegotiationError(negotiate.MALFORMED)
            return negotiate.read_response(body)
        except HttpRequestError as error:
            if error.status is None:
                error = error.prefixed("Negotiate failed: ")
            raise request_url.refused(error) from None
        except NegotiationError as error:
            raise request_url.unreadable(error, media_type) from error.__cause__

    async def _start(
        self,
        http: HttpClient,
        transport_type: HttpTransportType,
        url: str,
        token: str,
        refresh: AuthenticationRefresh,
    ) -> Transport:
        """Opens a transport. Raises HttpRequestError."""
        close_timeout = self._options.close_timeout
        if transport_type is HttpTransportType.WEB_SOCKETS:
            return await self._open_web_socket(http, url, token)
        url = negotiate.connect_url(url, token)
        if transport_type is HttpTransportType.SERVER_SENT_EVENTS:
            return await ServerSentEventsClientTransport.connect(
                http, url, self._maximum_size, close_timeout
            )
        return await LongPollingClientTransport.connect(http, url, close_timeout, refresh)

    def _reopener(self, http: HttpClient, url: str, token: str, transport: Transport) -> Reopen:
        """Returns the function that opens further WebSockets for the same connection (SR-11)."""

        async def reopen() -> Transport:
            nonlocal transport
            assert isinstance(transport, WebSocketClientTransport)
            transport.release()
            transport = await self._open_web_socket(http, url, token)
            return transport

        return reopen

    async def _open_web_socket(self, http: HttpClient, url: str, token: str | None) -> Transport:
        """Opens a WebSocket, with the token of negotiate unless negotiate was skipped."""
        return await WebSocketClientTransport.connect(
            http,
            negotiate.web_socket_url(url, token),
            self._transfer_format,
            self._maximum_size,
            self._options.close_timeout,
        )


def _maximum_size(limit: int | None) -> int | None:
    """The limit of a WebSocket message or an event, each of which may contain many hub messages."""
    return None if limit is None else max(limit, _MINIMUM_LIMIT)
