"""Origins of web pages: how they are written, and which is the server's own (TC, GW-26a).

What an origin may do is decided elsewhere.
"""

import re
from collections.abc import Mapping

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
)


def normal_origin(text: object) -> str:
    """``https://app.example:8443`` as browsers write it. Raises ValueError saying what is wrong."""
    if not isinstance(text, str):
        raise ValueError(f"must be text, not {type(text).__name__}")
    if text == "*":
        raise ValueError("cannot be '*', for requests come with credentials; name each origin")
    match = _ORIGIN.fullmatch(text.lower())
    if match is None or not 0 < int(match["port"] or 1) < 65536:
        raise ValueError("must be of the form https://app.example or https://app.example:8443")
    port = int(match["port"] or 0)
    shown = f":{port}" if port and port != _DEFAULT_PORTS[match["scheme"]] else ""
    return f"{match['scheme']}://{match['host']}{shown}"


def is_own_origin(origin: str, headers: Mapping[str, str]) -> bool:
    """Whether the page comes from where the request with these headers goes to.

    By what a page cannot make its browser say: where the request is sent to, also before a proxy,
    and what the browser makes of it. A proxy may have taken off https, so the scheme is not looked
    at.
    """
    if headers.get("Sec-Fetch-Site") == "same-origin":
        return True
    scheme, _, authority = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    forwarded = headers.get("X-Forwarded-Host", "").partition(",")[0].strip()
    own = [host.lower().removesuffix(f":{port}") for host in (headers.get("Host", ""), forwarded)]
    return port is not None and authority.removesuffix(f":{port}") in filter(None, own)
