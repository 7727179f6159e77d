"""Who may call a method (S-9, A-10)."""

import asyncio
from typing import Any

import pytest

from protocol import Hub, HubCallerContext, HubException, HubOptions, Principal, hub_method
from tests.support.hub_messages import call, failure, result
from tests.support.server_harness import MakeServer

NOBODY = None
ANN = Principal("ann")
ADMIN = Principal("root", frozenset({"admin", "writer"}))


def named(context: HubCallerContext) -> bool:
    return context.user_identifier is not None


async def asked_elsewhere(context: HubCallerContext) -> bool:
    await asyncio.sleep(0)
    return context.user is not None and "admin" in context.user.roles


def broken(context: HubCallerContext) -> bool:
    raise LookupError("secret")


def truthy(context: HubCallerContext) -> Any:
    return context.user


def refusing(context: HubCallerContext) -> bool:
    raise HubException("come back later")


class GuardedHub(Hub):
    ran: list[str]

    @hub_method
    def open(self) -> str:
        return "open"

    @hub_method(authorize=True)
    def any_user(self) -> str:
        return "any user"

    @hub_method(authorize={"admin", "boss"})
    def by_role(self) -> str:
        return "by role"

    @hub_method(authorize=["admin"])
    def by_list(self) -> str:
        return "by list"

    @hub_method(authorize=named)
    def by_function(self) -> str:
        return "by function"

    @hub_method("ByAsync", authorize=asked_elsewhere)
    async def by_async_function(self) -> str:
        return "by async"

    @hub_method(authorize=broken)
    def broken(self) -> str:
        return "never"

    @hub_method(authorize=truthy)
    def truthy(self) -> str:
        return "never"

    @hub_method(authorize=refusing)
    def refusing(self) -> str:
        return "never"


def unauthorized(name: str, id: str = "1") -> Any:
    return failure(f"Failed to invoke '{name}' because user is unauthorized", id)


@pytest.mark.parametrize(
    ("target", "welcome"),
    [
        ("Open", [NOBODY, ANN, ADMIN]),
        ("AnyUser", [ANN, ADMIN]),
        ("ByRole", [ADMIN]),
        ("ByList", [ADMIN]),
        ("ByFunction", [ANN, ADMIN]),
        ("ByAsync", [ADMIN]),
    ],
)
@pytest.mark.parametrize("user", [NOBODY, ANN, ADMIN], ids=["nobody", "ann", "admin"])
async def test_who_may(
    serve: MakeServer, target: str, welcome: list[Principal | None], user: Principal | None
) -> None:
    """S-9, A-10: True, roles, a function of the context, plain or async."""
    client = await serve(GuardedHub).connect(user)
    (answer,) = await client.ask(call(target.lower()))
    if user in welcome:
        assert answer["result"]
    else:
        assert answer == unauthorized(target)


async def test_a_principal_without_an_id_is_a_user(serve: MakeServer) -> None:
    """S-9: a user with a principal is authenticated, even without a user id (G-4)."""
    client = await serve(GuardedHub).connect(Principal())
    assert await client.ask(call("AnyUser"), call("ByFunction", id="2")) == [
        result("any user"),
        unauthorized("ByFunction", "2"),
    ]


async def test_binding_comes_first(serve: MakeServer) -> None:
    """S: parse and bind, then authorization."""
    client = await serve(GuardedHub, HubOptions(enable_detailed_errors=True)).connect()
    assert await client.ask(call("AnyUser", 1)) == [
        failure(
            "Failed to invoke 'AnyUser' due to an error on the server. InvalidDataException: "
            "Invocation provides 1 argument(s) but target expects 0."
        )
    ]


async def test_authorization_comes_before_streams(serve: MakeServer) -> None:
    """S: authorization, then the count of streams (S-12)."""
    client = await serve(GuardedHub).connect()
    assert await client.ask(call("AnyUser", streamIds=["s"])) == [unauthorized("AnyUser")]


async def test_a_check_that_fails(serve: MakeServer) -> None:
    """S-9, S-7, S-8: a function that raises, or returns no bool, refuses the call.

    The call fails like any other.
    """
    client = await serve(GuardedHub).connect(ADMIN)
    assert await client.ask(call("Broken"), call("Refusing", id="2"), call("Truthy", id="3")) == [
        failure("An unexpected error occurred invoking 'Broken' on the server."),
        failure(
            "An unexpected error occurred invoking 'Refusing' on the server."
            " HubException: come back later",
            "2",
        ),
        failure("An unexpected error occurred invoking 'Truthy' on the server.", "3"),
    ]


async def test_a_refusal_takes_a_slot(serve: MakeServer) -> None:
    """P-2: unauthorized calls wait for the slot, and free it again."""
    release = asyncio.Event()

    class SlowHub(GuardedHub):
        @hub_method
        async def hold(self) -> None:
            await release.wait()

    client = await serve(SlowHub).connect()
    assert await client.ask(call("Hold"), call("AnyUser", id="2"), call("Open", id="3")) == []
    release.set()
    assert await client.take() == [result(None), unauthorized("AnyUser", "2"), result("open", "3")]
