"""GW-46: `authorize_call` decides about POSTs and about calls of clients."""

from __future__ import annotations

from typing import Any

import pytest

from protocol import HttpRequestData, HubConnection, HubConnectionBuilder, HubException, Principal
from signalr_gateway import CallContext
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, sample_routes

ECHO = {"Api": "SAMPLE", "Key": "Echo", "Data": 1}
REFUSED = " may not call this route."


def authenticate(request: HttpRequestData) -> Principal | None:
    """The user with the name in the header."""
    name = request.headers.get("X-User")
    return None if name is None else Principal(name)


class Hook:
    """Allows the calls of ann, and records all calls."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str, str, str]] = []

    async def __call__(self, call: CallContext) -> bool:
        name = None if call.user is None else call.user.user_id
        self.asked.append((name, call.http_request.headers["X-Case"], call.api, call.key))
        return name == "ann"


def client(gateway: RunningGateway, **headers: str) -> HubConnection:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return HubConnectionBuilder().with_url(f"{gateway.url}/gatewayhub", headers=sent).build()


async def test_posts(hub: RunningHub) -> None:
    """GW-46: the keys are those of the route, however the path is spelt."""
    hook = Hook()
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authenticate=authenticate,
        authorize=False,
        authorize_call=hook,
    ) as gateway:
        allowed = await gateway.post("SAMPLE/%65cho/", b"[1]", X_User="ann", X_Case="1")
        assert (allowed.status, allowed.body) == (200, b"1")
        refused = await gateway.post("sample/echo", b"[1]", X_User="bob", X_Case="2")
        problem = refused.problem
        assert (problem["code"], problem["detail"]) == ("not-authorized", f"The caller{REFUSED}")
        anonymous = await gateway.post("sample/echo", b"[1]", X_Case="3")
        assert anonymous.problem["code"] == "not-authenticated"
        assert anonymous.headers["WWW-Authenticate"] == "Bearer"
        missing = await gateway.post("sample/missing", b"[1]", X_User="bob", X_Case="4")
        assert missing.problem["code"] == "route-not-found"
    assert hook.asked == [
        ("ann", "1", "sample", "echo"),
        ("bob", "2", "sample", "echo"),
        (None, "3", "sample", "echo"),
    ]
    assert len(hub.calls) == 1


async def test_calls_of_clients(hub: RunningHub) -> None:
    """The request in the context is that which opened the connection."""
    hook = Hook()
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url, receive_key="key"),
        authenticate=authenticate,
        authorize_call=hook,
    ) as gateway:
        call = {**ECHO, "ReceiveKey": "key"}
        async with client(gateway, X_User="ann", X_Case="1") as ann:
            assert await ann.invoke("InvokeDownstreamHub", call) == 1
        async with client(gateway, X_User="bob", X_Case="2") as bob:
            with pytest.raises(HubException, match=REFUSED):
                await bob.invoke("InvokeDownstreamHub", call)
            with pytest.raises(HubException, match=REFUSED):
                _ = [item async for item in bob.stream("StreamDownstreamHub", call)]
            await bob.invoke("SubscribeToRoute", {**call, "UserId": "bob"})  # which is no call
            with pytest.raises(HubException, match="ReceiveKey"):
                await bob.invoke("InvokeDownstreamHub", ECHO)
    assert hook.asked == [
        ("ann", "1", "sample", "echo"),
        *[("bob", "2", "sample", "echo")] * 2,
    ]
    assert len(hub.calls) == 1


async def test_without_authentication(hub: RunningHub) -> None:
    """The requirement may be a function that needs no user."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authorize_call=lambda call: call.key != "echo",
    ) as gateway:
        assert (await gateway.post("sample/echo", b"[1]")).problem["code"] == "not-authorized"
        assert (await gateway.post("sample/nothing", b"[]")).status == 200


@pytest.mark.parametrize("decision", [1, "yes", None])
async def test_a_decision_that_is_no_bool(
    hub: RunningHub, caplog: pytest.LogCaptureFixture, decision: Any
) -> None:
    """GW-46: it is an error, for a POST and for a call of a client, and nothing is called."""
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        authorize_call=lambda _call: decision,
        authorize_orchestration=lambda _context: decision,
    ) as gateway:
        assert (await gateway.post("sample/echo", b"[1]")).problem["code"] == "internal-error"
        listed = await gateway.request("GET", "/api/Gateway/orchestration")
        assert listed.status == 500
        async with gateway.client() as connected:
            with pytest.raises(HubException, match="An unexpected error occurred"):
                await connected.invoke("InvokeDownstreamHub", ECHO)
    assert hub.calls == []
    assert "authorize_call failed: NotABoolError" in caplog.text


async def test_a_hook_that_fails(hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    """500 or an error without a text of the exception, and nothing is called."""

    def fails(call: CallContext) -> Any:
        raise LookupError("hush")

    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url), authorize_call=fails
    ) as gateway:
        assert (await gateway.post("sample/echo", b"[1]")).problem["code"] == "internal-error"
        async with gateway.client() as connected:
            with pytest.raises(HubException, match="An unexpected error occurred"):
                await connected.invoke("InvokeDownstreamHub", ECHO)
    assert hub.calls == []
    assert (
        "route 'sample/echo': authorize_call failed: LookupError in test_call_hook" in caplog.text
    )
    assert "hush" not in caplog.text
