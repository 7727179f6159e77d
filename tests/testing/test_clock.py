"""LoopClock: time passes when the test moves it, and afterwards the loop is as before."""

import asyncio

import pytest

from protocol.testing import LoopClock


async def test_time_passes_when_it_is_advanced() -> None:
    """Each timer on the way sees its own time."""
    seen: list[float] = []
    with LoopClock() as clock:
        loop, begin = asyncio.get_running_loop(), clock.time()

        async def tick() -> None:
            for _ in range(3):
                await asyncio.sleep(10)
                seen.append(loop.time() - begin)

        ticking = asyncio.create_task(tick())
        await clock.advance(25)
        assert seen == [10, 20]
        assert clock.leftovers() == [ticking, *clock.timers()]
        assert len(clock.timers()) == 1
        await clock.advance(5)
        assert seen == [10, 20, 30]
        assert clock.leftovers() == []


async def test_a_blocked_loop() -> None:
    """All timers on the way fire late, at the end."""
    seen: list[float] = []
    with LoopClock() as clock:
        loop, begin = asyncio.get_running_loop(), clock.time()
        for delay in (1, 10):
            loop.call_later(delay, lambda: seen.append(loop.time() - begin))
        await clock.block(25)
    assert seen == [25, 25]


async def test_settle_waits_for_all_that_follows() -> None:
    rounds: list[int] = []

    async def work() -> None:
        for number in range(50):
            await asyncio.sleep(0)
            rounds.append(number)

    with LoopClock() as clock:
        working = asyncio.create_task(work())
        await clock.settle()
        assert working.done()
    assert len(rounds) == 50


async def test_a_loop_that_does_not_rest() -> None:
    is_spinning = True

    def spin() -> None:
        if is_spinning:
            asyncio.get_running_loop().call_soon(spin)

    with LoopClock() as clock:
        spin()
        with pytest.raises(AssertionError, match="does not come to rest"):
            await clock.settle()
        is_spinning = False
        await clock.settle()


async def test_faults_of_the_loop_are_kept() -> None:
    def fail() -> None:
        raise LookupError("x")

    with LoopClock() as clock:
        asyncio.get_running_loop().call_soon(fail)
        await clock.settle()
        [context] = clock.unhandled
        assert isinstance(context["exception"], LookupError)


async def test_the_loop_is_given_back() -> None:
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    before = dict(vars(loop))
    real = loop.time()
    clock = LoopClock()
    with clock:
        assert loop.time() == clock.time()
        await clock.advance(1e9)
    assert real <= loop.time() < real + 1e6
    assert vars(loop).keys() == before.keys()
    assert loop.get_exception_handler() is handler
    with clock:  # once more, with the time that it had
        assert loop.time() > 1e9


async def test_one_clock_at_a_time() -> None:
    with LoopClock() as clock:
        with pytest.raises(RuntimeError, match="in use already"):
            clock.__enter__()
        with pytest.raises(RuntimeError, match="has a LoopClock already"):
            LoopClock().__enter__()
        await clock.settle()
    with LoopClock():
        pass


def test_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        LoopClock().__enter__()
