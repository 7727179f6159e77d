"""Random calls, cancellations, lost connections and pauses between client and server.

Every call ends exactly once, in a legal state, and nothing is left.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from protocol import ConnectionClosed, HubException, HubOptions, NotConnectedError
from protocol.aio.transport import TransportLimits
from protocol.client import calls, downloads
from protocol.testing import LoopClock
from tests.support.leaks import LeakWatch, young_heap

from .both_ends import Failure, Kind, Link, Plan, World
from .wire_state import Conversation

pytestmark = pytest.mark.slow

_LOSSES = (ConnectionClosed, NotConnectedError)

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
class Cancel:
    """Cancels a call of the client."""

    number: int


@dataclass(frozen=True)
class Stall:
    """Stops or continues the bytes that one end receives."""

    end: str
    is_stalled: bool


@dataclass(frozen=True)
class Cut:
    """Ends the connection. ``way`` decides how, and whether the client reconnects."""

    way: str


@dataclass(frozen=True)
class Turns:
    """Lets the event loop run a number of iterations."""

    count: int


Step = Call | Permit | Cancel | Stall | Cut | Turns

CUTS: dict[str, Callable[[World, Link], object]] = {
    "client aborts": lambda _, link: link.near.abort(),
    "server aborts": lambda _, link: link.far.abort(),
    "client loses": lambda _, link: link.far.fail(OSError("lost")),
    "server loses": lambda _, link: link.near.fail(OSError("lost")),
    "client sees the end": lambda _, link: link.far.finish(),
    "server sees the end": lambda _, link: link.near.finish(),
    "server violates": lambda _, link: link.far.write(b"garbage\x1e"),
    "client violates": lambda _, link: link.near.write(b"garbage\x1e"),
    "hub aborts": lambda _, link: link.server_end.connection.abort(),
}

PLANS = st.builds(
    Plan,
    kind=st.sampled_from(get_args(Kind)),
    size=st.sampled_from((0, 1, 3, 12)),
    waits=st.booleans(),
    failure=st.sampled_from(("", "", *get_args(Failure))),
    take=st.none() | st.integers(0, 4),
    closes=st.booleans(),
    padding=st.sampled_from((0, 0, 500)),
)
NUMBERS = st.integers(0, 7)
QUIET: list[st.SearchStrategy[Any]] = [
    st.builds(Call, PLANS),
    st.builds(Call, PLANS),
    st.builds(Permit, NUMBERS, st.sampled_from(("client", "hub")), st.sampled_from((1, 3, 20))),
    st.builds(Permit, NUMBERS, st.sampled_from(("client", "hub")), st.sampled_from((1, 3, 20))),
    st.builds(Cancel, NUMBERS),
    st.builds(Stall, st.sampled_from(("near", "far")), st.booleans()),
    st.builds(Turns, st.integers(1, 5) | st.just(50)),
    st.builds(Turns, st.integers(1, 5) | st.just(50)),
]
CUTTING = [*QUIET, st.builds(Cut, st.sampled_from(sorted(CUTS)))]


@dataclass(frozen=True)
class Scene:
    slots: int
    capacity: int
    buffer_size: int
    maximum_streams: int
    steps: list[Step]
    is_abrupt: bool
    """Whether both ends are stopped while calls are still running."""


def scenes(steps: list[st.SearchStrategy[Any]]) -> st.SearchStrategy[Scene]:
    return st.builds(
        Scene,
        slots=st.integers(1, 3),
        capacity=st.sampled_from((1, 2, 10)),
        buffer_size=st.sampled_from((65536, 2000, 64)),
        maximum_streams=st.sampled_from((100, 100, 2)),
        steps=st.lists(st.one_of(steps), min_size=5, max_size=40),
        is_abrupt=st.booleans(),
    )


# ---- the test


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    with young_heap():
        yield


@settings(max_examples=150)
@given(scene=scenes(QUIET))
def test_calls_on_one_connection(scene: Scene) -> None:
    """C-8…C-11, S-19, S-25, S-27, U-1…U-8, CR-1…CR-8, P-3, P-4: while the connection holds, every
    call ends as planned, or as cancelled, on both ends and on the wire."""
    run(scene)


@settings(max_examples=150)
@given(scene=scenes(CUTTING))
def test_calls_on_connections_that_are_cut(scene: Scene) -> None:
    """R-3, U-8, CR-6, L-1: the same where connections are cut and opened again."""
    run(scene)


def run(scene: Scene) -> None:
    async def watched() -> None:
        with LoopClock() as clock, LeakWatch(clock) as watch:
            player = Player(clock, scene)
            await player.play()
            leftovers = await watch.leftovers()
            assert leftovers == [], leftovers
            entries = player.world.open_entries()
            assert entries == {}, entries

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
        monkeypatch.setattr(calls, "UPLOAD_HIGH_WATER", 2000)
        monkeypatch.setattr(downloads, "_HIGH_WATER", 2000)
        asyncio.run(watched())


class Player:
    """Runs a list of actions, and checks how its calls end."""

    def __init__(self, clock: LoopClock, scene: Scene) -> None:
        self._clock = clock
        self._scene = scene
        options = HubOptions(
            maximum_parallel_invocations_per_client=scene.slots,
            stream_buffer_capacity=scene.capacity,
            maximum_streams_per_connection=scene.maximum_streams,
        )
        limits = TransportLimits(
            application_max_buffer_size=scene.buffer_size,
            transport_max_buffer_size=scene.buffer_size,
        )
        self.world = World(clock, options, limits)
        self._is_cut = False
        self._cancelled: set[int] = set()

    async def play(self) -> None:
        world = self.world
        await world.start()
        for step in self._scene.steps:
            await self._take(step)
        if self._scene.is_abrupt:
            self._is_cut = True
        else:
            await self._let_calls_end()
        for link in world.links:
            link.near.stall(False)
            link.far.stall(False)
        await world.finish()
        for link in world.links:
            Conversation(link.near, link.far).check()
        for number in range(len(world.tasks)):
            self._check_outcome(number)
        event(f"{len(world.links) - 1} reconnects")

    async def _let_calls_end(self) -> None:
        world = self.world
        world.open_gates()
        for link in world.links:
            link.near.stall(False)
            link.far.stall(False)
        await self._clock.settle()
        assert all(task.done() for task in world.tasks)
        assert not world.running.total()
        if world.connection.connection_id is not None:
            link = world.links[-1]
            Conversation(link.near, link.far).check_complete()

    async def _take(self, step: Step) -> None:
        world, link = self.world, self.world.links[-1]
        match step:
            case Call(plan):
                world.call_all([plan])
            case Permit(number, end, count):
                world.gate(number, end).permit(count)
            case Cancel(number):
                if number < len(world.tasks) and world.tasks[number].cancel():
                    self._cancelled.add(number)
            case Stall(end, is_stalled):
                (link.near if end == "near" else link.far).stall(is_stalled)
            case Cut(way):
                self._is_cut = True
                CUTS[way](world, link)
            case Turns(count):
                for _ in range(count):
                    await asyncio.sleep(0)

    def _check_outcome(self, number: int) -> None:
        task, plan = self.world.tasks[number], self.world.plans[number]
        if task.cancelled():
            assert number in self._cancelled
            return
        outcome = task.result()
        items = self.world.items(number)
        error, taken = outcome if type(outcome) is tuple else (None, outcome)
        if error in _LOSSES:
            assert self._is_cut
        elif error is HubException:
            streams = plan.kind in ("download", "echo", "collect")
            assert (
                plan.failure
                or plan.kind == "no stream"
                or (streams and self._scene.maximum_streams < 100)
                or (plan.kind in ("cancellable", "ask") and self._is_cut)
                or (plan.kind in ("echo", "collect") and self._is_cut)
            )
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
        if plan.kind in ("download", "echo"):
            assert taken == items[: len(taken)]
        received = self.world.received.get(number, [])
        assert received == items[: len(received)]
