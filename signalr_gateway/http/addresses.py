"""Which paths may be the gateway hub's (GW-5): pure, from what an author writes to the path.

Host and port of a URL have no meaning here, but must be such; where the process listens is said
elsewhere.
"""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_GATEWAY_HUB_PATH = "/gatewayhub"

_RESERVED_PATHS = ("/api/gateway", "/healthz", "/console", "/swagger")


def gateway_hub_path(url: object) -> str:
    """The path of a URL, or the path given, without a trailing slash.

    Raises ValueError with a text that says what is wrong.
    """
    if not isinstance(url, str):
        raise ValueError(f"must be text, not {type(url).__name__}")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("must not hold blanks or control characters")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ValueError("is no URL") from exc
    try:
        _ = parts.port
    except ValueError as exc:
        raise ValueError("its port must be a number from 0 to 65535") from exc
    if parts.scheme not in ("", "http", "https") or (parts.netloc and not parts.scheme):
        raise ValueError("must be an http or https URL or just a path")
    path = parts.path.rstrip("/")
    if not path.startswith("/"):
        raise ValueError("must contain a path that begins with '/', such as /gatewayhub")
    if any(character in path for character in "{}%") or not path.isascii():
        raise ValueError("its path must be plain ASCII without '%', '{' and '}'")
    if any(_lies_under(path, reserved) for reserved in _RESERVED_PATHS):
        raise ValueError(f"{path} is taken by the gateway itself")
    return path


def _lies_under(path: str, reserved: str) -> bool:
    return f"{path.lower()}/".startswith(f"{reserved}/")
