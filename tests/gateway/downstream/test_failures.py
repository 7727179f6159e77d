"""GW-9, GW-17: the code and text of a failed call, the same over HTTP and on the gateway hub."""

from __future__ import annotations

import msgspec
import pytest

from protocol import (
    ConnectionClosed,
    HubException,
    LocalProtocolError,
    MessageTooLargeError,
    NotConnectedError,
    Payload,
    ServerTimeoutError,
    TranscodingError,
)
from signalr_gateway.downstream.call_errors import (
    CallCutOff,
    GatewayDraining,
    HubTimeout,
    HubUnavailable,
)
from signalr_gateway.downstream.failures import CallFailure, call_failure
from signalr_gateway.downstream.forms import UnwritableResult, require_form
from signalr_gateway.routing.arguments import InvalidArguments
from signalr_gateway.routing.problem_code import ProblemCode, RefusedCall

LOST = (
    "The connection to hub 'chat' was lost before it answered; it may or may not have run the call."
)
TOO_LARGE = (
    "The invocation has 300 bytes, hub 'chat' takes 200; the option maximum_message_size of the hub"
    " sets this."
)


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RefusedCall(ProblemCode.ROUTE_ONLY_RECEIVES, "no"), ProblemCode.ROUTE_ONLY_RECEIVES, "no"),
        (InvalidArguments(ProblemCode.TOO_DEEP, "deep"), ProblemCode.TOO_DEEP, "deep"),
        (HubException("The room is full."), ProblemCode.HUB_ERROR, "The room is full."),
        (HubUnavailable("chat"), ProblemCode.HUB_UNAVAILABLE, "Hub 'chat' is not connected."),
        (
            GatewayDraining("chat"),
            ProblemCode.GATEWAY_DRAINING,
            "The gateway is shutting down.",
        ),
        (
            HubTimeout("chat", 1.5),
            ProblemCode.HUB_TIMEOUT,
            "Hub 'chat' did not answer within 1.5 seconds.",
        ),
        (
            CallCutOff("chat"),
            ProblemCode.HUB_CONNECTION_LOST,
            "The gateway stopped before hub 'chat' answered; it may or may not have run the call.",
        ),
        (ConnectionClosed("gone"), ProblemCode.HUB_CONNECTION_LOST, LOST),
        (ServerTimeoutError("silent"), ProblemCode.HUB_CONNECTION_LOST, LOST),
        (MessageTooLargeError(300, 200), ProblemCode.INVOCATION_TOO_LARGE, TOO_LARGE),
        (TranscodingError("no form"), ProblemCode.INVALID_JSON, "no form"),
        (UnwritableResult("no form"), ProblemCode.RESULT_NOT_JSON, "no form"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_failures(error: Exception, code: ProblemCode, text: str) -> None:
    assert call_failure(error, "chat") == CallFailure(code, text)


@pytest.mark.parametrize(
    "error", [ValueError("x"), LocalProtocolError("x"), NotConnectedError("x"), TimeoutError()]
)
def test_faults_of_the_gateway_are_none(error: Exception) -> None:
    assert call_failure(error, "chat") is None


@pytest.mark.parametrize(
    ("result", "protocol_name", "text"),
    [
        (Payload({"messagepack": msgspec.Raw(b"\xc1")}), "json", "cannot be written as JSON: "),
        (
            Payload({"json": msgspec.Raw(b"[1")}),
            "messagepack",
            "cannot be written as MessagePack: ",
        ),
    ],
)
async def test_a_result_without_a_form(result: Payload, protocol_name: str, text: str) -> None:
    with pytest.raises(UnwritableResult, match=text) as caught:
        await require_form(result, protocol_name)
    assert str(caught.value).startswith("The hub ran the call, but its result ")
