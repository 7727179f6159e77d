"""Converts aiohttp's requests to plain data, and plain answers to aiohttp's responses."""

from typing import Final

from aiohttp import web

from ...hosting.cors import CorsPolicy
from ...hosting.http_answer import HttpAnswer
from ...server.context import HttpRequestData

CORS: Final = web.RequestKey("signalr_cors", CorsPolicy)
"""The policy for the answer to a request; see ``mark_response``."""


class _UntypedResponse(web.Response):
    """A response without a Content-Type."""


def request_data(request: web.Request) -> HttpRequestData:
    """The request as hub methods see it. Only its headers are shared with aiohttp's request."""
    return HttpRequestData(
        method=request.method,
        path=request.path,
        query_string=request.rel_url.raw_query_string,
        headers=request.headers,
        remote=request.remote,
    )


def without_subprotocols(request: web.Request) -> web.Request:
    """The request without the WebSocket subprotocols that it offers; none is ever chosen.

    aiohttp logs them, and clients put access tokens there.
    """
    if "Sec-WebSocket-Protocol" not in request.headers:
        return request
    return request.clone(
        headers=[
            (name, value)
            for name, value in request.headers.items()
            # clone cannot encode values that were not UTF-8, and an upgrade needs ASCII ones only.
            if name.lower() != "sec-websocket-protocol" and value.isascii()
        ]
    )


def response_of(answer: HttpAnswer) -> web.Response:
    """``answer`` for aiohttp to send; its application needs ``drop_content_type``."""
    headers = dict(answer.headers)
    if answer.content_type is not None:
        headers = {"Content-Type": answer.content_type, **headers}
    kind = _UntypedResponse if answer.content_type is None else web.Response
    response = kind(status=answer.status, body=answer.body, headers=headers)
    if answer.is_chunked:
        response.enable_chunked_encoding()
    return response


async def drop_content_type(_request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: aiohttp gives every body a type."""
    if type(response) is _UntypedResponse:
        response.headers.popall("Content-Type", None)


def mark_origin(policy: CorsPolicy, request: web.Request, response: web.StreamResponse) -> None:
    """Adds the headers of ``policy`` to the answer to ``request``."""
    if policy.varies():
        response.headers.add("Vary", "Origin")
    response.headers.update(policy.permissions(request.headers))


async def mark_response(request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: so that no answer is forgotten, aiohttp's own 500 included."""
    policy = request.get(CORS)
    if policy is not None:
        mark_origin(policy, request, response)
