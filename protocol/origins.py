"""Origins of web pages: how they are written, and which is the server's own (TC, GW-26a).

What the pages of an origin may do is left to the callers; for hubs, to ``hosting.cors``.
"""

import re
from collections.abc import Mapping

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
)


def normal_origin(text: object) -> str:
    """An origin like ``https://app.example:8443`` in the spelling of browsers.

    Raises ValueError if ``text`` is not such an origin. The text of the error has no subject,
    as in ``must be text, not int``: the caller puts the name of the value before it.
    """
    if not isinstance(text, str):
        raise ValueError(f"must be text, not {type(text).__name__}")
    if text == "*":
        raise ValueError("cannot be '*', because requests carry credentials; list each origin")
    match = _ORIGIN.fullmatch(text.lower())
    if match is None or not 0 < int(match["port"] or 1) < 65536:
        raise ValueError("must be of the form https://app.example or https://app.example:8443")
    port = int(match["port"] or 0)
    shown = f":{port}" if port and port != _DEFAULT_PORTS[match["scheme"]] else ""
    return f"{match['scheme']}://{match['host']}{shown}"


def is_own_origin(origin: str, headers: Mapping[str, str]) -> bool:
    """Whether a page of ``origin`` comes from the host that its request is sent to.

    ``headers`` are the headers of the request, in a mapping that ignores case. The function reads
    only ``Sec-Fetch-Site``, ``Host``, and ``X-Forwarded-Host``, which is the host before a proxy. A
    page of another origin cannot set these without a preflight. The scheme is not compared, because
    a proxy may have terminated TLS.
    """
    if headers.get("Sec-Fetch-Site") == "same-origin":
        return True
    scheme, _, authority = origin.lower().partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    forwarded = headers.get("X-Forwarded-Host", "").partition(",")[0].strip()
    own = [host.lower().removesuffix(f":{port}") for host in (headers.get("Host", ""), forwarded)]
    return port is not None and authority.removesuffix(f":{port}") in filter(None, own)
