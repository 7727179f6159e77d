"""The user of an open connection: its expiry, and its replacement (A-8, AR-2, AR-4 … AR-6)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from protocol import (
    AuthenticationRefreshContext,
    DefaultHubLifetimeManager,
    HttpRequestData,
    Hub,
    HubConnectionContext,
    HubOptions,
    Principal,
    hub_method,
)
from protocol.server.connection_user import ConnectionUser
from protocol.testing import LoopClock
from tests.support.hub_messages import (
    CLOSE,
    CLOSE_AND_RECONNECT,
    call,
    event,
    item,
    result,
)
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness

EPOCH: Final = 1_800_000_000.0
REQUEST: Final = HttpRequestData("POST", "/hub/refresh", "", {}, None)
QUIET: Final = HubOptions(keep_alive_interval=1e6)
CHANGEABLE: Final = HubOptions(allow_user_identifier_change_on_authentication_refresh=True)


class WallClock:
    """Goes with the clock of the loop, until a test sets it."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.offset = EPOCH - clock.time()

    def __call__(self) -> float:
        return self._clock.time() + self.offset


@pytest.fixture
def wall(clock: LoopClock) -> WallClock:
    return WallClock(clock)


class UserHub(Hub):
    journal: list[Any]
    gate: asyncio.Event

    async def on_disconnected(self, error: Exception | None) -> None:
        self.journal.append(("disconnected", error))

    async def on_authentication_refreshed(self) -> None:
        assert self.context.user is not None
        self.journal.append(("refreshed", self.context.user.claims["n"]))
        await self.clients.caller.send("Refreshed")

    @hub_method
    async def number(self) -> Any:
        assert self.context.user is not None
        return self.context.user.claims["n"]

    @hub_method
    async def wait(self) -> None:
        self.journal.append("+wait")
        await self.gate.wait()
        self.journal.append("-wait")

    @hub_method
    async def tell(self, user: str) -> None:
        await self.clients.user(user).send("Told", user)

    @hub_method
    async def drain(self, items: AsyncIterator[int]) -> int:
        await self.gate.wait()
        return len([each async for each in items])


@pytest.fixture
def hub_class() -> type[UserHub]:
    return type("UserHub", (UserHub,), {"journal": [], "gate": asyncio.Event()})


def user(number: int = 1, expires_in: float | None = None, name: str | None = "ann") -> Principal:
    """Principals with different numbers are those of different access tokens."""
    expires_at = None if expires_in is None else EPOCH + expires_in
    return Principal(name, claims={"n": number}, expires_at=expires_at)


def held(
    harness: ServerHarness, client: MemoryClient, wall: WallClock | None = None, **more: Any
) -> ConnectionUser:
    """The user of a client's connection; with ``wall`` the connection ends when it expires."""
    return ConnectionUser(
        harness.server, client.connection, expiry_clock=wall, accept=more.get("accept")
    )


# ---- expiry


async def test_expiry(
    serve: MakeServer, clock: LoopClock, wall: WallClock, hub_class: type[UserHub]
) -> None:
    """A-8: a Close that allows a reconnect, at the time of expiry; no error for the hub."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(expires_in=100))
    held(harness, client, wall)
    await clock.advance(99.9)
    assert await client.take() == []
    await clock.advance(0.1)
    assert await client.take() == [CLOSE_AND_RECONNECT]
    assert hub_class.journal == [("disconnected", None)]
    assert await client.has_ended()


async def test_a_wall_clock_that_is_set(
    serve: MakeServer, clock: LoopClock, wall: WallClock, hub_class: type[UserHub]
) -> None:
    """A-8: the time of expiry is one of the wall clock, which is read once a minute."""
    harness = serve(hub_class, QUIET)
    early, late = [await harness.connect(user(expires_in=1000)) for _ in range(2)]
    held(harness, early, wall)
    wall.offset += 990
    await clock.advance(59)
    assert await early.take() == []
    await clock.advance(1)
    assert await early.take() == [CLOSE_AND_RECONNECT]
    wall.offset -= 2000
    held(harness, late, wall)
    await clock.advance(900)
    assert await late.take() == []


async def test_no_expiry(
    serve: MakeServer, clock: LoopClock, wall: WallClock, hub_class: type[UserHub]
) -> None:
    """A-8: of anonymous users, and of authentications without an end."""
    harness = serve(hub_class, QUIET)
    for each in (None, user()):
        client = await harness.connect(each)
        held(harness, client, wall)
        await clock.advance(10_000)
        assert await client.take() == []


async def test_an_expired_authentication(
    serve: MakeServer, clock: LoopClock, wall: WallClock, hub_class: type[UserHub]
) -> None:
    """A-8: an authenticator may accept it; the connection ends at once."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(expires_in=-5))
    held(harness, client, wall)
    await clock.advance(0)
    assert await client.take() == [CLOSE_AND_RECONNECT]


async def test_an_expiry_that_is_put_off(
    serve: MakeServer, clock: LoopClock, wall: WallClock, hub_class: type[UserHub]
) -> None:
    """A-8: the newest time counts."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(expires_in=10))
    holder = held(harness, client, wall)
    holder.set_expiry(user(expires_in=20))
    await clock.advance(19)
    assert await client.take() == []
    holder.set_expiry(user())
    await clock.advance(1000)
    assert await client.take() == []
    holder.set_expiry(user(expires_in=5))
    await clock.advance(0)
    assert await client.take() == [CLOSE_AND_RECONNECT]


async def test_an_end_before_the_expiry(
    serve: MakeServer, clock: LoopClock, wall: WallClock, hub_class: type[UserHub]
) -> None:
    """No timer is left, also if a late request renews the authentication."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(expires_in=100))
    holder = held(harness, client, wall)
    client.vanish()
    assert await client.has_ended()
    holder.set_expiry(user(expires_in=200))
    assert clock.timers() == []


# ---- refresh


async def test_a_refresh(serve: MakeServer, hub_class: type[UserHub]) -> None:
    """AR-2, AR-6: calls see the new user, and the hub is told in the order of calls."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1))
    holder = held(harness, client)
    assert await client.ask(call("Number")) == [result(1)]
    assert await holder.refresh(user(2), REQUEST)
    assert holder.user == user(2)
    assert await client.take() == [event("Refreshed")]
    assert await client.ask(call("Number")) == [result(2)]
    assert hub_class.journal == [("refreshed", 2)]


async def test_a_refresh_puts_the_expiry_off(
    serve: MakeServer, clock: LoopClock, wall: WallClock, hub_class: type[UserHub]
) -> None:
    """AR-2, A-8."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1, 10))
    holder = held(harness, client, wall)
    assert await holder.refresh(user(2, 20), REQUEST)
    await clock.advance(19)
    assert await client.take() == [event("Refreshed")]
    await clock.advance(1)
    assert await client.take() == [CLOSE_AND_RECONNECT]


async def test_tokens_that_change_nothing(
    serve: MakeServer, clock: LoopClock, wall: WallClock, hub_class: type[UserHub]
) -> None:
    """AR-4, AR-5: the same one, and an older one; both succeed."""
    asked: list[AuthenticationRefreshContext] = []
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1, 20))
    holder = held(harness, client, wall, accept=asked.append)
    assert await holder.refresh(user(1, 20), REQUEST)
    assert await holder.refresh(user(2, 19), REQUEST)
    assert holder.user == user(1, 20)
    await clock.advance(19.5)
    assert await client.take() == []
    assert (asked, hub_class.journal) == ([], [])


async def test_the_newest_of_two_refreshes(serve: MakeServer, hub_class: type[UserHub]) -> None:
    """AR-4: whichever the application accepts first; it decides about one at a time."""
    gate = asyncio.Event()
    asked: list[Any] = []

    async def accept(context: AuthenticationRefreshContext) -> bool:
        asked.append((context.user, context.new_user))
        await gate.wait()
        return True

    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1, 10))
    holder = held(harness, client, accept=accept)
    newer = asyncio.create_task(holder.refresh(user(3, 30), REQUEST))
    older = asyncio.create_task(holder.refresh(user(2, 20), REQUEST))
    await client.take()
    assert asked == [(user(1, 10), user(3, 30))]
    gate.set()
    assert await newer
    assert await older
    assert holder.user == user(3, 30)
    assert len(asked) == 1


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_refresh_that_the_application_refuses(
    serve: MakeServer, hub_class: type[UserHub], is_async: bool
) -> None:
    """AR-3: the connection is as it was."""
    asked: list[AuthenticationRefreshContext] = []

    def refuse(context: AuthenticationRefreshContext) -> bool:
        asked.append(context)
        return False

    async def refuse_later(context: AuthenticationRefreshContext) -> bool:
        return refuse(context)

    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1))
    holder = held(harness, client, accept=refuse_later if is_async else refuse)
    assert not await holder.refresh(user(2), REQUEST)
    assert asked == [AuthenticationRefreshContext("c1", user(1), user(2), REQUEST)]
    assert holder.user == user(1)
    assert await client.ask(call("Number")) == [result(1)]
    assert hub_class.journal == []


async def test_an_application_that_fails(serve: MakeServer, hub_class: type[UserHub]) -> None:
    """Its exception is the caller's; the next refresh is decided anew."""

    def fail(_: AuthenticationRefreshContext) -> bool:
        raise LookupError

    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1))
    holder = held(harness, client, accept=fail)
    for _ in range(2):
        with pytest.raises(LookupError):
            await holder.refresh(user(2), REQUEST)
    assert holder.user == user(1)
    assert await client.take() == []


async def test_an_answer_of_the_application_that_is_no_bool(
    serve: MakeServer, hub_class: type[UserHub]
) -> None:
    """AR-3: the new user is not accepted, and the answer is an error."""
    accept: Any = lambda context: context.new_user  # noqa: E731
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1))
    holder = held(harness, client, accept=accept)
    with pytest.raises(TypeError, match="expected True or False, got Principal"):
        await holder.refresh(user(2), REQUEST)
    assert holder.user == user(1)


async def test_the_event_takes_a_slot(serve: MakeServer, hub_class: type[UserHub]) -> None:
    """AR-6, P-2: it runs behind calls that have begun or wait for a slot."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1))
    holder = held(harness, client)
    assert await client.ask(call("Wait"), call("Number", id="2")) == []
    for number in (2, 3, 4):
        assert await holder.refresh(user(number), REQUEST)
    assert await client.ask(call("Number", id="3")) == []
    assert hub_class.journal == ["+wait"]
    hub_class.gate.set()
    assert await client.take() == [
        result(None),
        result(4, id="2"),
        event("Refreshed"),
        result(4, id="3"),
    ]
    assert hub_class.journal == ["+wait", "-wait", ("refreshed", 4)]


async def test_the_event_waits_with_the_messages(
    serve: MakeServer, hub_class: type[UserHub]
) -> None:
    """AR-6: while a stream of the client is full; however often it is due, it runs once."""
    harness = serve(hub_class, HubOptions(stream_buffer_capacity=1))
    client = await harness.connect(user(1))
    holder = held(harness, client)
    client.send(call("Drain", streamIds=["s"]), *(item(n, id="s") for n in range(3)))
    await client.take()
    for number in range(2, 100):
        assert await holder.refresh(user(number), REQUEST)
    assert await client.take() == []
    hub_class.gate.set()
    assert await client.take() == [event("Refreshed")]
    assert hub_class.journal == [("refreshed", 99)]


async def test_the_event_waits_for_on_connected(serve: MakeServer) -> None:
    """AR-6, L-2."""
    gate = asyncio.Event()
    journal: list[str] = []

    class SlowHub(Hub):
        async def on_connected(self) -> None:
            await gate.wait()
            journal.append("connected")

        def on_authentication_refreshed(self) -> None:  # type: ignore[override]
            journal.append("refreshed")

    harness = serve(SlowHub)
    client = await harness.connect(user(1))
    assert await held(harness, client).refresh(user(2), REQUEST)
    await client.take()
    assert journal == []
    gate.set()
    await client.take()
    assert journal == ["connected", "refreshed"]


async def test_an_event_that_fails(
    serve: MakeServer, hub_class: type[UserHub], caplog: pytest.LogCaptureFixture
) -> None:
    """AR-6: it is logged, and nothing else happens."""

    class FailingHub(hub_class):  # type: ignore[misc,valid-type]
        async def on_authentication_refreshed(self) -> None:
            raise LookupError("s3cret")

    harness = serve(FailingHub)
    client = await harness.connect(user(1))
    assert await held(harness, client).refresh(user(2), REQUEST)
    assert await client.take() == []
    text = "Hub method 'FailingHub.on_authentication_refreshed' failed."
    assert [record.getMessage() for record in caplog.records] == [text]
    assert await client.ask(call("Number")) == [result(2)]


async def test_a_hub_without_the_event(serve: MakeServer) -> None:
    class PlainHub(Hub):
        pass

    harness = serve(PlainHub)
    client = await harness.connect(user(1))
    assert await held(harness, client).refresh(user(2), REQUEST)
    assert await client.take() == []


async def test_a_refresh_after_the_end(serve: MakeServer, hub_class: type[UserHub]) -> None:
    """Nothing runs for a connection that has ended."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1))
    holder = held(harness, client)
    client.vanish()
    assert await client.has_ended()
    assert await holder.refresh(user(2), REQUEST)
    assert await client.take() == []
    assert hub_class.journal == [("disconnected", None)]


# ---- the user id


async def test_another_user(
    serve: MakeServer, hub_class: type[UserHub], caplog: pytest.LogCaptureFixture
) -> None:
    """AR-6: the connection ends."""
    harness = serve(hub_class, QUIET)
    client = await harness.connect(user(1))
    holder = held(harness, client)
    assert not await holder.refresh(user(2, name="bob"), REQUEST)
    assert await client.take() == [CLOSE]
    assert holder.user == user(1)
    text = "UserHub: a connection was closed: a refresh of its authentication changed its user."
    [record] = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, text)


@pytest.mark.parametrize(("old", "new"), [("ann", "bob"), ("ann", None), (None, "bob")])
async def test_another_user_that_is_allowed(
    serve: MakeServer, hub_class: type[UserHub], old: str | None, new: str | None
) -> None:
    """AR-6: sends to the new user reach the connection, those to the old one do not."""
    harness = serve(hub_class, CHANGEABLE)
    client = await harness.connect(user(1, name=old))
    sender = await harness.connect(user(1, name="sender"))
    assert await held(harness, client).refresh(user(2, name=new), REQUEST)
    assert await client.take() == [event("Refreshed")]
    for each in ("ann", "bob"):
        await sender.ask(event("Tell", each))
    assert await client.take() == ([event("Told", new)] if new else [])
    client.vanish()
    assert await client.has_ended()
    manager = harness.server.lifetime
    assert isinstance(manager, DefaultHubLifetimeManager)
    await sender.ask(event("Tell", "bob"))
    assert list(manager.connections) == ["c2"]


async def test_another_user_before_the_handshake(
    serve: MakeServer, hub_class: type[UserHub]
) -> None:
    """AR-6: the connection becomes visible with its newest user id only."""
    harness = serve(hub_class, CHANGEABLE)
    client = await harness.open(user(1))
    assert await held(harness, client).refresh(user(2, name="bob"), REQUEST)
    sender = await harness.connect(user(1, name="sender"))
    assert await client.ask({"protocol": "json", "version": 1}) == [{}, event("Refreshed")]
    for each in ("ann", "bob"):
        await sender.ask(event("Tell", each))
    assert await client.take() == [event("Told", "bob")]


async def test_a_lifetime_manager_without_support(
    serve: MakeServer, hub_class: type[UserHub], caplog: pytest.LogCaptureFixture
) -> None:
    """AR-6: the connection ends, so that it gets nothing for a user that it no longer has."""

    class OldManager(DefaultHubLifetimeManager):
        async def on_user_changed(
            self, connection: HubConnectionContext, user_identifier: str | None
        ) -> None:
            raise NotImplementedError

    harness = serve(hub_class, CHANGEABLE, lifetime=OldManager())
    client = await harness.connect(user(1))
    assert not await held(harness, client).refresh(user(2, name="bob"), REQUEST)
    assert await client.take() == [CLOSE]
    assert "A user id could not be changed." in caplog.text
