"""Defines all paths of the gateway, and which paths the gateway hub may have (GW-5).

This module imports no HTTP library, because `orchestration.orchestrator` uses it to check the path
of the gateway hub. The paths of the console are case-sensitive, all other paths are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

API = "/api/Gateway"
"""The paths of calls, and of the list of hubs and routes, are below this path."""
_CALLS = f"{API}/hub"
SEND = f"{API}/send"
"""The paths of sends to clients are below this path."""
ORCHESTRATION = f"{API}/orchestration"
HEALTH = "/healthz"
DEFAULT_GATEWAY_HUB_PATH = "/gatewayhub"

CONSOLE_PAGE = "/"
CONSOLE = "/console"
"""The paths of the console's files, and of its status, are below this path."""
CONSOLE_STATUS = f"{CONSOLE}/status.json"

SWAGGER = "/swagger"
"""Redirects to the page of Swagger UI."""
SWAGGER_PAGE = f"{SWAGGER}/index.html"
OPENAPI_DOCUMENT = f"{SWAGGER}/v1/swagger.json"
ROOT_FROM_DOCUMENT = "/".join(".." for _ in OPENAPI_DOCUMENT.split("/")[2:])
"""The path ``/`` relative to the document, so that a proxy may add a prefix (GW-12)."""

RESERVED = (API, HEALTH, CONSOLE, SWAGGER, "/livez", "/readyz", "/metrics")
"""The gateway hub cannot have one of these paths, nor a path below one of them.

The last three are the usual names of probes and metrics; nothing is served there yet.
"""


def call_path(api: str, key: str) -> str:
    """The path of calls through the route `key` of the hub `api`."""
    return f"{_CALLS}/{quote(api, safe='')}/{quote(key, safe='')}"


class Endpoint(Enum):
    """The endpoints of `http.api` other than calls."""

    ORCHESTRATION = auto()
    HEALTH = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """A call: the keys of the hub and the route in the path, decoded, in their letter case."""

    api: str
    key: str


@dataclass(frozen=True, slots=True)
class Receivers:
    """Clients of the gateway hub: all, a group, a user, a connection, or a label of a route.

    `names` are the segments of the path after the kind, decoded, in their letter case: none for
    all, three for a route (api, key and user id), and one for the other kinds.
    """

    kind: str
    names: tuple[str, ...] = ()
    are_counted: bool = False
    """Whether the address ends with ``count``, and so stands for the number of these clients."""


@lru_cache(maxsize=256)
def find_endpoint(raw_path: str) -> Call | Endpoint | Receivers | None:
    """The endpoint at the raw path of a request; None if `http.api` has none there."""
    segments = path_segments(raw_path)
    lowered = tuple(segment.lower() for segment in segments)
    if lowered[:-2] == _CALL_SEGMENTS:
        return Call(*segments[-2:])
    if lowered[: len(_SEND_SEGMENTS)] == _SEND_SEGMENTS:
        return _receivers(*segments[len(_SEND_SEGMENTS) :])
    return _ENDPOINTS.get(lowered)


def _receivers(kind: str = "", *names: str) -> Receivers | None:
    kind = kind.lower()
    if kind not in NAMES_OF_RECEIVERS:
        return None
    expected = len(NAMES_OF_RECEIVERS[kind])
    if len(names) == expected + 1 and names[-1].lower() == "count":
        return Receivers(kind, names[:-1], are_counted=True)
    return Receivers(kind, names) if len(names) == expected else None


def path_for_log(raw_path: str) -> str:
    """The path of a request as the log shows it: one text for all spellings of the path.

    It is escaped, so it contains no line end. The names of receivers are left out, because they may
    identify persons.
    """
    match find_endpoint(raw_path):
        case Call(api, key):
            return call_path(api.lower(), key.lower())
        case Receivers(kind):
            return f"{SEND}/{kind}"
        case _:
            return raw_path


def is_call(method: str, raw_path: str) -> bool:
    """Whether a request calls a hub or sends to clients."""
    return method == "POST" and isinstance(find_endpoint(raw_path), Call | Receivers)


def path_segments(raw_path: str) -> list[str]:
    """The decoded segments of a raw path; an encoded slash does not end a segment (GW-7).

    One trailing slash is ignored. Returns an empty list, which matches no endpoint, if a segment is
    not UTF-8.
    """
    raw_segments = raw_path.split("/")[1:]
    if len(raw_segments) > 1 and raw_segments[-1] == "":
        raw_segments.pop()
    try:
        return [unquote(segment, errors="strict") for segment in raw_segments]
    except UnicodeDecodeError:
        return []


_CALL_SEGMENTS = tuple(path_segments(_CALLS.lower()))
_SEND_SEGMENTS = tuple(path_segments(SEND.lower()))
NAMES_OF_RECEIVERS: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "group": ("name",),
    "user": ("id",),
    "connection": ("id",),
    "route": ("api", "key", "userId"),
}
"""The names that follow each kind of receivers in a path."""
_ENDPOINTS = {
    tuple(path_segments(path.lower())): endpoint
    for path, endpoint in (
        (ORCHESTRATION, Endpoint.ORCHESTRATION),
        (HEALTH, Endpoint.HEALTH),
    )
}


def at(path: str) -> str:
    """The pattern for aiohttp's router that matches `path`, in any letter case."""
    return f"/{{path:(?i:{re.escape(path.removeprefix('/'))})}}"


def at_or_below(*paths: str) -> str:
    """The pattern for aiohttp's router that matches `paths` and all paths below, in any case."""
    names = "|".join(re.escape(path.removeprefix("/")) for path in paths)
    return rf"/{{path:(?i:{names})(?:/[\s\S]*)?}}"


def gateway_hub_path(url: object) -> str:
    """The path of the gateway hub, without a trailing slash.

    `url` is an http or https URL, or only a path. Host and port must be valid, but have no effect.
    Raises ValueError with a text that says what is wrong.
    """
    if not isinstance(url, str):
        raise ValueError(f"must be text, not {type(url).__name__}")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("must not contain spaces or control characters")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ValueError("is not a valid URL") from exc
    try:
        _ = parts.port
    except ValueError as exc:
        raise ValueError("its port must be a number from 0 to 65535") from exc
    if parts.scheme not in ("", "http", "https") or (parts.netloc and not parts.scheme):
        raise ValueError("must be an http or https URL or a path")
    path = parts.path.rstrip("/")
    if not path.startswith("/"):
        raise ValueError(
            f"must contain a path that begins with '/', such as {DEFAULT_GATEWAY_HUB_PATH}"
        )
    if any(character in path for character in "{}%") or not path.isascii():
        raise ValueError("its path must be plain ASCII without '%', '{' and '}'")
    if "\\" in path or not {".", ".."}.isdisjoint(path.split("/")):
        # Clients resolve these segments, and browsers treat a backslash as a slash.
        raise ValueError("its path must not contain '\\' nor the segments '.' and '..'")
    if any(_lies_under(path, reserved) for reserved in RESERVED):
        raise ValueError(f"{path} is used by the gateway itself")
    return path


def _lies_under(path: str, reserved: str) -> bool:
    return f"{path.lower()}/".startswith(f"{reserved.lower()}/")
