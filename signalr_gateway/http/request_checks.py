"""What a request needs before its call is made: method, content type, a body in time (GW-9).

A check that fails raises `Refusal`, which `http.api` answers with a problem.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from aiohttp import HttpVersion11, web

from ..clients.client_limits import LimitExceeded
from ..logs.redaction import shortened
from ..routing.problem_code import ProblemCode
from .media_type import is_json
from .problem import Problem


class Refusal(Exception):
    """Ends the handling of a request with a problem answer."""

    def __init__(
        self, code: ProblemCode, detail: str, *headers: tuple[str, str], hint: str | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(code, detail, headers, hint)


def require_method(request: web.Request, *allowed: str) -> None:
    if request.method not in allowed:
        raise Refusal(
            ProblemCode.METHOD_NOT_ALLOWED,
            f"{shortened(request.method)} is not allowed here; allowed is {' or '.join(allowed)}.",
            ("Allow", ", ".join(allowed)),
        )


def require_json(request: web.Request) -> None:
    content_types = request.headers.getall("Content-Type", [])
    if len(content_types) > 1 or (content_types and not is_json(content_types[0])):
        raise Refusal(
            ProblemCode.UNSUPPORTED_MEDIA_TYPE,
            "The body must be JSON in UTF-8; send it as application/json.",
        )
    encodings = request.headers.getall("Content-Encoding", [])
    if encodings and not _are_identity(encodings):
        raise Refusal(
            ProblemCode.UNSUPPORTED_CONTENT_ENCODING,
            "The body must be sent without a content encoding.",
            ("Accept-Encoding", "identity"),
        )


def _are_identity(encodings: Iterable[str]) -> bool:
    names = ",".join(encodings).lower().split(",")
    return all(name.strip() in ("", "identity") for name in names)


async def expect_later(_request: web.Request) -> None:
    """Send no 100 Continue yet; `read_body` sends it when all other checks have succeeded."""


def awaits_continue(request: web.Request) -> bool:
    expect = request.headers.get("Expect", "")
    return expect.lower() == "100-continue" and not request.content.is_eof()


async def read_body(
    request: web.Request, limit: int, too_large: Callable[[], Refusal], seconds: float
) -> bytes:
    """Read the whole body, which must arrive within `seconds`.

    Raises what `too_large` returns if the body has more than `limit` bytes, and another `Refusal`
    if the time is over. There is one time limit for the whole body, because a caller may send one
    byte at a time. It also ends a request with a malformed chunk, whose end aiohttp's parser does
    not report.
    """
    content, size = request.content, request.content_length
    if size is not None and size > limit:
        raise too_large()
    if content.is_eof():  # the body has arrived with the head
        whole = content.read_nowait()
        if len(whole) > limit:
            raise too_large()
        return whole
    if awaits_continue(request) and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # so that aiohttp does not count this as the answer
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while chunk := await content.readany():
                body += chunk
                if len(body) > limit:
                    raise too_large()
    except TimeoutError as exc:
        detail = f"The body did not arrive within {seconds:g} seconds."
        raise Refusal(ProblemCode.BODY_TIMEOUT, detail) from exc
    return bytes(body)


def too_many_requests(exceeded: LimitExceeded) -> Refusal:
    """The refusal of a call or of an attempt to connect beyond a rate."""
    return Refusal(
        ProblemCode.TOO_MANY_REQUESTS,
        f"{exceeded}; the option {exceeded.option} sets this.",
        ("Retry-After", str(exceeded.wait)),
    )


def body_too_large(limit: int) -> Refusal:
    return Refusal(ProblemCode.BODY_TOO_LARGE, f"The body has more than the {limit} bytes allowed.")


def too_large_for_hub(limit: int, api: str) -> Refusal:
    return Refusal(
        ProblemCode.INVOCATION_TOO_LARGE,
        f"The body has more than {limit} bytes, which is too large for hub '{api}'; the option"
        " maximum_message_size of the hub sets this.",
    )
