"""Headers of the answers to requests that are not HTTP, which reach no application (GW-31).

aiohttp answers them itself, and names its version and Python's. The way to change this uses private
names of aiohttp. Where they are missing, such answers stay as aiohttp writes them.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from aiohttp import web

from protocol.relaying import harden


class _Request(web.Request):
    """A request whose answers are all hardened, also those that no application prepares."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        harden(response)


def harden_refusals(server: web.Server) -> None:
    """Harden all answers of `server`."""
    factory: Any = server.request_factory
    if "_cls" in inspect.signature(factory).parameters:
        server.request_factory = partial(factory, _cls=_Request)
