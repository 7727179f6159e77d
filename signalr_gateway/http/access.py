"""Asks who sends a request to the API or to a page, and whether this caller may use the gateway.

The library asks the same questions for requests to the gateway hub, with the same authenticator
and the same requirement (GW-39, GW-40).
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from protocol import Authenticator, Principal
from protocol.relaying import AccessControl, Authorize, Caller, default_user_id, request_data

from ..routing.problem_code import ProblemCode
from .problem import Problem

_USER: web.RequestKey[Principal | None] = web.RequestKey("user")
_TEXTS = {
    ProblemCode.NOT_AUTHENTICATED: "This gateway needs credentials that are valid.",
    ProblemCode.NOT_AUTHORIZED: "The caller may not use this gateway.",
    ProblemCode.INTERNAL_ERROR: "The gateway failed to handle the request.",
}


class Access:
    """Who sends a request, as `authenticator` says; each caller has to meet `requirement`.

    Without an authenticator all callers are anonymous.
    """

    def __init__(self, authenticator: Authenticator | None, requirement: Authorize) -> None:
        self._authenticator = authenticator
        self._requirement = requirement
        self._control: AccessControl | None = None

    @staticmethod
    def user(request: web.Request) -> Principal | None:
        """The user of a request that was admitted; None for anonymous callers."""
        return request[_USER]

    @staticmethod
    def caller(request: web.Request) -> str:
        """A text that is the same for all requests of one user; empty for anonymous callers.

        Users without an id count as one user. The request was admitted.
        """
        user = request[_USER]
        return "" if user is None else f"user {default_user_id(user) or ''}"

    async def admit(self, request: web.Request) -> Principal | Problem | None:
        """Return the user of the request, None if it is anonymous, or why it is refused."""
        if self._control is None:
            clock = asyncio.get_running_loop().time
            self._control = AccessControl(
                "the API", clock, self._authenticator, [self._requirement]
            )
        admitted = await self._control.admit(request_data(request))
        if isinstance(admitted, Caller):
            request[_USER] = admitted.user
            return admitted.user
        match admitted.status:
            case HTTPStatus.INTERNAL_SERVER_ERROR:
                code = ProblemCode.INTERNAL_ERROR
            case HTTPStatus.FORBIDDEN:
                code = ProblemCode.NOT_AUTHORIZED
            case _:  # the challenge of the authenticator
                code = ProblemCode.NOT_AUTHENTICATED
        return Problem(code, _TEXTS[code], tuple(admitted.headers.items()))
