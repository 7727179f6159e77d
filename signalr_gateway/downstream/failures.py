"""Maps the exception of a failed call to a problem code and a text for its caller (GW-9, GW-17).

An answer of `http.api` contains both. An error of `clients.gateway_hub` contains the text only.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from protocol import (
    ConnectionClosed,
    HubException,
    MessageTooLargeError,
    StreamOverflowError,
    TranscodingError,
)

from ..routing.problem_code import ProblemCode, RefusedCall
from .call_errors import (
    CallCutOff,
    CircuitOpen,
    GatewayDraining,
    HubBusy,
    HubTimeout,
    HubUnavailable,
    TokenRefused,
    TooManyUsers,
)
from .forms import UnwritableResult


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why a call failed. `text` is for the caller; it may contain the error text of the hub."""

    code: ProblemCode
    text: str
    hint: str | None = None
    """What to change in the configuration, if the error shows it."""
    retry_after: int | None = None
    """Seconds after which the caller may repeat the call, if the error shows it."""


_STREAMS = re.compile("attempted to invoke the streaming '.*' method with a non-streaming")
_DOES_NOT_STREAM = re.compile("attempted to invoke the non-streaming '.*' method with a streaming")


def call_failure(error: Exception, api: str) -> CallFailure | None:
    """The failure that a caller of the hub `api` receives for `error`.

    None for any other exception, which is an error of the gateway itself.
    """
    match error:
        case RefusedCall():
            return CallFailure(error.code, str(error))
        case HubException():
            return CallFailure(ProblemCode.HUB_ERROR, str(error), _hint(str(error)))
        case StreamOverflowError():
            text = f"The items of hub '{api}' were not taken fast enough; the stream is cancelled."
            return CallFailure(ProblemCode.STREAM_OVERFLOW, text)
        case GatewayDraining():
            return CallFailure(ProblemCode.GATEWAY_DRAINING, str(error))
        case TokenRefused():
            return CallFailure(ProblemCode.NOT_AUTHORIZED, str(error))
        case HubBusy() | TooManyUsers():
            return CallFailure(ProblemCode.HUB_BUSY, str(error))
        case CircuitOpen():
            retry_after = max(1, math.ceil(error.retry_after))
            return CallFailure(ProblemCode.HUB_CIRCUIT_OPEN, str(error), retry_after=retry_after)
        case HubUnavailable():
            return CallFailure(ProblemCode.HUB_UNAVAILABLE, str(error))
        case HubTimeout():
            return CallFailure(ProblemCode.HUB_TIMEOUT, str(error))
        case CallCutOff():
            return CallFailure(ProblemCode.HUB_CONNECTION_LOST, str(error))
        case ConnectionClosed():
            text = (
                f"The connection to hub '{api}' was lost before it answered;"
                " it may or may not have run the call."
            )
            return CallFailure(ProblemCode.HUB_CONNECTION_LOST, text)
        case MessageTooLargeError():
            text = (
                f"The invocation has {error.size} bytes, hub '{api}' takes {error.limit};"
                " the option maximum_message_size of the hub sets this."
            )
            return CallFailure(ProblemCode.INVOCATION_TOO_LARGE, text)
        case TranscodingError():
            return CallFailure(ProblemCode.INVALID_JSON, str(error))
        case UnwritableResult():
            return CallFailure(ProblemCode.RESULT_NOT_JSON, str(error))
        case _:
            return None


def _hint(text: str) -> str | None:
    """What to change when the route does not fit the hub method (GW-32)."""
    if _STREAMS.search(text):
        return "The hub method streams: set streams = true in the route."
    if _DOES_NOT_STREAM.search(text):
        return "The hub method does not stream: remove streams = true from the route."
    return None
