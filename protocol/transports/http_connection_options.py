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
        scheme, host = urlsplit(self.url)[:2]
        if scheme.lower() not in ("http", "https", "ws", "wss") or not host:
            raise ValueError(
                "The URL of a hub is absolute and begins with http:// or https://, unlike the one "
                "given."
            )
        if not self.transports:
            raise ValueError("transports is empty; a connection needs at least one.")
        if self.skip_negotiation and self.transports is not HttpTransportType.WEB_SOCKETS:
            raise ValueError(
                "Negotiation can only be skipped when using the WebSocket transport directly: "
                "transports=HttpTransportType.WEB_SOCKETS."
            )
        if not self.close_timeout > 0:
            raise ValueError(f"close_timeout is {self.close_timeout}, not above 0.")
