"""Decides which names the headers of the caller's identity may have (GW-54).

`access.identity` fills these headers.
"""

from __future__ import annotations

from collections.abc import Iterator

from .checks import is_header_name
from .hub_options import DownstreamHubOptions

_OWN_HEADERS = ("traceparent", "tracestate", "x-request-id")
"""Headers of the invocation that the gateway itself sets (GW-38)."""


def header_problems(options: DownstreamHubOptions) -> Iterator[tuple[str, str]]:
    """Yield the mistakes in the names of forwarded headers as (field, problem).

    No two values may have the same header. A caller could otherwise send a header that the hub
    takes for a claim (GW-54). Names that differ only in case, or in `-` and `_`, count as the same,
    because some programs do not distinguish them.
    """
    names = [
        *(("forwarded_headers", name) for name in options.forwarded_headers),
        *(("forwarded_claims", name) for name in options.forwarded_claims.values()),
    ]
    if options.forwarded_user_id is not None:
        names.append(("forwarded_user_id", options.forwarded_user_id))
    taken = set(_OWN_HEADERS)
    for field_name, name in names:
        if not is_header_name(name):
            yield field_name, "contains a text that is not the name of an HTTP header"
        elif _comparable(name) in _OWN_HEADERS:
            yield field_name, f"contains {name}, which the gateway itself sets"
        elif _comparable(name) in taken:
            yield field_name, f"contains {name}, which is already the header of another value"
        taken.add(_comparable(name))


def _comparable(header: str) -> str:
    return header.lower().replace("_", "-")
