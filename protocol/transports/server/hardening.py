"""Headers of all answers: browsers guess no types, and nothing shows a version (TG-16, GW-31).

aiohttp itself answers requests that are not HTTP. To change these answers, this module uses private
names of aiohttp: ``Request._prepare_hook``, and the argument ``_cls`` of the function that makes
requests. If these names are missing, such answers stay as aiohttp writes them.
"""

import inspect
from functools import partial
from typing import Any, Final

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE

_SERVER: Final = "aiohttp"


def harden(response: web.StreamResponse) -> None:
    """Keeps browsers from guessing the type of the body, and hides the versions of the server.

    It is called when aiohttp has completed the headers, as in ``on_response_prepare``.
    """
    headers = response.headers
    if response.status != 101:
        headers["X-Content-Type-Options"] = "nosniff"
    if headers.get("Server") == SERVER_SOFTWARE:
        headers["Server"] = _SERVER


class _Request(web.Request):
    """A request whose answers are all hardened, also those that no application prepares."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        harden(response)


def harden_server(server: web.Server) -> None:
    """Hardens all answers of ``server``, the server of an ``AppRunner`` after its ``setup``."""
    factory: Any = server.request_factory
    if "_cls" in inspect.signature(factory).parameters:
        server.request_factory = partial(factory, _cls=_Request)
