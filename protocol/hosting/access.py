"""Decides which users may use a path, and which user may use a connection.

Authenticates and authorizes requests (A-1), and compares their user with the user of a connection
(A-6, A-9). ``hub_endpoint`` chooses what a request does.
"""

import logging
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..server.authentication import (
    AuthenticationFailure,
    Authenticator,
    Challenge,
    Principal,
    default_user_id,
)
from ..server.authorization import Authorize, RequestContext, is_authorized
from ..server.http_request import HttpRequestData
from .http_answer import HttpAnswer, plain_answer
from .http_connections import HttpConnection

logger = logging.getLogger(__name__)

_BETWEEN_LINES: Final = 60.0  # seconds
_FAILED: Final = HttpAnswer(500)
_GREATEST_TIME: Final = 1e300  # the difference of two such times is a finite float


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends an admitted request: its user (None if anonymous) and the id of the user.

    ``failure`` is the reason why the request is anonymous although it has credentials.
    """

    user: Principal | None
    user_id: str | None = None  # determined once, because the function may fail later
    failure: AuthenticationFailure | None = None


class AccessControl:
    """Decides about the requests to one path. ``clock`` returns seconds of a monotonic clock.

    Requests have to meet all ``requirements``. ``user_id`` returns the id by which users of this
    path are distinguished. Users without an id count as one user.
    """

    def __init__(
        self,
        path: str,
        clock: Callable[[], float],
        authenticator: Authenticator | None,
        requirements: Iterable[Authorize] = (),
        user_id: Callable[[Principal], str | None] = default_user_id,
    ) -> None:
        self._path = path
        self._clock = clock
        self._authenticator = authenticator
        self._requirements = [each for each in requirements if each is not False]
        self._user_id = user_id
        self._next_line_at: dict[str, float] = {}

    async def admit(self, request: HttpRequestData) -> Caller | HttpAnswer:
        """The caller of a request, or the answer that refuses the request.

        An exception of the authenticator or of a policy is logged, and the answer is 500. The
        exception is not raised, because its text may quote credentials.
        """
        try:
            return await self._admit(request)
        except Exception as error:
            return self.failed(error)

    def failed(self, error: Exception) -> HttpAnswer:
        """Logs the exception of a function of the application, and returns the answer 500."""
        return self._not_admitted(type_and_place(error))

    async def _admit(self, request: HttpRequestData) -> Caller | HttpAnswer:
        user = failure = None
        if self._authenticator is not None:
            authentication: object = await self._authenticator.authenticate(request)
            if isinstance(authentication, Principal):
                user = authentication
            elif isinstance(authentication, AuthenticationFailure):
                failure = authentication
            elif authentication is not None:  # a truthy result does not count as a user
                return self._not_admitted(
                    f"authenticate returned {type(authentication).__name__}, not a Principal, an "
                    "AuthenticationFailure or None"
                )
        caller = Caller(None, failure=failure)
        if user is not None:
            if fault := _fault_of(user):
                return self._not_admitted(f"authenticate returned a Principal whose {fault}")
            user_id: object = self._user_id(user)
            if not isinstance(user_id, str | None):
                return self._not_admitted(f"a user id has the type {_kind(user_id)}, not str")
            caller = Caller(user, user_id)
        for requirement in self._requirements:
            if not await is_authorized(requirement, RequestContext(user, request)):
                break
        else:
            return caller
        if user is not None or self._authenticator is None:
            self._log(logging.INFO, "a request was refused: its user is not authorized")
            return HttpAnswer(403)
        self._log(
            logging.INFO,
            "a request was refused: it has no credentials"
            if failure is None
            else "a request was refused: its credentials are not valid",
        )
        return self._challenge(self._authenticator, request, failure)

    def _challenge(
        self,
        authenticator: Authenticator,
        request: HttpRequestData,
        failure: AuthenticationFailure | None,
    ) -> HttpAnswer:
        challenge: object = authenticator.challenge(request, failure)
        if not isinstance(challenge, Challenge):
            return self._not_admitted(f"challenge returned {_kind(challenge)}, not a Challenge")
        return HttpAnswer(challenge.status, headers=challenge.headers)

    def challenge(self, caller: Caller, request: HttpRequestData) -> HttpAnswer:
        """The answer to a request that was admitted and needs a user, but is anonymous."""
        if self._authenticator is None:
            return HttpAnswer(403)
        try:
            return self._challenge(self._authenticator, request, caller.failure)
        except Exception as error:
            return self.failed(error)

    def refusal(
        self, connection: HttpConnection, caller: Caller, request: HttpRequestData
    ) -> HttpAnswer | None:
        """The answer to a request of a caller who may not use the connection, or None (A-9).

        A caller whose credentials are not valid gets the challenge, so that a client with an
        expired token repeats the request with a new one (A-5). Another user gets 403.
        """
        if self.may_use(connection, caller):
            return None
        if caller.failure is None or connection.user_path != self._path:
            text = "a request was refused: the connection is that of another user"
            self._log(logging.WARNING, text)
            return plain_answer(403)
        self._log(logging.INFO, "a request was refused: its credentials are not valid")
        return self.challenge(caller, request)

    def may_use(self, connection: HttpConnection, caller: Caller) -> bool:
        """Whether a caller at this path may use a connection (A-9).

        The connection must have no user yet, or the same user of the same path. The path matters,
        because equal ids of two paths may be different users, and the paths may have different
        requirements.
        """
        if connection.user_path is None:
            return True
        is_same = (connection.user is None) == (caller.user is None)
        is_here = connection.user_path == self._path
        return is_same and is_here and connection.user_id == caller.user_id

    def _not_admitted(self, reason: str) -> HttpAnswer:
        self._log(logging.ERROR, f"a request was not admitted: {reason}")
        return _FAILED

    def _log(self, level: int, text: str) -> None:
        """Logs a line once a minute at most, because any client can cause it."""
        now = self._clock()
        if now >= self._next_line_at.get(text, now):
            self._next_line_at[text] = now + _BETWEEN_LINES
            logger.log(level, "%s: %s.", self._path, text)


def type_and_place(error: Exception) -> str:
    """The type of an exception and the line that raised it, without its text."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"{type(error).__name__} in {Path(frame.f_code.co_filename).name}, line {line}"


def _fault_of(user: Principal) -> str | None:
    """What is wrong with the fields of a Principal, without their values; None if nothing is."""
    roles: Any = user.roles
    claims: Any = user.claims
    expires_at: Any = user.expires_at
    if not isinstance(roles, Set):
        return f"roles have the type {_kind(roles)}, not frozenset"
    if not isinstance(claims, Mapping):
        return f"claims have the type {_kind(claims)}, not dict"
    if expires_at is None:
        return None
    if not isinstance(expires_at, int | float) or isinstance(expires_at, bool):
        return f"expires_at has the type {_kind(expires_at)}, not float"
    is_time = abs(expires_at) <= _GREATEST_TIME or abs(expires_at) == math.inf
    return None if is_time else "expires_at is not a time in seconds since the epoch"


def _kind(value: object) -> str:
    return type(value).__name__
