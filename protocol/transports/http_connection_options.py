"""How to reach a hub: what users say with ``with_url``."""

import ssl as ssl_module
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..http_transport_type import HttpTransportType

AccessTokenFactory = Callable[[], "str | Awaitable[str | None] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConnectionOptions:
    """See ``HubConnectionBuilder.with_url``. Raises ValueError for what cannot be meant."""

    url: str
    transports: HttpTransportType = HttpTransportType.ALL
    skip_negotiation: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    access_token_factory: AccessTokenFactory | None = None
    ssl: "ssl_module.SSLContext | bool" = True
    close_timeout: float = 5.0

    def __post_init__(self) -> None:
        _require_url(self.url)
        if not self.transports:
            raise ValueError("transports is empty; a connection needs at least one.")
        if self.skip_negotiation and self.transports is not HttpTransportType.WEB_SOCKETS:
            raise ValueError(
                "Negotiation can only be skipped when using the WebSocket transport directly: "
                "transports=HttpTransportType.WEB_SOCKETS."
            )
        if not self.close_timeout > 0:
            raise ValueError(f"close_timeout is {self.close_timeout}, not above 0.")


def _require_url(url: str) -> None:
    """The error does not repeat the URL, which may hold a token."""
    if not url.isprintable():  # urlsplit would leave such characters out without a word
        raise ValueError("The URL of a hub holds control characters.")
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ValueError(
            "The URL of a hub is absolute and begins with http:// or https://, unlike the one "
            "given."
        )
    if any(character.isspace() for character in parts.netloc):
        raise ValueError("The URL of a hub has a host without blanks, unlike the one given.")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("The URL of a hub has a port from 1 to 65535, unlike the one given.")
