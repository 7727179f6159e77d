"""HTTP answers as plain data, and the fixed answers of hub endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer, without the headers that frame its body.

    A host adds Content-Length, or Transfer-Encoding if ``is_chunked`` is set. If ``content_type``
    is None, the host adds no Content-Type.
    """

    status: int
    body: bytes = field(default=b"", repr=False)  # an offer has the token of a connection
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_chunked: bool = False


POLL_HEADERS: Final = {
    "Cache-Control": "no-cache, no-store",
    "Pragma": "no-cache",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}
"""Headers of every answer to a poll, refusals included (TL-2)."""


def json_answer(body: bytes) -> HttpAnswer:
    """An answer of negotiate (N-10)."""
    return HttpAnswer(200, body, "application/json")


def plain_answer(status: int, text: str = "") -> HttpAnswer:
    """An answer of type ``text/plain``. Kestrel sends every text in chunks (TG-1b)."""
    return HttpAnswer(status, text.encode(), "text/plain", is_chunked=bool(text))


def hub_bytes_answer(data: bytes) -> HttpAnswer:
    """Bytes of the hub for a poll (TL-3, TL-4)."""
    return HttpAnswer(200, data, "application/octet-stream", POLL_HEADERS)


POLL_STARTED: Final = hub_bytes_answer(b"")
"""The first poll of a connection is answered at once (TL-3)."""

TERMINATED: Final = plain_answer(202)
"""A DELETE is answered before the hub has ended the connection (TL-9)."""

CLIENT_LEFT: Final = plain_answer(400)
"""The client left before its transport was open. This answer does not reach the client."""

NOT_FOUND: Final = HttpAnswer(404)
"""The answer at unknown addresses below a hub's path has no Content-Type (TG-1a)."""
