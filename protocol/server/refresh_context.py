"""The request of a client that replaces its access token, as the application's function gets it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .authentication import Principal
from .http_request import HttpRequestData


@dataclass(frozen=True, slots=True)
class AuthenticationRefreshContext:
    """A request that replaces the user of an open connection.

    ``user`` is the present user of the connection. ``new_user`` is the user of ``http_request``,
    which brings a new access token.
    """

    connection_id: str
    user: Principal | None
    new_user: Principal
    http_request: HttpRequestData


AcceptRefresh = Callable[[AuthenticationRefreshContext], bool | Awaitable[bool]]
"""Returns whether the new user is accepted."""
