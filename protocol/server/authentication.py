"""Who sends a request: principals, and the authenticators that determine them (section A).

``authorization`` decides what a principal may do. ``hosting.admission`` asks the authenticator of a
path for every request, and decides which connections the principal may use.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .http_request import HttpRequestData

_NAME_IDENTIFIER: Final = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user. ``clients.user`` matches the user id exactly, with its case.

    ``claims`` is what else the credentials say about the user; its keys are claim types.
    ``expires_at`` is when the credentials expire, in seconds since the epoch; None: never.
    """  # G-4

    user_id: str | None = None
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class AuthenticationFailure:
    """Why the credentials of a request were refused.

    Clients and the log get both texts, so neither contains credentials. ``error`` is an error code
    of RFC 6750. An empty ``description`` is not sent.
    """

    description: str = ""
    error: str = "invalid_token"


@dataclass(frozen=True, slots=True)
class Challenge:
    """The answer to a request without sufficient credentials: status and headers, and no body."""

    status: int = 401
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Authenticator(ABC):
    """Determines the user of a request, and how a client without credentials is answered.

    One authenticator may serve several paths. The application starts it once, before its first
    request, and closes it once, after its last connection has ended.
    """

    @abstractmethod
    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        """Returns the user of a request, or None if it carries no credentials.

        A failure says that it carries credentials which are not valid. Where nothing is required,
        such a request is anonymous. If this raises an exception, the request is answered with 500.
        The log has the type of the exception and the line that raised it, but not its text.
        """

    def challenge(
        self, request: HttpRequestData, failure: AuthenticationFailure | None
    ) -> Challenge:
        """Returns the answer to a request that needs a user and has none.

        ``failure`` is what ``authenticate`` returned for it, or None. By default the answer is 401
        with a challenge for bearer tokens.
        """
        return Challenge(401, {"WWW-Authenticate": bearer_challenge(failure)})

    async def start(self) -> None:  # noqa: B027
        """Prepares for requests, for example loads keys. An exception stops the application."""

    async def close(self) -> None:  # noqa: B027
        """Releases what ``start`` has acquired."""


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
    """The authenticator that an endpoint is configured with, as an object."""
    if isinstance(authenticate, Authenticator):
        return authenticate
    return CallableAuthenticator(authenticate)


def bearer_challenge(failure: AuthenticationFailure | None) -> str:
    """The value of ``WWW-Authenticate`` that asks for a bearer token, and says what was wrong."""
    if failure is None:
        return "Bearer"
    challenge = f'Bearer error="{_quotable(failure.error)}"'
    if failure.description:
        challenge += f', error_description="{_quotable(failure.description)}"'
    return challenge


def default_user_id(user: Principal) -> str | None:
    """The user id of a principal: its own, or else the one that its claims name."""
    if user.user_id is not None:
        return user.user_id
    for claim in (_NAME_IDENTIFIER, "sub"):
        value = user.claims.get(claim)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    return None


def _quotable(text: str) -> str:
    """``text`` with only those characters that RFC 6750 allows in a quoted parameter."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
