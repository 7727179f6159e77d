"""What a user may do: the requirement ``authorize`` of endpoints, hub classes and hub methods.

``authentication`` determines the user. ``hosting.admission`` and ``call_checks`` refuse what this
module does not allow.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from ..option_checks import require_function
from .authentication import Principal
from .http_request import HttpRequestData


class AuthorizationContext(Protocol):
    """What a policy decides about: a HubCallerContext, or a request that has no connection yet.

    ``user`` is None for an anonymous user.
    """

    @property
    def user(self) -> Principal | None:
        """The user of the request or of the connection."""

    @property
    def http_request(self) -> HttpRequestData:
        """The request itself, or the one that opened the transport of the connection."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The AuthorizationContext of a request."""

    user: Principal | None
    http_request: HttpRequestData


Authorize = bool | Collection[str] | Callable[[Any], bool | Awaitable[bool]]
"""False: everyone. True: any user. A collection of roles: users in at least one of them. A policy,
which is a function of the AuthorizationContext, plain or async: those for which it returns True."""


async def is_authorized(authorize: Authorize, context: AuthorizationContext) -> bool:
    """Whether the user of ``context`` meets the requirement. Raises what a policy raises."""
    if callable(authorize):
        allowed = authorize(context)
        return bool(await allowed if inspect.isawaitable(allowed) else allowed)
    if not authorize:
        return True
    user = context.user
    if user is None or isinstance(authorize, bool):
        return user is not None
    return not user.roles.isdisjoint(authorize)


def needs_user(authorize: Authorize) -> bool:
    """Whether no anonymous user can meet the requirement. A policy may let anonymous users pass."""
    return not callable(authorize) and authorize is not False


def require_authorize(authorize: object, what: str = "authorize") -> None:
    """Raises TypeError if ``authorize`` is no requirement, or a collection without a role.

    The error calls it ``what``.
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
