"""Checks users against the requirement ``authorize`` of endpoints, hub classes and hub methods.

``authentication`` determines the user. ``hosting.access`` refuses requests, and ``call_checks``
refuses calls.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from ..option_checks import require_function
from .authentication import Principal
from .http_request import HttpRequestData


class AuthorizationContext(Protocol):
    """The argument of a policy: a HubCallerContext, or a request that has no connection yet.

    ``user`` is None for an anonymous user.
    """

    @property
    def user(self) -> Principal | None:
        """The user of the request or of the connection."""

    @property
    def http_request(self) -> HttpRequestData:
        """The request itself, or the request that opened the transport of the connection."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The AuthorizationContext of a request."""

    user: Principal | None
    http_request: HttpRequestData


Authorize = bool | Collection[str] | Callable[[Any], bool | Awaitable[bool]]
"""A requirement. False allows everyone. True allows any user. A collection of roles allows users in
at least one of these roles. A policy, which is a function of the AuthorizationContext, plain or
async, allows users for which it returns True. A value other than True and False is an error."""


async def is_authorized(authorize: Authorize, context: AuthorizationContext) -> bool:
    """Whether the user of ``context`` meets the requirement.

    Raises NotABoolError if a policy returns another value, and the exceptions of a policy.
    """
    if callable(authorize):
        allowed = authorize(context)
        return require_bool(await allowed if inspect.isawaitable(allowed) else allowed)
    if not authorize:
        return True
    user = context.user
    if user is None or isinstance(authorize, bool):
        return user is not None
    return not user.roles.isdisjoint(authorize)


class NotABoolError(TypeError):
    """A function that decides has returned neither True nor False, so there is no decision."""


def require_bool(decision: object) -> bool:
    """Returns the result of a function that decides. Raises NotABoolError if it is not a bool.

    Another truthy value is a mistake, such as a claim that is not compared, and must allow nothing.
    """
    if not isinstance(decision, bool):
        raise NotABoolError(f"expected True or False, got {type(decision).__name__}")
    return decision


def needs_user(authorize: Authorize) -> bool:
    """Whether no anonymous user can meet the requirement. A policy may allow anonymous users."""
    return not callable(authorize) and authorize is not False


def require_authorize(authorize: object, what: str = "authorize") -> None:
    """Raises TypeError if ``authorize`` is not a requirement, or is a collection without a role.

    ``what`` names the requirement in the error text.
    """
    if callable(authorize):
        require_function(authorize, what)
    elif not isinstance(authorize, bool):
        if isinstance(authorize, str) or not isinstance(authorize, Collection):
            raise TypeError(
                f"{what} is a bool, a collection of roles or a function, not {authorize!r}."
            )
        if not authorize:
            raise TypeError(f"{what} contains no role: no client could meet it.")
