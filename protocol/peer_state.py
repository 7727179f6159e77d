"""The states of a connection, and the one table of what each end may send in each state."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from .messages import (
    Ack,
    CancelInvocation,
    Close,
    Completion,
    Invocation,
    InvocationBindingFailure,
    Ping,
    ReceivedMessage,
    Role,
    Sequence,
    StreamBindingFailure,
    StreamInvocation,
    StreamItem,
)


class PeerState(Enum):
    """The state of a connection as one of its two ends sees it."""

    HANDSHAKE = "handshake"
    """The hub protocol is not agreed yet."""

    CONNECTED = "connected"
    """Both ends may send."""

    HALF_CLOSED_LOCAL = "half-closed (local)"
    """This end has sent its Close."""

    HALF_CLOSED_REMOTE = "half-closed (remote)"
    """The other end sends no more: it has sent its Close, its bytes ended, or it broke a rule."""

    CLOSED = "closed"
    """Neither end may send."""

    @property
    def mirrored(self) -> "PeerState":
        """The same state as the other end sees it."""
        return _MIRRORED.get(self, self)


_MIRRORED: Final = {
    PeerState.HALF_CLOSED_LOCAL: PeerState.HALF_CLOSED_REMOTE,
    PeerState.HALF_CLOSED_REMOTE: PeerState.HALF_CLOSED_LOCAL,
}

_NOTHING: Final[frozenset[type[ReceivedMessage]]] = frozenset()
_EVERYTHING: Final[frozenset[type[ReceivedMessage]]] = frozenset(
    {
        Invocation,
        InvocationBindingFailure,
        StreamItem,
        StreamBindingFailure,
        Completion,
        StreamInvocation,
        CancelInvocation,
        Ping,
        Close,
        Ack,
        Sequence,
    }
)
# A .NET client that gets a StreamInvocation or CancelInvocation closes the connection (C-18).
_BY_SERVERS: Final = _EVERYTHING - {StreamInvocation, CancelInvocation}


def _in_each_state(
    kinds: frozenset[type[ReceivedMessage]],
) -> Mapping[PeerState, frozenset[type[ReceivedMessage]]]:
    return {
        PeerState.HANDSHAKE: _NOTHING,
        PeerState.CONNECTED: kinds,
        PeerState.HALF_CLOSED_LOCAL: _NOTHING,
        PeerState.HALF_CLOSED_REMOTE: kinds,
        PeerState.CLOSED: _NOTHING,
    }


MAY_SEND: Final[Mapping[Role, Mapping[PeerState, frozenset[type[ReceivedMessage]]]]] = {
    Role.CLIENT: _in_each_state(_EVERYTHING),
    Role.SERVER: _in_each_state(_BY_SERVERS),
}
"""By role and state, the kinds of messages that this end may send.

An end may receive the messages that the other end may send in the mirrored state. The table lists
the binding failures, because an Invocation or StreamItem with an unreadable payload is received as
a binding failure.
"""
