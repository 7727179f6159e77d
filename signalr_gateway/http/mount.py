"""Adds the paths of the API to the router, and removes the prefix from the paths of requests.

aiohttp's ``add_subapp`` adds a prefix to all paths of an application. The paths in `http.addresses`
have no prefix.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from .addresses import API, HEALTH, at_or_below

_ExpectHandler = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class Mount:
    """The path prefix of one gateway's application; empty if the application is not a subapp.

    `api` is the resource of the API and of health. The prefix is known when the application has
    been added to another one, or has started.
    """

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self.api = app.router.add_resource(at_or_below(API, HEALTH))
        self._unprefixed = self.api.canonical

    def raw_path(self, request: web.Request) -> str:
        """The path of the request as it was sent, without the prefix."""
        return request.rel_url.raw_path[self._prefix_length :]

    def path(self, request: web.Request) -> str:
        """The decoded path in lower case, without the prefix and without slashes at its end.

        The router decodes paths as well, so a request may use any escapes for its path.
        """
        return request.rel_url.path[self._decoded_prefix_length :].lower().rstrip("/")

    def add_handler(self, handler: Handler, expect_handler: _ExpectHandler, *paths: str) -> None:
        """Let `handler` handle the requests to `api`, and to `paths`, which are below it.

        The router finds a path that it knows faster than a path that matches the pattern of `api`.
        """
        for resource in (self.api, *map(self._app.router.add_resource, paths)):
            resource.add_route("*", handler, expect_handler=expect_handler)

    @cached_property
    def _decoded_prefix_length(self) -> int:
        return len(unquote(self.api.canonical[: self._prefix_length]))

    @cached_property
    def _prefix_length(self) -> int:
        return len(self.api.canonical) - len(self._unprefixed)
