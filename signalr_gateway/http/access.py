"""Finds the caller of a request to the API or to a page, and decides whether it is admitted.

The library does the same for requests to the gateway hub, with the same authenticator, requirement
and user ids (GW-39, GW-40, GW-46).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from protocol import Authenticator, Principal
from protocol.relaying import AccessControl, Authorize, Caller, default_user_id, request_data

from ..access.account import account_of
from ..access.call_hook import CallHook, CallHookFailed
from ..orchestration.route import HubRoute
from ..routing.problem_code import ProblemCode
from .problem import Problem

_CALLER: web.RequestKey[Caller] = web.RequestKey("caller")
_ANONYMOUS = Caller(None)
_TEXTS = {
    ProblemCode.NOT_AUTHENTICATED: "This gateway needs credentials that are valid.",
    ProblemCode.NOT_AUTHORIZED: "The caller may not use this gateway.",
    ProblemCode.INTERNAL_ERROR: "The gateway failed to handle the request.",
}


class Access:
    """Finds callers with `authenticator`, and admits those that meet `requirement`.

    Without an authenticator all callers are anonymous. To read a list of hubs and routes, a caller
    has to meet `list_requirement` as well. `call_hook` decides about each call; None allows all.
    `user_id` returns the id of a user.
    """

    def __init__(
        self,
        authenticator: Authenticator | None,
        requirement: Authorize = False,
        list_requirement: Authorize = False,
        call_hook: CallHook | None = None,
        user_id: Callable[[Principal], str | None] = default_user_id,
    ) -> None:
        self.has_authenticator = authenticator is not None
        self._call_hook = call_hook

        def control(*requirements: Authorize) -> AccessControl:
            return AccessControl("the API", _now, authenticator, requirements, user_id)

        self._control = control(requirement)
        self._list_control = control(requirement, list_requirement)

    @staticmethod
    def user(request: web.Request) -> Principal | None:
        """The user of a request that was admitted; None for anonymous callers."""
        return _caller_of(request).user

    @staticmethod
    def user_id(request: web.Request) -> str | None:
        """The id of this user; None for anonymous callers, and for users without an id."""
        return _caller_of(request).user_id

    @staticmethod
    def caller(request: web.Request) -> str:
        """The account of the user of a request; an empty text for anonymous callers."""
        caller = _caller_of(request)
        return "" if caller.user is None else account_of(caller.user, caller.user_id)

    async def admit(self, request: web.Request, *, to_lists: bool = False) -> Problem | None:
        """Return why the request is refused, or None if it is admitted.

        `to_lists`: the answer would be a list of hubs and routes.
        """
        control = self._list_control if to_lists else self._control
        admitted = await control.admit(request_data(request))
        if isinstance(admitted, Caller):
            request[_CALLER] = admitted
            return None
        return _problem(admitted.status, admitted.headers)

    async def refusal_of_call(self, request: web.Request, route: HubRoute) -> Problem | None:
        """Return why a call of an admitted request is refused, or None if it is allowed."""
        if self._call_hook is None:
            return None
        user = self.user(request)
        try:
            if await self._call_hook.allows(user, request_data(request), route):
                return None
        except CallHookFailed:
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, {})
        if user is None and self.has_authenticator:
            return self.challenge(request)
        return Problem(ProblemCode.NOT_AUTHORIZED, "The caller may not call this route.")

    def challenge(self, request: web.Request) -> Problem:
        """The answer to an anonymous request that was admitted, but needs a user."""
        answer = self._control.challenge(request[_CALLER], request_data(request))
        return _problem(answer.status, answer.headers)


def _problem(status: int, headers: Mapping[str, str]) -> Problem:
    match status:
        case HTTPStatus.INTERNAL_SERVER_ERROR:
            code = ProblemCode.INTERNAL_ERROR
        case HTTPStatus.FORBIDDEN:
            code = ProblemCode.NOT_AUTHORIZED
        case _:  # the challenge of the authenticator
            code = ProblemCode.NOT_AUTHENTICATED
    return Problem(code, _TEXTS[code], tuple(headers.items()))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _caller_of(request: web.Request) -> Caller:
    return request[_CALLER] if _CALLER in request else _ANONYMOUS
