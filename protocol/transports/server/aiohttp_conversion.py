"""Converts aiohttp's requests to plain data, and plain answers to aiohttp's responses."""

from collections.abc import Iterable, Mapping
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from ...hosting.cors import CorsPolicy
from ...hosting.http_answer import HttpAnswer
from ...server.http_request import HttpRequestData
from .hardening import harden

CORS: Final = web.RequestKey("signalr_cors", CorsPolicy)
"""The CORS policy for the answer to a request; see ``complete_headers``."""


_NOT_COPIED: Final = ("connection", "sec-websocket-protocol", "upgrade")


class _Response(web.Response):
    """A response that may be sent without a Content-Type, and in chunks if the request allows."""

    has_content_type = True
    is_chunked = False

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        # aiohttp raises an exception for chunks in other versions of HTTP.
        if self.is_chunked and request.version == HttpVersion11:
            self.enable_chunked_encoding()
        return await super().prepare(request)


def request_data(request: web.Request) -> HttpRequestData:
    """The request as plain data. Its headers may be the same object as those of ``request``."""
    return HttpRequestData(
        method=request.method,
        path=request.path,
        query_string=request.raw_path.partition("?")[2],
        headers=_headers(request),
        remote=request.remote,
    )


def _headers(request: web.Request) -> Mapping[str, str]:
    """The headers of a request with one value for each name (TG-13)."""
    headers = request.headers
    names = set(map(str.lower, headers))
    if len(names) == len(headers):
        return headers
    combined = headers.copy()
    for name in names:
        values = headers.getall(name)
        if len(values) > 1:
            combined[name] = ",".join(filter(None, values))
    return combined


def upgrade_request(request: web.Request) -> web.Request:
    """The request in the form in which aiohttp can upgrade it to a WebSocket.

    The header with subprotocols is removed: the server never chooses one. aiohttp would log the
    header, and some clients send access tokens in it. aiohttp does not read a list in ``Upgrade``
    or a second ``Connection`` header. So these keep only the items that a WebSocket needs (TG-2).
    """
    headers = request.headers
    upgrade, connection = (_items(headers.getall(name, ())) for name in ("Upgrade", "Connection"))
    is_plain = len(upgrade) < 2 and len(headers.getall("Connection", ())) < 2
    if is_plain and "Sec-WebSocket-Protocol" not in headers:
        return request
    kept = [
        (name, value)
        for name, value in headers.items()
        # ``clone`` cannot encode values that were not UTF-8. An upgrade needs only ASCII values.
        if name.lower() not in _NOT_COPIED and value.isascii()
    ]
    if "websocket" in upgrade:
        kept.append(("Upgrade", "websocket"))
    if "upgrade" in connection:
        kept.append(("Connection", "Upgrade"))
    return request.clone(headers=kept)


def _items(values: Iterable[str]) -> list[str]:
    """The items of a header that is a list, in lower case."""
    return [item.strip() for item in ",".join(values).lower().split(",")]


def response_of(answer: HttpAnswer) -> web.Response:
    """Converts an answer to a response of aiohttp.

    The application needs ``complete_headers`` in ``on_response_prepare``.
    """
    headers = dict(answer.headers)
    if answer.content_type is not None:
        headers = {"Content-Type": answer.content_type, **headers}
    response = _Response(status=answer.status, body=answer.body, headers=headers)
    response.has_content_type = answer.content_type is not None
    response.is_chunked = answer.is_chunked
    return response


def mark_origin(policy: CorsPolicy, request: web.Request, response: web.StreamResponse) -> None:
    """Adds the headers of ``policy`` to the answer to ``request``."""
    if policy.varies():
        response.headers.add("Vary", "Origin")
    response.headers.update(policy.permissions(request.headers))


async def complete_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: completes the headers of an answer.

    Adds the CORS and security headers to the answers of hubs, also to aiohttp's own answer 500.
    Removes the Content-Type that aiohttp adds to every body.
    """
    if isinstance(response, _Response) and not response.has_content_type:
        response.headers.popall("Content-Type", None)
    policy = request.get(CORS)
    if policy is not None:
        mark_origin(policy, request, response)
        harden(response)
