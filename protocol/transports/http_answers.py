"""Helpers for requests to a hub endpoint and for their short responses.

They read the query and Accept (0-3, TG-2), and set the headers of short responses (TG-1b).
"""

from typing import Final

from aiohttp import web

from ..aio.context import HttpRequestData

POLL_HEADERS: Final = {  # TL-2
    "Cache-Control": "no-cache, no-store",
    "Pragma": "no-cache",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}
NO_ID: Final = "Connection ID required"
UNKNOWN_ID: Final = "No Connection with that ID"
OTHER_TRANSPORT: Final = "Cannot change transports mid-connection"
_UNTYPED: Final = web.ResponseKey("signalr_untyped", bool)


def accepts_events(request: web.Request) -> bool:
    """Whether Accept names the media type, without parameters, maybe among others (TG-2)."""
    accepted = ",".join(request.headers.getall("Accept", ()))
    return any(part.strip().lower() == "text/event-stream" for part in accepted.split(","))


def query_values(request: web.Request, name: str) -> list[str]:
    """All values of a query key, which ignores case (0-3)."""
    return [value for key, value in request.query.items() if key.lower() == name]


def request_data(request: web.Request) -> HttpRequestData:
    """What hub methods get of a request. Of the request it keeps only the headers alive."""
    return HttpRequestData(
        method=request.method,
        path=request.path,
        query_string=request.query_string,
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


def json_answer(body: bytes) -> web.Response:
    """An answer of negotiate (N-10)."""
    return web.Response(body=body, headers={"Content-Type": "application/json"})


def plain_answer(status: int, text: str | None = None) -> web.Response:
    """``text/plain``, mostly a refusal."""
    response = web.Response(
        status=status, body=text.encode() if text else b"", headers={"Content-Type": "text/plain"}
    )
    if text:
        response.enable_chunked_encoding()  # as Kestrel does with every text (TG-1b)
    return response


def bytes_answer(data: bytes) -> web.Response:
    """Hub bytes for a poll (TL-3, TL-4)."""
    return web.Response(body=data, headers={"Content-Type": "application/octet-stream"})


def without_type(response: web.Response) -> web.Response:
    """One refusal of ASP.NET Core has no Content-Type (TG-4); see ``drop_content_type``."""
    response[_UNTYPED] = True
    return response


async def drop_content_type(_request: web.Request, response: web.StreamResponse) -> None:
    """For ``on_response_prepare``: aiohttp gives every text a type."""
    if response.get(_UNTYPED):
        del response.headers["Content-Type"]
