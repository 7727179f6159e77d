"""Random calls over a link that is cut at random bytes, with stateful reconnect.

Each message is handled once and in order, or the connection ends with an error for its calls.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from protocol import ConnectionClosed, HubException, HubOptions, NotConnectedError
from protocol.client.hub_connection import Connected
from protocol.client.options import HubConnectionOptions
from protocol.server.http_request import HttpRequestData
from protocol.server.resumable_transport import ResumableTransport
from protocol.testing import LoopClock, MemoryLink, MemoryTransport
from tests.support.leaks import LeakWatch, young_heap

from .both_ends import Failure, Kind, Plan, World

pytestmark = pytest.mark.slow

_GAP = 15.0
_WITHOUT_EXPLANATION = (Phase.generate, Phase.shrink)
"""The phases of Hypothesis for scenes that pass much time: to explain a failure takes minutes."""
_REQUEST = HttpRequestData("GET", "/hub", "", {}, "127.0.0.1")


class ResumingWorld(World):
    """A client and a server whose connection continues on other sockets of one link."""

    def __init__(self, clock: LoopClock, slots: int, buffer_size: int) -> None:
        options = HubOptions(
            maximum_parallel_invocations_per_client=slots,
            stateful_reconnect_buffer_size=buffer_size,
        )
        client_options = HubConnectionOptions(stateful_reconnect_buffer_size=buffer_size)
        super().__init__(clock, options, client_options=client_options)
        self.link = MemoryLink()
        self.connections = 0
        self.runs: Counter[tuple[Failure, int]] = Counter()
        """How often the code of a call has run to its end, by side and number of the call."""

    async def _connect(self) -> Connected:
        await asyncio.sleep(0)
        while not self.link.accepts:  # noqa: ASYNC110 - the link has no event
            await asyncio.sleep(1)
        near, far = self.link.connect()
        sockets = ResumableTransport(far, _GAP)
        self.connections += 1
        connection_id = f"c{self.connections}"
        self.server.open(sockets, connection_id, _REQUEST, None, is_stateful=True)

        async def reopen() -> MemoryTransport:
            await asyncio.sleep(0)
            if not sockets.can_resume:  # as when the host answers 404
                raise ConnectionRefusedError
            near, far = self.link.connect()
            sockets.exchange(far, _REQUEST)
            return near

        return Connected(near, connection_id, reopen=reopen)

    def fail_at(self, end: Failure, number: int) -> None:
        self.runs[end, number] += 1
        super().fail_at(end, number)


# ---- actions


@dataclass(frozen=True)
class Call:
    plan: Plan


@dataclass(frozen=True)
class Permit:
    """Lets user code of one end pass a gate of a call."""

    number: int
    end: str
    count: int


@dataclass(frozen=True)
class Cut:
    """Cuts the link when ``count`` more bytes have passed in one direction."""

    direction: Literal["to_server", "to_client"]
    count: int


@dataclass(frozen=True)
class HalfOpen:
    """Cuts one end of the link. The other end does not notice it."""

    end: Literal["client", "server"]


@dataclass(frozen=True)
class Refuse:
    """Lets the link refuse or accept new connections."""

    accepts: bool


@dataclass(frozen=True)
class Pass:
    """Lets the time pass."""

    seconds: float


@dataclass(frozen=True)
class Turns:
    """Lets the event loop run a number of iterations."""

    count: int


Step = Call | Permit | Cut | HalfOpen | Refuse | Pass | Turns

PLANS = st.builds(
    Plan,
    kind=st.sampled_from(get_args(Kind)),
    size=st.sampled_from((0, 1, 3, 12)),
    waits=st.booleans(),
    failure=st.sampled_from(("", "", *get_args(Failure))),
    take=st.none() | st.integers(0, 4),
    padding=st.sampled_from((0, 0, 500)),
)
CUTS = st.builds(
    Cut,
    st.sampled_from(("to_server", "to_client")),
    st.integers(0, 300) | st.integers(0, 8000),
)
CALLS = st.builds(Call, PLANS)
PERMITS = st.builds(
    Permit, st.integers(0, 7), st.sampled_from(("client", "hub")), st.sampled_from((1, 3, 20))
)
QUIET: list[st.SearchStrategy[Any]] = [
    CALLS,
    CALLS,
    PERMITS,
    CUTS,
    CUTS,
    st.just(HalfOpen("client")),
    st.builds(Pass, st.sampled_from((0.1, 1.0, 1.5))),
    st.builds(Turns, st.integers(1, 5) | st.just(50)),
]
LOSING = [
    *QUIET,
    st.just(HalfOpen("server")),
    st.builds(Refuse, st.booleans()),
    st.builds(Pass, st.sampled_from((16.0, 31.0))),
]


@dataclass(frozen=True)
class Scene:
    slots: int
    buffer_size: int
    steps: list[Step]


def scenes(steps: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[Scene]:
    return st.builds(
        Scene,
        slots=st.integers(1, 3),
        buffer_size=st.sampled_from((100_000, 2000, 100)),
        steps=st.lists(st.one_of(steps), min_size=5, max_size=40),
    )


# ---- the test


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    with young_heap():
        yield


@settings(max_examples=100)
@given(scene=scenes(QUIET))
def test_cuts_that_are_resumed(scene: Scene) -> None:
    """SR-4…SR-8, SR-12, SR-13, SR-17: no message is lost, none is handled twice, and every
    call ends as planned on the one connection."""
    run(scene, may_end=False)


@settings(max_examples=100, phases=_WITHOUT_EXPLANATION)
@given(scene=scenes(LOSING))
def test_cuts_that_may_end_the_connection(scene: Scene) -> None:
    """SR-9…SR-11, R-3: the same, or a call fails because the connection was lost."""
    run(scene, may_end=True)


def run(scene: Scene, *, may_end: bool) -> None:
    async def watched() -> None:
        with LoopClock() as clock, LeakWatch(clock) as watch:
            await play(clock, scene, may_end)
            leftovers = await watch.leftovers()
            assert leftovers == [], leftovers

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
        asyncio.run(watched())


async def play(clock: LoopClock, scene: Scene, may_end: bool) -> None:
    world = ResumingWorld(clock, scene.slots, scene.buffer_size)
    await world.start()
    for step in scene.steps:
        await take(world, step)
    world.link.accepts = True
    world.open_gates()
    for _ in range(100):
        if all(task.done() for task in world.tasks):
            break
        await clock.advance(1)
    assert all(task.done() for task in world.tasks)
    assert may_end or world.connections == 1
    await world.finish()
    for number in range(len(world.tasks)):
        check_outcome(world, number, may_end)
    event(f"{min(world.link.opened - world.connections, 5)} resumptions")
    assert world.link.connections == 0


async def take(world: ResumingWorld, step: Step) -> None:
    match step:
        case Call(plan):
            world.call_all([plan])
        case Permit(number, end, count):
            world.gate(number, end).permit(count)
        case Cut(direction, count):
            getattr(world.link, direction).cut_after(count)
        case HalfOpen(end):
            world.link.cut(end)
        case Refuse(accepts):
            world.link.accepts = accepts
        case Pass(seconds):
            await world.clock.advance(seconds)
        case Turns(count):
            for _ in range(count):
                await asyncio.sleep(0)


def check_outcome(world: ResumingWorld, number: int, may_end: bool) -> None:
    plan, outcome = world.plans[number], world.tasks[number].result()
    items = world.items(number)
    error, taken = outcome if type(outcome) is tuple else (None, outcome)
    if error is not None and issubclass(error, (ConnectionClosed, NotConnectedError)):
        assert may_end
    elif error is HubException:
        assert plan.failure or plan.kind == "no stream" or may_end
    elif plan.kind in ("download", "echo"):
        assert taken == items[: plan.take]
    elif plan.kind == "collect":
        assert taken == items
    elif plan.kind == "send":
        assert taken is None
    elif plan.kind == "no stream":
        assert (plan.take, taken) == (0, [])  # the client has left before the answer
    else:
        assert taken == number
        assert world.runs["hub", number] == 1
    if plan.kind in ("download", "echo"):
        assert taken == items[: len(taken)]
    received = world.received.get(number, [])
    assert received == items[: len(received)]
    if plan.kind in ("collect", "send") and not plan.failure and not may_end:
        assert received == items
    assert max(world.runs["hub", number], world.runs["client", number]) <= 1
