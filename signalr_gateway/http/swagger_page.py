"""Serves Swagger UI at ``/swagger/index.html``, and the OpenAPI document that it shows (GW-12).

The files of Swagger UI come from the installed package swagger-ui-py (extra ``swagger``), whose
code is not used. Without the package the page says what to install; the document is served in both
cases. The page loads nothing from other hosts. All addresses in the page are relative, so that a
proxy may add a prefix.
"""

from __future__ import annotations

from http import HTTPStatus
from importlib import resources, util
from pathlib import Path

from aiohttp import web

from .access import Access
from .addresses import OPENAPI_DOCUMENT, SWAGGER, SWAGGER_PAGE, at
from .api import problem_response
from .guarded_pages import PageHandler, guarded
from .openapi_documents import OpenApiDocuments
from .request_checks import Refusal
from .send_api import SendApi
from .tracing import request_id_of

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_HTML = "text/html; charset=utf-8"
_SCRIPT = "text/javascript; charset=utf-8"  # browsers cannot parse the bundle without the charset
_ASSETS = {
    "swagger-ui-bundle.js": _SCRIPT,
    "swagger-ui.css": "text/css; charset=utf-8",
    "index.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}


def add_swagger(app: web.Application, document: PageHandler) -> None:
    """Serve the page. The handler `document` serves the document that the page shows."""
    assets = _assets()
    if assets is None:
        page = _text(_own("missing.html"), _HTML, status=HTTPStatus.NOT_IMPLEMENTED)
    else:
        page = _text(_own("index.html"), _HTML)
    handlers = {
        SWAGGER: _redirect(SWAGGER_PAGE.removeprefix("/")),
        f"{SWAGGER}/": _redirect(SWAGGER_PAGE.removeprefix(f"{SWAGGER}/")),
        OPENAPI_DOCUMENT: document,
        SWAGGER_PAGE: page,
        f"{SWAGGER}/initializer.js": _text(_own("initializer.js"), _SCRIPT),
    }
    if assets is not None:
        for name, content_type in _ASSETS.items():
            handlers[f"{SWAGGER}/{name}"] = _file(assets / name, content_type)
    for path, handler in handlers.items():
        app.router.add_get(at(path), handler)


def document_handler(
    documents: OpenApiDocuments, access: Access | None, send_api: SendApi | None
) -> PageHandler:
    """Serve each caller its document.

    `access` decides which callers may read one; None: all callers, who are anonymous. `send_api`
    decides which callers may send to clients; None: no caller.
    """

    async def handler(request: web.Request) -> web.StreamResponse:
        user = None if access is None else access.user(request)
        try:
            may_send = send_api is not None and await send_api.allows(request)
        except Refusal as refusal:
            return problem_response(refusal.problem, request_id_of(request))
        body = documents.of_caller(user, may_send=may_send)
        headers = {**_HEADERS, "Content-Type": "application/json; charset=utf-8"}
        return web.Response(body=body, headers=headers)

    return guarded(access, handler)


def _assets() -> Path | None:
    """The folder with Swagger UI's files, found without running the package's code."""
    spec = util.find_spec("swagger_ui")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "static"
        if all((folder / name).is_file() for name in _ASSETS):
            return folder
    return None


def _own(name: str) -> bytes:
    return (resources.files(__package__) / "swagger" / name).read_bytes()


def _text(body: bytes, content_type: str, status: HTTPStatus = HTTPStatus.OK) -> PageHandler:
    headers = {**_HEADERS, "Content-Type": content_type}

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return handler


def _file(path: Path, content_type: str) -> PageHandler:
    """Serve a file with validators, so that browsers load it again only after a change."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers={**_HEADERS, "Content-Type": content_type})

    return handler


def _redirect(target: str) -> PageHandler:
    """Redirect to a relative address, which keeps the prefix of a proxy."""

    async def handler(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMovedPermanently(target)

    return handler
