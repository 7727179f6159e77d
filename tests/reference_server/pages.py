"""The plain HTTP endpoints of the connection scenarios.

Tokens, the journal, hand-written negotiate answers.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from .authentication import create_token
from .journal import Journal

Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_pages(app: web.Application, journal: Journal, stop: Callable[[], None]) -> None:
    """``stop`` is called by ``POST /shutdown``."""

    async def root(_request: web.Request) -> web.Response:
        return _text("SignalR reference server")

    async def token(request: web.Request) -> web.Response:
        query = request.query
        lifetime = float(query.get("lifetime", "3600"))
        return _text(create_token(query["user"], query.get("role"), lifetime))

    async def read_journal(request: web.Request) -> web.Response:
        return _json(journal.read(request.query["tag"]))

    async def clear_journal(request: web.Request) -> web.Response:
        journal.clear(request.query["tag"])
        return web.Response()

    async def redirect(request: web.Request) -> web.Response:
        return _json(
            {
                "url": f"http://{request.host}/auth/required?from=redirect",
                "accessToken": create_token("redirected", None, 3600),
            }
        )

    async def redirect_loop(request: web.Request) -> web.Response:
        return _json({"url": f"http://{request.host}/redirect-loop"})

    async def refuse(_request: web.Request) -> web.Response:
        return _json({"error": "Go away."})

    async def shutdown(_request: web.Request) -> web.Response:
        stop()
        return web.Response()

    app.router.add_get("/", root)
    app.router.add_post("/token", token)
    app.router.add_get("/journal", read_journal)
    app.router.add_delete("/journal", clear_journal)
    app.router.add_post("/redirect/negotiate", redirect)
    app.router.add_post("/redirect-loop/negotiate", redirect_loop)
    app.router.add_post("/redirect-error/negotiate", refuse)
    app.router.add_post("/shutdown", shutdown)


def _text(text: str) -> web.Response:
    """As ASP.NET Core answers with a text: chunked, without a Content-Length."""
    response = web.Response(text=text)
    response.enable_chunked_encoding()
    return response


def _json(value: Any) -> web.Response:
    """As it answers with an object: chunked as well."""
    response = web.json_response(value, dumps=lambda plain: json.dumps(plain, ensure_ascii=False))
    response.enable_chunked_encoding()
    return response
