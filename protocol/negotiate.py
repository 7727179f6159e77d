"""Negotiate: what a server offers, and how a client reads it (section N).

Pure: query values, bodies and URLs in, bodies and URLs out. Who holds the connection ids, and the
HTTP around it, is left to the transports.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Final
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
"""Of an offer; there are three, and each that fails costs a negotiate (N-24)."""
_VERSION: Final = re.compile(r"\s*[+-]?[0-9]+\s*\Z", re.ASCII)
_LONGEST_NAME: Final = 40
_WEB_SOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}
_TRANSPORTS: Final = {name: transport for transport, name in TRANSPORT_NAMES.items()}
_MALFORMED: Final = "Invalid negotiation response received."


class AvailableTransport(Struct, frozen=True, rename="camel"):
    """One transport that the server offers, with the transfer formats it can carry there."""

    transport: str
    transfer_formats: tuple[str, ...]


class NegotiateResponse(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An answer as on the wire, properties in the order ASP.NET Core writes them (N-10)."""

    error: str | UnsetType = UNSET
    use_stateful_reconnect: bool = False
    negotiate_version: int | UnsetType | None = UNSET
    url: str | UnsetType = UNSET
    access_token: str | UnsetType = UNSET
    connection_id: str | UnsetType = UNSET
    connection_token: str | UnsetType = UNSET
    available_transports: tuple[AvailableTransport, ...] | UnsetType = UNSET
    # Only ASP.NET (not Core) SignalR sends this one (N-15).
    protocol_version: Raw | UnsetType = msgspec.field(name="ProtocolVersion", default=UNSET)

    @property
    def token(self) -> str:
        """The ``id`` of every later request: the secret token, or the id in version 0 (N-12)."""
        token = self.connection_token if self.negotiate_version else self.connection_id
        return token if isinstance(token, str) else ""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(NegotiateResponse).decode


def new_id() -> str:
    """16 random bytes as 22 characters of base64url: a connection id or a token (N-13)."""
    return secrets.token_urlsafe(16)


# ---- server


def choose_version(requested: Sequence[str], minimum: int = 0) -> int:
    """The version to answer with, from all values of ``negotiateVersion`` in the query.

    Raises NegotiationError whose text belongs into the answer's ``error`` (N-5…N-8).
    """
    if not requested:
        version = 0
    else:
        text = requested[0]
        # Int32, as .NET parses it; the length keeps int() from huge texts.
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


def available_transports(transports: HttpTransportType) -> tuple[AvailableTransport, ...]:
    """What an endpoint that allows ``transports`` offers, in the order of ASP.NET Core (N-14)."""
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
) -> bytes:
    """The body of a success; in version 0 the id is the token, and there is no other (N-12)."""
    return _encode(
        NegotiateResponse(
            negotiate_version=version,
            connection_id=connection_id,
            connection_token=connection_token if version else UNSET,
            available_transports=tuple(transports),
        )
    )


def write_error(text: str) -> bytes:
    """The body of a refusal; it goes out with status 200 (N-7)."""
    return _encode(NegotiateResponse(error=text))


# ---- client


def negotiate_url(url: str) -> str:
    """Where to negotiate for the hub at ``url``: its own query stays, the fragment goes (N-2)."""
    scheme, host, path, query, _ = urlsplit(url)
    path = path if path.endswith("/") else path + "/"
    keys = {part.partition("=")[0].lower() for part in query.split("&")}
    if "negotiateversion" not in keys:
        query = f"{query}&negotiateVersion=1" if query else "negotiateVersion=1"
    return urlunsplit((scheme, host, path + "negotiate", query, ""))


def connect_url(url: str, token: str | None) -> str:
    """Where a transport of the hub at ``url`` connects: ``id={token}`` appended to the query."""
    scheme, host, path, query, _ = urlsplit(url)
    if token is not None:
        query = f"{query}&id={token}" if query else f"id={token}"
    return urlunsplit((scheme, host, path or "/", query, ""))


def web_socket_url(url: str, token: str | None) -> str:
    """``connect_url`` with ws or wss for its scheme (TW-1)."""
    parts = urlsplit(connect_url(url, token))
    return urlunsplit(parts._replace(scheme=_WEB_SOCKET_SCHEMES.get(parts.scheme, parts.scheme)))


def read_response(body: bytes) -> NegotiateResponse:
    """A redirect (``url`` is set) or an offer, checked as .NET checks it (N-15…N-18).

    Raises NegotiationError with the server's error (N-9) or what is wrong with the answer.
    """
    try:
        response = _decode(_first_value(body))
    except DECODING_FAILURES as error:
        raise NegotiationError(_MALFORMED) from error
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
        raise NegotiationError(_MALFORMED)
    if response.negotiate_version and response.connection_token is UNSET:
        raise NegotiationError(_MALFORMED)
    if not response.token.strip():
        raise NegotiationError("Invalid connection id.")
    return response


def _first_value(body: bytes) -> bytes:
    """What a .NET client reads of ``body``: it does not look behind the object (N-15)."""
    start = skip_white_space(body, 0)
    return body[start : scan_value(body, start)]


def _require_absolute(url: str) -> None:
    """N-18. The URL stays out of the error: tokens travel in queries."""
    try:
        parts = urlsplit(url)
        is_absolute = url.isprintable()  # urlsplit leaves out tabs and line breaks
        is_absolute &= parts.scheme in ("http", "https") and parts.hostname is not None
        is_absolute &= parts.port != 0 and "\\" not in parts.netloc
    except ValueError:  # as for a bad IPv6 address or port
        is_absolute = False
    if not is_absolute:
        raise NegotiationError("The server redirects to what is no absolute HTTP URL.")


def usable_transport(
    listed: AvailableTransport, allowed: HttpTransportType, transfer_format: TransferFormat
) -> HttpTransportType:
    """The transport that is listed, if a client that may use ``allowed`` can try it.

    Raises NegotiationError with the reason why it does not (N-24, N-25).
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
    if transfer_format not in TRANSFER_FORMATS[transport]:  # whatever the server says
        raise NegotiationError(
            f"The '{transfer_format.value}' transfer format is not supported by this transport."
        )
    return transport


def no_transport(
    failures: Iterable[tuple[str, SignalRError]], status: int | None
) -> NegotiationError:
    """A start without success: what was listed, and what each failed by (N-25)."""
    texts, summaries = [], []
    for name, error in failures:
        texts.append(f" ({name[:_LONGEST_NAME]} failed: {error})")
        known = name if name in _TRANSPORTS else "another transport"
        summaries.append(f" ({known} failed: {error.summary})")
    if not texts:
        return NegotiationError(
            "None of the transports supported by the client are supported by the server.", status
        )
    text = "Unable to connect to the server with any of the available transports."
    return NegotiationError(text + "".join(texts), status, summary=text + "".join(summaries))
