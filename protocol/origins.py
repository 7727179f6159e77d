"""Origins: how they are written, and which is the server's own (TC, GW-26a).

``hosting.cors`` decides what the pages of an origin may do with hubs. Redirects between origins are
left to ``transports.client.http_client``.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_WEB: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
)
_APPLICATION: Final = re.compile(r"([a-z][a-z0-9+.-]*)://[A-Za-z0-9._~-]+(:[0-9]{1,5})?")
_OPAQUE: Final = "null"
_FORM: Final = "must be of the form https://app.example or https://app.example:8443"
_LONGEST_SHOWN: Final = 100


def normal_origin(text: object) -> str:
    """An origin of web pages in the spelling of browsers.

    Most origins look like ``https://app.example:8443``. Pages inside applications and browser
    extensions have other schemes, as in ``capacitor://localhost``. Browsers send ``null`` for local
    files and sandboxed frames.

    Raises ValueError if ``text`` is not such an origin. The text of the error has no subject,
    as in ``must be text, not int``: the caller puts the name of the value before it.
    """
    if not isinstance(text, str):
        raise ValueError(f"must be text, not {type(text).__name__}")
    if text == _OPAQUE:
        return text
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if problem := _problem(text, scheme, separator, rest):
        raise ValueError(problem)
    if scheme in _DEFAULT_PORTS:
        return _web_origin(text)
    if _APPLICATION.fullmatch(f"{scheme}://{rest}") is None:
        raise ValueError(_FORM)
    return f"{scheme}://{rest}"  # only in http and https are hosts written in lower case


def normal_server(text: object) -> str:
    """The origin of an HTTP server, such as ``https://hub.example``.

    Raises ValueError as ``normal_origin`` does.
    """
    origin = normal_origin(text)
    if origin.partition(":")[0] not in _DEFAULT_PORTS:
        raise ValueError("must begin with http:// or https://")
    return origin


def normal_origins(origins: Iterable[object]) -> tuple[str, ...]:
    """Applies ``normal_origin`` to each of ``origins``.

    Raises ValueError. The text names the wrong item, as in ``item 2, 'a.example', has no scheme``.
    It does not quote an item that contains credentials.
    """
    return normal_items(origins, normal_origin)


def normal_servers(origins: Iterable[object]) -> tuple[str, ...]:
    """Applies ``normal_server`` to each of ``origins``. Raises as ``normal_origins`` does."""
    return normal_items(origins, normal_server)


def normal_items(texts: Iterable[object], read: Callable[[object], str]) -> tuple[str, ...]:
    """Applies ``read`` to each of ``texts``. Raises as ``normal_origins`` does."""
    items = []
    for number, text in enumerate(texts, 1):
        try:
            items.append(read(text))
        except ValueError as error:
            name = f"item {number}"
            if isinstance(text, str) and "@" not in text:
                name += f", {text[:_LONGEST_SHOWN]!r},"
            raise ValueError(f"{name} {error}") from None
    return tuple(items)


def _web_origin(text: str) -> str:
    match = _WEB.fullmatch(text.lower())
    if match is None:
        raise ValueError(_FORM)
    port = int(match["port"] or 0)
    if match["port"] and not 0 < port < 65536:
        raise ValueError("has a port that is not from 1 to 65535")
    shown = f":{port}" if port and port != _DEFAULT_PORTS[match["scheme"]] else ""
    return f"{match['scheme']}://{match['host']}{shown}"


def _problem(text: str, scheme: str, separator: str, rest: str) -> str | None:
    """What is wrong with an origin, for the mistakes that are easy to name."""
    if text == "*":
        return "cannot be '*', because requests carry credentials; list each origin"
    if not separator:
        return "has no scheme, such as https://"
    if scheme in ("ws", "wss"):
        return "has the scheme of a connection; the origin of a page begins with http or https"
    if scheme in ("file", "data", "about", "blob"):
        return f"cannot be an origin: a page of {scheme}: has the origin 'null'"
    if "*" in rest:
        return "has a wildcard; list each origin"
    if "@" in rest:
        return "has credentials, which origins do not have"
    if rest.partition("/")[1:] == ("/", ""):
        return "ends with a slash, which origins do not have"
    if any(character in rest for character in "/?#"):
        return "goes on after the host; an origin has no path and no query"
    if not text.isascii():
        return "has a host that is not ASCII; browsers send it in its xn-- form"
    return None


def is_own_origin(origin: str, headers: Mapping[str, str]) -> bool:
    """Whether a page of ``origin`` comes from the host that its request is sent to.

    ``headers`` are the headers of the request, in a mapping that ignores case. The function reads
    only ``Sec-Fetch-Site``, ``Host``, and ``X-Forwarded-Host``, with which a proxy passes on the
    ``Host`` of the page. A page of another origin cannot set these without a preflight. The scheme
    is not compared, because a proxy may have terminated TLS.
    """
    if headers.get("Sec-Fetch-Site") == "same-origin":
        return True
    scheme, _, authority = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    forwarded = headers.get("X-Forwarded-Host", "").partition(",")[0].strip()
    own = [host.lower().removesuffix(f":{port}") for host in (headers.get("Host", ""), forwarded)]
    return port is not None and authority.removesuffix(f":{port}") in filter(None, own)
