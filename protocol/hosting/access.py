"""Decides which users may use a path, and which user may use a connection.

Authenticates and authorizes requests (A-1), and compares their user with the user of a connection
(A-6, A-9). ``hub_endpoint`` chooses what a request does.
"""

import logging
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from ..server.authentication import (
    AuthenticationFailure,
    Authenticator,
    Principal,
    default_user_id,
)
from ..server.authorization import Authorize, RequestContext, is_authorized
from ..server.http_request import HttpRequestData
from .http_answer import HttpAnswer
from .http_connections import HttpConnection

logger = logging.getLogger(__name__)

_BETWEEN_LINES: Final = 60.0  # seconds
_FAILED: Final = HttpAnswer(500)


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

    async def admit(self, request: HttpRequestData) -> Principal | HttpAnswer | None:
        """The user of a request (None if anonymous), or the answer that refuses the request.

        An exception of the authenticator or of a policy is logged, and the answer is 500. The
        exception is not raised, because its text may quote credentials.
        """
        try:
            return await self._admit(request)
        except Exception as error:
            self._log(logging.ERROR, f"a request was not admitted: {_type_and_place(error)}")
            return _FAILED

    async def _admit(self, request: HttpRequestData) -> Principal | HttpAnswer | None:
        user = failure = None
        if self._authenticator is not None:
            authentication: object = await self._authenticator.authenticate(request)
            if isinstance(authentication, Principal):
                user = authentication
            elif isinstance(authentication, AuthenticationFailure):
                failure = authentication
            elif authentication is not None:  # a truthy result does not count as a user
                self._log(
                    logging.ERROR,
                    "a request was not admitted: authenticate returned "
                    f"{type(authentication).__name__}, not a Principal, an AuthenticationFailure "
                    "or None",
                )
                return _FAILED
        if user is not None:
            self._user_id(user)  # if it raises an exception, it does so before a transport opens
        for requirement in self._requirements:
            if not await is_authorized(requirement, RequestContext(user, request)):
                break
        else:
            return user
        if user is not None or self._authenticator is None:
            self._log(logging.INFO, "a request was refused: its user is not authorized")
            return HttpAnswer(403)
        self._log(
            logging.INFO,
            "a request was refused: it has no credentials"
            if failure is None
            else "a request was refused: its credentials are not valid",
        )
        challenge = self._authenticator.challenge(request, failure)
        return HttpAnswer(challenge.status, headers=challenge.headers)

    def may_use(self, connection: HttpConnection, user: Principal | None) -> bool:
        """Whether a user of this path may use a connection (A-9).

        The connection must have no user yet, or the same user of the same path. The path matters,
        because equal ids of two paths may be different users, and the paths may have different
        requirements.
        """
        if connection.user_path is None:
            return True
        if connection.user_path == self._path and self._is_same(connection.user, user):
            return True
        self._log(logging.WARNING, "a request was refused: the connection is that of another user")
        return False

    def _is_same(self, one: Principal | None, other: Principal | None) -> bool:
        if one is None or other is None:
            return one is other
        return self._user_id(one) == self._user_id(other)

    def _log(self, level: int, text: str) -> None:
        """Logs a line once a minute at most, because any client can cause it."""
        now = self._clock()
        if now >= self._next_line_at.get(text, now):
            self._next_line_at[text] = now + _BETWEEN_LINES
            logger.log(level, "%s: %s.", self._path, text)


def _type_and_place(error: Exception) -> str:
    """The type of an exception and the line that raised it, without its text."""
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    return f"{type(error).__name__} in {Path(frame.f_code.co_filename).name}, line {line}"
