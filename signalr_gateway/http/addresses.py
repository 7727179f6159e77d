"""The one table of addresses: each path of the gateway, and which paths its hub may have (GW-5).

Pure text, without HTTP: the orchestration checks the path of the gateway hub with it. Paths of the
gateway ignore letter case, except for the files of the console.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

API = "/api/Gateway"
"""The HTTP API: calls and the listing of the orchestration."""
_CALLS = f"{API}/hub"
ORCHESTRATION = f"{API}/orchestration"
HEALTH = "/healthz"
DEFAULT_GATEWAY_HUB_PATH = "/gatewayhub"

CONSOLE_PAGE = "/"
CONSOLE = "/console"
"""Where the files of the console's page are."""
CONSOLE_STATUS = f"{CONSOLE}/status.json"

SWAGGER = "/swagger"
"""Leads to the page of Swagger UI."""
SWAGGER_PAGE = f"{SWAGGER}/index.html"
OPENAPI_DOCUMENT = f"{SWAGGER}/v1/swagger.json"
ROOT_FROM_DOCUMENT = "/".join(".." for _ in OPENAPI_DOCUMENT.split("/")[2:])
"""Relative, so that the prefix of a proxy stays (GW-12)."""

RESERVED = (API, HEALTH, CONSOLE, SWAGGER, "/livez", "/readyz", "/metrics")
"""Paths that the gateway hub cannot take, nor any path below them.

The last three are the usual names of probes and metrics; nothing is served there yet.
"""


def call_path(api: str, key: str) -> str:
    """The path of calls through the route `key` of the hub `api`."""
    return f"{_CALLS}/{quote(api, safe='')}/{quote(key, safe='')}"


class Endpoint(Enum):
    """What the HTTP API serves besides calls."""

    ORCHESTRATION = auto()
    HEALTH = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """The path of a call: hub and route as they are named there, decoded."""

    api: str
    key: str


@lru_cache(maxsize=256)
def find_endpoint(raw_path: str) -> Call | Endpoint | None:
    """What the raw path of a request leads to; None for what the HTTP API does not serve."""
    segments = path_segments(raw_path)
    lowered = tuple(segment.lower() for segment in segments)
    if lowered[:-2] == _CALL_SEGMENTS:
        return Call(*segments[-2:])
    return _ENDPOINTS.get(lowered)


def path_segments(raw_path: str) -> list[str]:
    """The segments of a request's raw path, each decoded by itself: ``%2F`` is part of one (GW-7).

    One trailing slash is tolerated. What does not decode gives no segments, which match nothing.
    """
    raw_segments = raw_path.split("/")[1:]
    if len(raw_segments) > 1 and raw_segments[-1] == "":
        raw_segments.pop()
    try:
        return [unquote(segment, errors="strict") for segment in raw_segments]
    except UnicodeDecodeError:
        return []


_CALL_SEGMENTS = tuple(path_segments(_CALLS.lower()))
_ENDPOINTS = {
    tuple(path_segments(path.lower())): endpoint
    for path, endpoint in (
        (ORCHESTRATION, Endpoint.ORCHESTRATION),
        (HEALTH, Endpoint.HEALTH),
    )
}


def at(path: str) -> str:
    """The pattern of aiohttp's router for `path`, in any letter case."""
    return f"/{{path:(?i:{re.escape(path.removeprefix('/'))})}}"


def at_or_below(*paths: str) -> str:
    """The pattern of aiohttp's router for `paths` and all paths below, in any letter case."""
    names = "|".join(re.escape(path.removeprefix("/")) for path in paths)
    return rf"/{{path:(?i:{names})(?:/[\s\S]*)?}}"


def gateway_hub_path(url: object) -> str:
    """The path of a URL, or the path given, without a trailing slash.

    Host and port have no meaning here, but must be valid. Raises ValueError with a text that says
    what is wrong.
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
        raise ValueError(
            f"must contain a path that begins with '/', such as {DEFAULT_GATEWAY_HUB_PATH}"
        )
    if any(character in path for character in "{}%") or not path.isascii():
        raise ValueError("its path must be plain ASCII without '%', '{' and '}'")
    if any(_lies_under(path, reserved) for reserved in RESERVED):
        raise ValueError(f"{path} is taken by the gateway itself")
    return path


def _lies_under(path: str, reserved: str) -> bool:
    return f"{path.lower()}/".startswith(f"{reserved.lower()}/")
