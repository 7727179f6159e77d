"""The options of ``HubConnectionBuilder.with_url``, checked."""

import re
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ...http_transport_type import HttpTransportType
from ...option_checks import check_options

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")

AccessTokenFactory = Callable[[], "str | Awaitable[str | None] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConnectionOptions:
    """See ``HubConnectionBuilder.with_url``.

    Raises TypeError or ValueError for invalid values. The texts do not quote the URL, header values
    or cookie values, which may contain secrets. Headers and cookies are copied.
    """

    url: str = field(repr=False)
    transports: HttpTransportType = HttpTransportType.ALL
    skip_negotiation: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    access_token_factory: AccessTokenFactory | None = field(default=None, repr=False)
    ssl: ssl_module.SSLContext | bool = True
    close_timeout: float = 5.0
    redirects: tuple[str, ...] | None = None
    """Origins, as ``normal_server`` returns them. See ``HubConnectionBuilder.with_redirects``."""

    def __post_init__(self) -> None:
        check_options(self)
        _require_url(self.url)
        for name, value in self.headers.items():
            _require_header(name, value)
        if urlsplit(self.url).username is not None and "authorization" in map(
            str.lower, self.headers
        ):
            raise ValueError(
                "The URL holds credentials and headers an Authorization; only one is possible."
            )
        for name, value in self.cookies.items():
            _require_cookie(name, value)
        object.__setattr__(self, "headers", dict(self.headers))
        object.__setattr__(self, "cookies", dict(self.cookies))
        if not self.transports:
            raise ValueError("transports is empty; a connection needs at least one.")
        if self.skip_negotiation and self.transports is not HttpTransportType.WEB_SOCKETS:
            raise ValueError(
                "Negotiation can only be skipped when using the WebSocket transport directly: "
                "transports=HttpTransportType.WEB_SOCKETS."
            )


def is_field_value(text: str) -> bool:
    """Whether an HTTP header can carry ``text``: it has no line breaks or control characters."""
    return _FIELD_VALUE.fullmatch(text) is not None


def _require_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"headers maps str to str, not {_types(name, value)}.")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"headers: {name!r} is not a valid name of an HTTP header.")
    if not is_field_value(value):
        raise ValueError(f"headers: the value of {name!r} holds control characters.")


def _require_cookie(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"cookies maps str to str, not {_types(name, value)}.")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"cookies: {name!r} is not a valid name of a cookie.")
    if not is_field_value(value) or ";" in value:
        raise ValueError(f"cookies: the value of {name!r} holds a semicolon or control characters.")


def _types(name: object, value: object) -> str:
    return f"{type(name).__name__} to {type(value).__name__}"


def _fault(url: str, parts: SplitResult) -> str:
    """What is wrong with a URL that is not an absolute URL of HTTP or WebSockets."""
    if not parts.scheme or not url[len(parts.scheme) :].startswith("://"):
        return "The URL of a hub has no scheme"  # in localhost:8080/hub, urlsplit finds "localhost"
    fault = f"the scheme '{parts.scheme}'" if parts.hostname else "no host"
    return f"The URL of a hub has {fault}"


def _require_url(url: str) -> None:
    if not url.isprintable():  # urlsplit would silently remove such characters
        raise ValueError("The URL of a hub holds control characters.")
    if url != url.strip():
        raise ValueError("The URL of a hub begins or ends with blanks.")
    try:
        parts = urlsplit(url)
    except ValueError:  # for example a bad IPv6 address; the text would quote the host
        raise ValueError("The URL of a hub has an invalid host.") from None
    if parts.scheme.lower() not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ValueError(
            f"{_fault(url, parts)}; it has to be absolute and to begin with http://, https://, "
            "ws:// or wss://."
        )
    if any(character.isspace() or character == "\\" for character in parts.netloc):
        raise ValueError("The URL of a hub has a host with blanks or backslashes.")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("The URL of a hub has an invalid port; expected 1 to 65535.")
