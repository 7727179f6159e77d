"""Whether another gateway takes the events of a relay (GW-64).

A gateway accepts a connection without valid credentials if its clients need none. Only an answer to
`RECEIVE` shows whether the key of the relay is right.
"""

from __future__ import annotations

from typing import Final

import msgspec

from protocol import HubConnection, HubException, SignalRError

RECEIVE: Final = "Receive"
"""The method of the gateway hub that a relay calls."""

_REFUSALS: Final = {
    f"Failed to invoke '{RECEIVE}' because user is unauthorized": (
        "the other gateway takes no events with this key: it is missing, wrong, or without the"
        " scope 'relay'"
    ),
    f"Failed to invoke '{RECEIVE}' due to an error on the server."
    " HubException: Method does not exist.": "the other gateway takes no relayed events",
}
"""The answers of gateways that take no event, and what each means (S-4, S-9)."""


class RelayRefused(SignalRError):
    """The other gateway takes no events of this relay."""


def refusal(answer: HubException) -> RelayRefused | None:
    """Why the other gateway takes no event at all; None if `answer` is about one event only."""
    reason = _REFUSALS.get(str(answer))
    return None if reason is None else RelayRefused(reason)


async def require_acceptance(connection: HubConnection) -> None:
    """Ask the other gateway whether it takes events, by a call of `RECEIVE` without an event.

    Raises `RelayRefused`, and what `invoke` raises when the connection ends. A gateway of the
    original may answer with another error, which has no effect.
    """
    try:
        await connection.invoke(RECEIVE, None, None, None, None, result_type=msgspec.Raw)
    except HubException as exc:
        refused = refusal(exc)
        if refused is not None:
            raise refused from None
