"""Checks before a call runs: authorization, and whether the method answers this kind of call.

The order of the checks decides which error a caller gets. ``answers`` sends the error.
"""

from ..errors import HubException
from .answers import RefusedCall
from .authorization import is_authorized
from .connection_context import HubConnectionContext
from .hub import HubMethod


async def check_call(
    method: HubMethod, connection: HubConnectionContext, *, is_streamed: bool, streams: int
) -> None:
    """Raises RefusedCall or HubException if the call may not run.

    ``is_streamed`` says whether the caller expects a stream. ``streams`` is the number of streams
    that it uploads.
    """
    name = method.name
    if method.authorize and not await is_authorized(method.authorize, connection):
        connection.log.refused_call(name, "the user is not authorized")
        raise RefusedCall(f"Failed to invoke '{name}' because user is unauthorized")  # S-9
    require_kind(method, is_streamed=is_streamed)
    expected = len(method.signature.uploads)
    if streams != expected:  # S-12
        raise HubException(f"Client sent {streams} stream(s), Hub method expects {expected}.")


def require_kind(method: HubMethod, *, is_streamed: bool) -> None:
    """Raises RefusedCall if the method streams and the caller expects no stream, or the reverse."""

    # S-10, S-11
    if method.signature.is_streaming != is_streamed:
        kind, wrong = (
            ("non-streaming", "streaming") if is_streamed else ("streaming", "non-streaming")
        )
        raise RefusedCall(
            f"The client attempted to invoke the {kind} '{method.name}' method with a {wrong} "
            "invocation."
        )
