"""The HTTP of one connection: session, headers, cookies, tokens, and errors without URLs.

Every request of a connection is sent by this module, also the WebSocket upgrade. ``connector`` and
the transports decide what to request, and what a response means.
"""

import asyncio
import io
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.http import HttpProcessingError, StreamWriter
from yarl import URL

from ...aio.log_thinning import LogThinning
from ...aio.system_errors import system_reason
from ...authentication_refresh import CONNECTION_TOKEN_HEADER
from ...errors import SignalRError
from .access_tokens import AccessTokens
from .options import HttpConnectionOptions
from .urls import origin_of, url_as_written, valid_origins

_VERSION: Final = "0.1.0"
USER_AGENT: Final = (  # in the form that the .NET client uses (C-2)
    f"Microsoft SignalR/{_VERSION.rpartition('.')[0]} ({_VERSION}; {platform.system()}; Python; "
    f"{platform.python_implementation()} {platform.python_version()})"
)
# On every request, the WebSocket upgrade included (C-2).
_DEFAULT_HEADERS: Final = {"User-Agent": USER_AGENT, "X-Requested-With": "XMLHttpRequest"}
_CREDENTIALS: Final = ("authorization", "cookie")  # aiohttp removes the same at redirects (N-21)
_TIMEOUT: Final = 120.0  # seconds to wait for the answer to a request, as in the .NET client
_MAXIMUM_HTTP_REDIRECTS: Final = 50  # of one request, as in .NET's HttpClient
_SWITCHING_PROTOCOLS: Final = 101
_INVALID_RESPONSE: Final = "The server returned an invalid or unrecognized response."
_ENDED_PREMATURELY: Final = "The response ended prematurely."


class HttpRequestError(SignalRError):
    """A request failed. ``status`` is the status of the response, None without a valid response."""

    def __init__(
        self,
        message: str,
        status: int | None = None,
        *,
        summary: str | None = None,
        public_summary: str | None = None,
    ) -> None:
        super().__init__(message, summary=summary, public_summary=public_summary)
        self.status = status

    def prefixed(self, prefix: str) -> "HttpRequestError":
        """A copy whose texts begin with ``prefix``."""
        return type(self)(
            f"{prefix}{self}",
            self.status,
            summary=f"{prefix}{self.summary}",
            public_summary=f"{prefix}{self.public_summary}",
        )


class NoHttpResponse(HttpRequestError):
    """The server closed the connection or sent other bytes instead of a response."""


class HttpRequestTimeout(HttpRequestError):
    """There was no response in time."""


class UpgradedConnection:
    """The socket of a client's WebSocket, to which frames are written directly."""

    def __init__(self, connection: aiohttp.connector.Connection) -> None:
        assert connection.protocol is not None, "the connection is closed"
        self._connection = connection
        self.writer: Final = StreamWriter(connection.protocol, asyncio.get_running_loop())

    @property
    def transport(self) -> asyncio.Transport | None:
        """The socket; None when it is lost."""
        return self._connection.transport


class HttpClient:
    """Sends all requests of one connection.

    Later connections use the same ``cookies`` and ``thinning``. ``thinning`` limits how often lines
    are logged.
    """

    def __init__(
        self, options: HttpConnectionOptions, cookies: aiohttp.CookieJar, thinning: LogThinning
    ) -> None:
        self.thinning = thinning
        self._trusted = frozenset(valid_origins(options.url, *(options.redirects or ())))
        self._followed = None if options.redirects is None else self._trusted
        self.tokens = AccessTokens(options.access_token_factory, self._trusted)
        self._url = options.url
        self._ssl = options.ssl
        self._credentials, headers = _split(options.headers)
        self._refreshed_origin: URL | None = None  # of the last request with a connection token
        self._upgraded: UpgradedConnection | None = None
        self._session = aiohttp.ClientSession(
            headers=_with_default_headers(headers),
            # These options keep aiohttp from adding headers and from rewriting URLs of redirects.
            # .NET's client sends no Accept-Encoding and no Content-Type (C-4), and keeps URLs.
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            auto_decompress=False,
            requote_redirect_url=False,
            cookie_jar=cookies,
            timeout=aiohttp.ClientTimeout(total=None),
            middlewares=(self._refuse_other_origins, _refuse_downgrade, self._note_upgrade),
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        accept: str | None = "*/*",
        body: bytes | None = None,
        asks_for_token: bool = False,
        is_endless: bool = False,
        passes_status: int | None = None,
        connection_token: str | None = None,
    ) -> aiohttp.ClientResponse:
        """Sends a request and returns the response when its head has arrived.

        Use the response with ``async with``; ``read`` returns its body. The request is sent with
        the cached token, and once more with a new token if the answer is 401. If there is no cached
        token, or with ``asks_for_token`` as for negotiate, the request is sent once, with a new
        token (A-5). With ``is_endless``, the body of the response may pause for any time.
        ``connection_token`` is sent in a header, and to no other origin (AR-3). With it, the new
        token is used for later requests only if the server accepts it.

        Raises HttpRequestError, also for a status other than 2xx and ``passes_status``.
        """
        target, origin = self._target(url)
        cached = None if asks_for_token else self.tokens.cached(origin)
        token = cached or await self.tokens.ask(origin)
        if not cached and connection_token is None:
            self.tokens.keep(token)
        headers = {} if accept is None else {"Accept": accept}
        if connection_token is not None:
            headers[CONNECTION_TOKEN_HEADER] = connection_token
            self._refreshed_origin = origin
        send = partial(self._send, method, target, origin, headers, body, is_endless)
        response = await send(token)
        if cached and response.status == 401:
            response.release()
            token = await self.tokens.ask(origin)
            self.tokens.keep(token)
            response = await send(token)
        if not 200 <= response.status < 300 and response.status != passes_status:
            response.release()
            raise refusal(response)
        if connection_token is not None:
            self.tokens.keep(token)
        return response

    async def _send(
        self,
        method: str,
        target: URL,
        origin: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        is_endless: bool,
        token: str | None,
    ) -> aiohttp.ClientResponse:
        credentials = self._credentials_for(target, origin, token)
        with _url_free_errors(self._url):
            async with asyncio.timeout(_TIMEOUT):
                return await self._session.request(
                    method,
                    target,
                    headers={**headers, **credentials},
                    # aiohttp writes a BytesIO to the socket in parts, and bytes in one piece, which
                    # the socket's buffer would copy.
                    data=None if body is None else io.BytesIO(body),
                    ssl=self._ssl,
                    max_redirects=_MAXIMUM_HTTP_REDIRECTS + 1,  # the number that aiohttp refuses
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_read=None if is_endless else _TIMEOUT
                    ),
                )

    async def upgrade(
        self, url: str, maximum_message_size: int, close_timeout: float
    ) -> "tuple[aiohttp.ClientWebSocketResponse[bool], UpgradedConnection]":
        """Opens a WebSocket with a new token (A-5). Returns the WebSocket and its socket.

        ``maximum_message_size`` is in bytes; 0 means no limit. Raises HttpRequestError.
        """
        target, origin = self._target(url)
        token = await self.tokens.ask(origin)
        token = token if token and token.strip() else None
        headers = self._credentials_for(target, origin, token)
        with _url_free_errors(self._url):
            async with asyncio.timeout(_TIMEOUT):
                web_socket = await self._session.ws_connect(
                    target,
                    headers=headers,
                    timeout=aiohttp.ClientWSTimeout(ws_close=close_timeout),
                    autoclose=False,
                    compress=0,
                    max_msg_size=maximum_message_size,
                    decode_text=False,
                    ssl=self._ssl,
                )
        assert self._upgraded is not None
        return web_socket, self._upgraded

    def _target(self, url: str) -> tuple[URL, URL]:
        """The URL of a request, as aiohttp will use it, and its origin. Raises HttpRequestError."""
        with _url_free_errors(self._url):
            target = url_as_written(url)
            return target, origin_of(target)

    def _credentials_for(self, target: URL, origin: URL, token: str | None) -> Mapping[str, str]:
        """The headers with credentials for a request: the user's headers, and the access token.

        The user's headers are for the server of the hub, so only trusted origins get them. Raises
        HttpRequestError if there is a token and the URL holds credentials, because aiohttp would
        send the credentials instead of the token.
        """
        given = self._credentials if origin in self._trusted else {}
        if not token:
            return given
        if target.raw_user is not None:
            raise HttpRequestError(
                "the URL holds credentials, which cannot go with an access token"
            )
        others = {name: value for name, value in given.items() if name.lower() != "authorization"}
        return {**others, "Authorization": f"Bearer {token}"}

    async def _refuse_other_origins(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Refuses requests to origins that the options do not allow. Only redirects lead to these.

        This middleware gets each request of a chain of redirects, with the URL that aiohttp uses.
        A check of the Location header could read the URL in another way than aiohttp.
        """
        origin = origin_of(request.url)
        if self._followed is not None and origin not in self._followed:
            text = "the server redirects to another origin, which redirects does not list"
            raise HttpRequestError(f"{text}: {origin}", public_summary=text)
        if self._refreshed_origin not in (None, origin) and (
            CONNECTION_TOKEN_HEADER in request.headers
        ):
            raise HttpRequestError("the server redirects the connection token to another origin")
        return await handler(request)

    async def _note_upgrade(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Stores the upgraded connection. A middleware is the only public way to get it."""
        response = await handler(request)
        if response.status == _SWITCHING_PROTOCOLS and response.connection is not None:
            self._upgraded = UpgradedConnection(response.connection)
        return response

    async def close(self) -> None:
        """Closes the session. Requests that are in flight fail."""
        await self._session.close()


def _with_default_headers(given: Mapping[str, str]) -> dict[str, str]:
    """The user's headers, and the default headers that the user has not set. Case is ignored."""
    names = {name.lower() for name in given}
    added = {name: value for name, value in _DEFAULT_HEADERS.items() if name.lower() not in names}
    return {**added, **given}


def _split(headers: Mapping[str, str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The user's headers that hold credentials, and the others."""
    names = [name for name in headers if name.lower() in _CREDENTIALS]
    others = {name: value for name, value in headers.items() if name not in names}
    return {name: headers[name] for name in names}, others


async def read(response: aiohttp.ClientResponse) -> bytes:
    """Returns the next part of a body, or b"" at its end. Raises HttpRequestError."""
    with _url_free_errors():
        return await response.content.readany()


async def read_all(response: aiohttp.ClientResponse, maximum: int) -> bytes | None:
    """Returns a whole body, or None if it has more than ``maximum`` bytes.

    Raises HttpRequestError.
    """
    body = bytearray()
    while part := await read(response):
        body += part
        if len(body) > maximum:
            return None
    return bytes(body)


def refusal(response: aiohttp.ClientResponse) -> HttpRequestError:
    """The error for a response with an unexpected status."""
    return _refused(response.status, response.reason)


async def _refuse_downgrade(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Refuses a redirect from https to http, as .NET does: secrets would be sent unencrypted."""
    response = await handler(request)
    if 300 <= response.status < 400 and request.url.scheme in ("https", "wss"):
        target = urljoin(str(request.url), response.headers.get("Location", ""))
        if urlsplit(target).scheme not in ("https", "wss"):
            response.close()
            raise aiohttp.ClientResponseError(
                response.request_info,
                (),
                status=response.status,
                message=response.reason or "",
            )
    return response


@contextmanager
def _url_free_errors(configured_url: str | None = None) -> Iterator[None]:
    """Replaces the exceptions of aiohttp with HttpRequestError, whose text contains no URL.

    URLs contain tokens, so aiohttp's exception is not kept as the cause either. The summary
    contains a host only if it is the host of ``configured_url``, because the server chooses all
    other hosts in its redirects.
    """
    try:
        yield
    except TimeoutError:
        raise HttpRequestTimeout("no answer in time") from None
    except aiohttp.WSServerHandshakeError as error:
        raise HttpRequestError(
            f"The server returned status code '{error.status}' when status code '101' was "
            "expected.",
            error.status,
        ) from None
    except aiohttp.ClientResponseError as error:
        if isinstance(error.__cause__, HttpProcessingError):  # the status is not the server's
            raise NoHttpResponse(_INVALID_RESPONSE) from None
        if isinstance(error, aiohttp.TooManyRedirects):
            last = error.history[-1]
            raise _refused(last.status, last.reason) from None
        raise _refused(error.status, error.message) from None
    except aiohttp.ServerDisconnectedError:
        raise NoHttpResponse(_ENDED_PREMATURELY) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason = summary = public = _reason(error)
        if isinstance(error, aiohttp.ClientConnectorError):
            public = f"cannot connect: {system_reason(error.os_error)}"
            if configured_url is None or error.host != url_as_written(configured_url).raw_host:
                cause = system_reason(error.os_error)
                summary = f"cannot connect to the host of a redirect: {cause}"
        raise HttpRequestError(reason, summary=summary, public_summary=public) from None


def _refused(status: int, reason: str | None) -> HttpRequestError:
    text = f"Response status code does not indicate success: {status}"
    return HttpRequestError(
        f"{text} ({reason})." if reason else f"{text}.", status, summary=f"{text}."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {system_reason(error.os_error)}"
    if isinstance(error, UnicodeError):  # of the codec for domain names
        return "the URL's host is not a valid domain name"
    if isinstance(error, aiohttp.NonHttpUrlClientError):
        return "the server redirects to a URL that is not http or https"
    if isinstance(error, ValueError):  # the base class of aiohttp.InvalidURL
        return "the URL is not valid"
    if isinstance(error, aiohttp.ClientPayloadError):
        return _ENDED_PREMATURELY
    if isinstance(error, OSError):
        return system_reason(error)
    return type(error).__name__
