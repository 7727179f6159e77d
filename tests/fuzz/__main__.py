"""``python -m tests.fuzz [--seconds N] [--seed SEED] [--only LANE/N]``: attacks every port.

A lane is a sequence of attacks; all lanes run at the same time. The seed, the lane and the number
of an attack in its lane decide everything that the attack does. So ``--seed`` repeats a run, and
``--only`` with ``--seed`` repeats one attack. After each batch of attacks the program checks that
nothing is left of them, that ordinary clients can use every port, and that the process does not use
more memory than after the first batches. The exit code is 1 if a check fails.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import linecache
import random
import sys
import time
import traceback
import tracemalloc
from collections import Counter

from .attacks import LANES
from .material import Material
from .scene import Scene, running_scene
from .watch import Watch

_BATCH_SECONDS = 6.0
_WARM_UP_BATCHES = 3
_SETTLE_SECONDS = 30.0
_ATTACK_SECONDS = 60.0
_MEMORY_BYTES = 1024 * 1024
_OBJECTS = 50
"""How much the memory, and the number of objects of one class, may grow after the first batches.

Caches with a limit may not be full by then.
"""
_OWN_MODULES = ("protocol.", "signalr_gateway.", "aiohttp.web", "asyncio.selector_events")
_LASTING_WORKERS = 6
"""Idle workers of the gateway's connections to its hubs, which stay open."""
_MOST_FAULTS = 30


class Run:
    """One run of the fuzzer."""

    def __init__(self, scene: Scene, watch: Watch, seed: str) -> None:
        self.attacks: Counter[str] = Counter()
        self._scene = scene
        self._watch = watch
        self._seed = seed
        self._next = [0] * len(LANES)
        self._usual_tasks = _tasks()
        self._usual_tasks["tasks of HubDispatcher._work"] = _LASTING_WORKERS

    async def play(self, seconds: float) -> None:
        """Play batches in all lanes, for about as long as given."""
        end = time.monotonic() + seconds
        first, objects = None, Counter[str]()
        batch = before = 0
        while batch <= _WARM_UP_BATCHES or time.monotonic() < end:
            batch_end = time.monotonic() + _BATCH_SECONDS
            await asyncio.gather(*(self._play_lane(lane, batch_end) for lane in range(len(LANES))))
            await self.settle()
            batch += 1
            if batch == _WARM_UP_BATCHES:
                before, first, objects = _memory(), tracemalloc.take_snapshot(), _objects()
            if self._watch.faults > _MOST_FAULTS:
                return
        assert first is not None
        after = _memory()
        print(f"memory: {before / 1e6:.2f} MB after the first batches, {after / 1e6:.2f} MB now")
        if after - before > _MEMORY_BYTES:
            grown = map(str, tracemalloc.take_snapshot().compare_to(first, "lineno")[:10])
            self._watch.fault("\n".join((f"memory grew by {after - before} bytes", *grown)))
        for name, count in (_objects() - objects).items():
            if count > _OBJECTS:
                self._watch.fault(f"there are {count} more objects of {name}")

    async def _play_lane(self, lane: int, end: float) -> None:
        while time.monotonic() < end:
            number = self._next[lane]
            self._next[lane] += 1
            await self.attack(lane, number)

    async def attack(self, lane: int, number: int) -> None:
        """Make one attack."""
        make = Material(random.Random(f"{self._seed}/{lane}/{number}"))
        attack = make.one_of(*LANES[lane])
        name = f"{lane}/{number}"
        self._watch.running[name] = attack.__name__
        try:
            async with asyncio.timeout(_ATTACK_SECONDS):
                await attack(self._scene, make)
        except Exception:
            self._watch.fault(f"{name} fails: {traceback.format_exc()}")
        del self._watch.running[name]
        self.attacks[attack.__name__] += 1

    async def settle(self) -> None:
        """Wait until nothing is left of the attacks, and use each port as ordinary clients do."""
        try:
            await self._until_empty()
            await self._scene.probe()
            await self._until_empty()
        except Exception:
            self._watch.fault(f"after the attacks: {traceback.format_exc()}")

    async def _until_empty(self) -> None:
        end = time.monotonic() + _SETTLE_SECONDS
        while left := self._scene.leftovers() | dict(_tasks() - self._usual_tasks):
            if time.monotonic() > end:
                raise AssertionError(f"left after {_SETTLE_SECONDS} s: {left}")
            await asyncio.sleep(0.05)


def _tasks() -> Counter[str]:
    names = (getattr(it.get_coro(), "__qualname__", "unknown") for it in asyncio.all_tasks())
    return Counter(f"tasks of {name}" for name in names)


def _memory() -> int:
    """The bytes in use."""
    linecache.clearcache()  # tracebacks of faults and of debug lines fill this cache
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _objects() -> Counter[str]:
    """The number of objects of each class of the programs."""
    kinds = map(type, gc.get_objects())
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    return Counter(name for name in names if name.startswith(_OWN_MODULES))


async def _run(seed: str, seconds: float, only: tuple[int, int] | None) -> int:
    watch = Watch()
    with watch.watching():
        async with running_scene() as scene:
            await scene.probe()
            await asyncio.sleep(1)  # until all attacks have ended
            run = Run(scene, watch, seed)
            if only is None:
                await run.play(seconds)
            else:
                await run.attack(*only)
                await run.settle()
        gc.collect()
    print("attacks:", ", ".join(f"{count} {name}" for name, count in sorted(run.attacks.items())))
    for text, count in watch.lines.most_common(8):
        print(f"logged {count} times: {text}")
    return watch.faults


def _lane_and_number(text: str) -> tuple[int, int]:
    lane, _, number = text.partition("/")
    if int(lane) not in range(len(LANES)):
        raise ValueError
    return int(lane), int(number)


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser("python -m tests.fuzz", description="Attacks every port.")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help="default: 60")
    parser.add_argument("--seed", help="repeats a run; default: a new one")
    parser.add_argument("--only", type=_lane_and_number, metavar="LANE/N", help="one attack alone")
    options = parser.parse_args()
    seed = options.seed or f"{random.SystemRandom().getrandbits(48):x}"
    print(f"seed {seed}", flush=True)
    faulthandler.enable()
    tracemalloc.start()
    faults = asyncio.run(_run(seed, options.seconds, options.only))
    print(f"{faults} faults; repeat with --seed {seed}" if faults else "no faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
