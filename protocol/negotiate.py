"""Negotiate: what a server offers, and how a client reads it (section N).

The functions convert query values, bodies and URLs, without I/O. The table of connections is left
to ``hosting.http_connections``, requests and answers to ``transports``.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from .errors import DECODING_FAILURES, NegotiationError, SignalRError
from .http_transport_type import TRANSFER_FORMATS, TRANSPORT_NAMES, HttpTransportType
from .hub_protocol import TransferFormat
from .json.scanner import scan_value, skip_white_space

MAXIMUM_VERSION: Final = 1
MAXIMUM_REDIRECTS: Final = 100
MAXIMUM_TRANSPORTS: Final = 16
"""How many transports of an offer a client tries. SignalR has three. After each transport that
fails, the client negotiates again (N-24)."""
MALFORMED: Final = "Invalid negotiation response received."
"""The text of the error for an answer that is neither an offer nor a redirect nor an error."""
_VERSION: Final = re.compile(r"\s*[+-]?[0-9]+\s*\Z", re.ASCII)
_LONGEST_NAME_SHOWN: Final = 40
_WEB_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}
_TRANSPORTS: Final = {name: transport for transport, name in TRANSPORT_NAMES.items()}


class AvailableTransport(Struct, frozen=True, rename="camel"):
    """One transport that a server offers, with the transfer formats that it can carry."""

    transport: str
    transfer_formats: tuple[str, ...]


class NegotiateResponse(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An answer to negotiate, with the properties in the order of ASP.NET Core (N-10)."""

    error: str | UnsetType = UNSET
    use_stateful_reconnect: bool = False
    negotiate_version: int | UnsetType | None = UNSET
    url: str | UnsetType = UNSET
    access_token: str | UnsetType = UNSET
    connection_id: str | UnsetType = UNSET
    connection_token: str | UnsetType = UNSET
    available_transports: tuple[AvailableTransport, ...] | UnsetType = UNSET
    token_lifetime_seconds: Any = UNSET  # any value but a positive number counts as none (AR-1)
    # Only ASP.NET (not Core) SignalR sends this property (N-15).
    protocol_version: Raw | UnsetType = msgspec.field(name="ProtocolVersion", default=UNSET)

    def __repr__(self) -> str:
        """Shows no tokens and no URL, whose query may contain one."""
        kind = "redirect" if isinstance(self.url, str) else "offer"
        return f"<NegotiateResponse: {kind}>"

    @property
    def token(self) -> str:
        """The ``id`` in later requests: the secret token, or in version 0 the public id (N-12)."""
        token = self.connection_token if self.negotiate_version else self.connection_id
        return token if isinstance(token, str) else ""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(NegotiateResponse).decode


def new_id() -> str:
    """16 random bytes as 22 characters of base64url: a connection id or a token (N-13)."""
    return secrets.token_urlsafe(16)


# ---- server


def choose_version(requested: Sequence[str], minimum: int = 0) -> int:
    """The version to answer with. ``requested``: all values of ``negotiateVersion`` in the query.

    Raises NegotiationError, whose text is the ``error`` of the answer (N-5…N-8).
    """
    if not requested:
        version = 0
    else:
        text = requested[0]
        # Int32, as .NET parses it. The length is checked so that int() never gets a huge text.
        if (
            len(requested) != 1
            or len(text) > 32
            or not _VERSION.match(text)
            or not -(2**31) <= int(text) < 2**31
        ):
            raise NegotiationError("The client requested a non-integer protocol version.")
        version = int(text)
    if version < minimum:
        raise NegotiationError(
            f"The client requested version '{version}', but the server does not support this "
            "version."
        )
    return min(version, MAXIMUM_VERSION)


def asks_for_stateful_reconnect(requested: Sequence[str]) -> bool:
    """Whether ``requested``, all values of ``useStatefulReconnect`` in the query, is true (N-22).

    As .NET parses it: in any letter case, and with white space around it.
    """
    return len(requested) == 1 and requested[0].strip().lower() == "true"


def available_transports(transports: HttpTransportType) -> tuple[AvailableTransport, ...]:
    """The offer of an endpoint that allows ``transports``, in the order of ASP.NET Core (N-14)."""
    return tuple(
        AvailableTransport(name, tuple(it.value for it in TRANSFER_FORMATS[transport]))
        for transport, name in TRANSPORT_NAMES.items()
        if transport in transports
    )


def write_offer(
    version: int,
    connection_id: str,
    connection_token: str,
    transports: Iterable[AvailableTransport],
    token_lifetime: int | None = None,
    *,
    use_stateful_reconnect: bool = False,
) -> bytes:
    """The body of an offer. In version 0 the connection id serves as the token (N-12).

    ``token_lifetime`` is in seconds; None if the offer announces none (AR-1).
    ``use_stateful_reconnect`` grants stateful reconnect (N-22).
    """
    return _encode(
        NegotiateResponse(
            use_stateful_reconnect=use_stateful_reconnect,
            negotiate_version=version,
            connection_id=connection_id,
            connection_token=connection_token if version else UNSET,
            available_transports=tuple(transports),
            token_lifetime_seconds=UNSET if token_lifetime is None else token_lifetime,
        )
    )


def write_error(text: str) -> bytes:
    """The body of a refusal. The status of the answer is 200 (N-7)."""
    return _encode(NegotiateResponse(error=text))


# ---- client


def negotiate_url(url: str, *, use_stateful_reconnect: bool = False) -> str:
    """The URL of negotiate for the hub at ``url``, with its query, without its fragment (N-2).

    With ``use_stateful_reconnect`` it asks for stateful reconnect.
    """
    scheme, host, path, query, _ = urlsplit(url)
    path = path if path.endswith("/") else path + "/"
    keys = {part.partition("=")[0].lower() for part in query.split("&")}
    if "negotiateversion" not in keys:
        query = f"{query}&negotiateVersion=1" if query else "negotiateVersion=1"
    if use_stateful_reconnect:
        query += "&useStatefulReconnect=true"
    return urlunsplit((scheme, host, path + "negotiate", query, ""))


def connect_url(url: str, token: str | None) -> str:
    """The URL at which a transport connects to the hub at ``url``; its query ends with the token.

    ``token`` is None if negotiate was skipped; then nothing is added to the query.
    """
    scheme, host, path, query, _ = urlsplit(url)
    if token is not None:
        query = f"{query}&id={token}" if query else f"id={token}"
    return urlunsplit((scheme, host, path or "/", query, ""))


def web_socket_url(url: str, token: str | None) -> str:
    """``connect_url`` with the scheme ws or wss (TW-1)."""
    parts = urlsplit(connect_url(url, token))
    return urlunsplit(parts._replace(scheme=_WEB_SOCKET_SCHEMES.get(parts.scheme, parts.scheme)))


def read_response(body: bytes) -> NegotiateResponse:
    """A redirect (``url`` is set) or an offer, checked as .NET checks it (N-15…N-18).

    Raises NegotiationError with the server's error (N-9), or with the fault in the answer.
    """
    try:
        response = _decode(_first_value(body))
    except DECODING_FAILURES as error:
        raise NegotiationError(MALFORMED) from error
    if response.protocol_version is not UNSET:
        raise NegotiationError(
            "The server speaks ASP.NET SignalR; this is a client for ASP.NET Core SignalR."
        )
    if response.error:
        raise NegotiationError(response.error, summary="The server refused to negotiate.")
    if response.url is not UNSET:
        _require_absolute(response.url)
        return response
    if response.connection_id is UNSET or response.available_transports is UNSET:
        raise NegotiationError(MALFORMED)
    if response.negotiate_version and response.connection_token is UNSET:
        raise NegotiationError(MALFORMED)
    if not response.token.strip():
        raise NegotiationError("Invalid connection id.")
    return response


def _first_value(body: bytes) -> bytes:
    """The first JSON value in ``body``. A .NET client reads nothing after it (N-15)."""
    start = skip_white_space(body, 0)
    return body[start : scan_value(body, start)]


def _require_absolute(url: str) -> None:
    """Raises NegotiationError unless ``url`` is an absolute HTTP URL (N-18).

    The error does not contain the URL, because its query may contain a token.
    """
    try:
        parts = urlsplit(url)
        is_absolute = url.isprintable()  # urlsplit would remove tabs and line breaks
        is_absolute &= parts.scheme in ("http", "https") and parts.hostname is not None
        is_absolute &= parts.port != 0 and "\\" not in parts.netloc
    except ValueError:  # for example at a bad IPv6 address or port
        is_absolute = False
    if not is_absolute:
        raise NegotiationError("The URL that the server redirects to is not an absolute HTTP URL.")


def usable_transport(
    listed: AvailableTransport, allowed: HttpTransportType, transfer_format: TransferFormat
) -> HttpTransportType:
    """The transport that the server lists as ``listed``.

    ``allowed`` are the transports that the client may use. ``transfer_format`` is the transfer
    format of the client's hub protocol. Raises NegotiationError with the reason if the client
    cannot try this transport (N-24, N-25).
    """
    transport = _TRANSPORTS.get(listed.transport)
    if transport is None:
        raise NegotiationError("The transport is not supported by the client.")
    if transport not in allowed:
        raise NegotiationError("The transport is disabled by the client.")
    if transfer_format.value not in listed.transfer_formats:
        raise NegotiationError(
            f"The transport does not support the '{transfer_format.value}' transfer format."
        )
    if transfer_format not in TRANSFER_FORMATS[transport]:  # although the server lists it
        raise NegotiationError(
            f"The '{transfer_format.value}' transfer format is not supported by this transport."
        )
    return transport


def no_transport(
    failures: Iterable[tuple[str, SignalRError]], status: int | None
) -> NegotiationError:
    """The error of a start in which no transport could be opened (N-25).

    ``failures`` are the names that the server listed, each with its error. ``status`` is the last
    HTTP status among them, or None.
    """
    texts, summaries, public_summaries = [], [], []
    for name, error in failures:
        texts.append(f" ({name[:_LONGEST_NAME_SHOWN]} failed: {error})")
        known = name if name in _TRANSPORTS else "another transport"
        summaries.append(f" ({known} failed: {error.summary})")
        public_summaries.append(f" ({known} failed: {error.public_summary})")
    if not texts:
        return NegotiationError(
            "None of the transports supported by the client are supported by the server.", status
        )
    text = "Unable to connect to the server with any of the available transports."
    return NegotiationError(
        text + "".join(texts),
        status,
        summary=text + "".join(summaries),
        public_summary=text + "".join(public_summaries),
    )
