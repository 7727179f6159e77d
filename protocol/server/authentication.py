"""Principals, and the authenticators that determine the principal of a request (section A).

``authorization`` decides what a principal may do. ``hosting.access`` calls the authenticator of a
path for every request, and decides which connections the principal may use.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .http_request import HttpRequestData

NAME_IDENTIFIER: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
"""The type of the claim that has the user id in .NET."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user. ``clients.user`` matches the user id exactly, with its case.

    ``claims`` are further statements of the credentials about the user, by claim type.
    ``expires_at`` is the time at which the credentials expire, in seconds since the epoch. None
    means that they do not expire.
    """  # G-4

    user_id: str | None = None
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class AuthenticationFailure:
    """The reason why the credentials of a request are refused.

    ``error`` is an error code of RFC 6750. ``description`` is a text for clients; an empty one is
    not sent. Neither may contain credentials.
    """

    description: str = ""
    error: str = "invalid_token"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The answer to a request without sufficient credentials: status and headers, and no body."""

    status: int = 401
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        status: object = self.status
        if not isinstance(status, int) or isinstance(status, bool):
            raise TypeError(f"Challenge.status is a whole number, not {type(status).__name__}.")
        if not 300 <= status <= 599:
            raise ValueError(f"Challenge.status is {status}, not from 300 to 599.")
        headers: object = self.headers
        if not isinstance(headers, Mapping):
            raise TypeError(f"Challenge.headers are a dict, not {type(headers).__name__}.")
        for text in (*headers, *headers.values()):
            if not isinstance(text, str):
                raise TypeError(
                    f"Challenge.headers contain an item of the type {type(text).__name__}, not str."
                )
            if not text.isprintable():
                raise ValueError("Challenge.headers contain a character that HTTP forbids.")


class Authenticator(ABC):
    """Determines the user of a request, and the answer to a client without credentials.

    One authenticator may serve several paths. The application starts it once, before its first
    request, and closes it once, after its last connection has ended.
    """

    @abstractmethod
    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        """Returns the user of a request, None without credentials, or a failure.

        A failure means that the credentials of the request are not valid. If no user is required,
        such a request is anonymous. After an exception the request is answered with 500. The log
        contains the type of the exception and the line that raised it, but not its text.
        """

    def challenge(
        self, request: HttpRequestData, failure: AuthenticationFailure | None
    ) -> Challenge:
        """Returns the answer to a request that needs a user and has none.

        ``failure`` is the result of ``authenticate`` for the request, or None. By default the
        answer is 401 with a challenge for bearer tokens.
        """
        return Challenge(401, {"WWW-Authenticate": bearer_challenge(failure)})

    async def start(self) -> None:  # noqa: B027
        """Prepares for requests, for example loads keys.

        After an exception the application does not start.
        """

    async def close(self) -> None:  # noqa: B027
        """Releases the resources of ``start``."""


Authentication = Principal | AuthenticationFailure | None
Authenticate = Callable[[HttpRequestData], Authentication | Awaitable[Authentication]]


class CallableAuthenticator(Authenticator):
    """The authenticator of a function, plain or async, that returns the user of a request."""

    def __init__(self, function: Authenticate) -> None:
        self._function = function

    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        """See Authenticator."""
        result = self._function(request)
        return await result if inspect.isawaitable(result) else result


def authenticator_of(authenticate: Authenticator | Authenticate) -> Authenticator:
    """The authenticator of the option ``authenticate``, which may be a function."""
    if isinstance(authenticate, Authenticator):
        return authenticate
    return CallableAuthenticator(authenticate)


def bearer_challenge(failure: AuthenticationFailure | None) -> str:
    """The value of ``WWW-Authenticate`` that asks for a bearer token and describes ``failure``."""
    if failure is None:
        return "Bearer"
    challenge = f'Bearer error="{_quotable(failure.error)}"'
    if failure.description:
        challenge += f', error_description="{_quotable(failure.description)}"'
    return challenge


def default_user_id(user: Principal) -> str | None:
    """The user id of a principal: its ``user_id``, or else the id in its claims."""
    if user.user_id is not None:
        return user.user_id
    for claim in (NAME_IDENTIFIER, "sub"):
        value = user.claims.get(claim)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    return None


def _quotable(text: str) -> str:
    """Replaces the characters of ``text`` that RFC 6750 does not allow in a quoted parameter."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
