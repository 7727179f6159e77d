"""When polls are answered, and with which bytes (TL, TG-8, TG-10)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol.aio.transport import TransportLimits
from protocol.hosting.poll_end import PollEnd
from protocol.testing import LoopClock
from protocol.transports.flusher import Flusher
from protocol.transports.server.inbound_pipe import InboundPipe
from protocol.transports.server.long_polling import LongPollingServerTransport


class Polling:
    """A transport, and polls in flight."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.inbound = InboundPipe()
        self.transport = LongPollingServerTransport(
            self.inbound,
            Flusher(),
            TransportLimits(transport_max_buffer_size=1000),
            poll_timeout=90,
            disconnect_timeout=15,
        )
        self.received: list[bytes] = []
        self.is_lost = False
        self.transport.set_receiver(self)

    async def start(self, owner: object = "poll") -> "asyncio.Task[Any]":
        task = asyncio.create_task(self.transport.poll(owner))
        await self.clock.settle()
        return task

    async def poll(self) -> Any:
        """A poll that is answered at once, and whose answer is delivered."""
        task = await self.start()
        assert task.done()
        self.transport.delivered()
        return task.result()

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        assert error is None
        self.is_lost = True

    async def close(self, **how: bool) -> "asyncio.Task[None]":
        task = asyncio.create_task(self.transport.close(**how))
        await self.clock.settle()
        return task


@pytest.fixture
async def polling() -> AsyncIterator[Polling]:
    with LoopClock() as clock:
        yield Polling(clock)


async def test_all_that_waits_comes_at_once(polling: Polling) -> None:
    """TL-4: whole frames, in order; nothing is delivered twice."""
    for piece in (b"one\x1e", b"two\x1e", b"three\x1e"):
        polling.transport.write(piece)
    assert polling.transport.buffered == 14
    assert await polling.poll() == b"one\x1etwo\x1ethree\x1e"
    assert polling.transport.buffered == 0


async def test_a_poll_waits(polling: Polling) -> None:
    """TL-4: for the next flush, and gets what was written in the same tick."""
    poll = await polling.start()
    assert not poll.done()
    polling.transport.write(b"one\x1e")
    polling.transport.write(b"two\x1e")
    assert await poll == b"one\x1etwo\x1e"


async def test_a_poll_times_out(polling: Polling) -> None:
    """TL-5: after its time, not before; the next one waits as long."""
    for _ in range(2):
        poll = await polling.start()
        await polling.clock.advance(89.9)
        assert not poll.done()
        await polling.clock.advance(0.1)
        assert await poll is PollEnd.TIMED_OUT
    assert len(polling.clock.timers()) == 1  # the disconnect timeout


async def test_a_newer_poll_replaces_the_older(polling: Polling) -> None:
    """TL-7: each older one ends, the newest gets the bytes."""
    polls = [await polling.start(number) for number in range(3)]
    assert [poll.done() for poll in polls] == [True, True, False]
    polling.transport.write(b"news")
    assert await asyncio.gather(*polls) == [PollEnd.REPLACED, PollEnd.REPLACED, b"news"]


async def test_a_poll_that_comes_in_the_tick_of_the_news(polling: Polling) -> None:
    """TL-7: one of the two gets it, and nothing is lost."""
    old = await polling.start()
    polling.transport.write(b"news")
    polling.transport.flush()
    new = asyncio.create_task(polling.transport.poll("new"))
    await polling.clock.settle()
    polling.transport.write(b"more")
    polling.transport.flush()
    polling.transport.delivered()
    await polling.clock.settle()
    answers = [await old, *([await new] if new.done() else [])]
    assert b"".join(it for it in answers if isinstance(it, bytes)) == b"newsmore"
    polling.transport.abort()


async def test_the_client_of_a_poll_leaves(polling: Polling) -> None:
    """TL-8: the bytes wait for the next poll; the end of another poll has no effect."""
    poll = await polling.start("mine")
    polling.transport.abandon("another")
    await polling.clock.settle()
    assert not poll.done()
    polling.transport.abandon("mine")
    assert await poll is PollEnd.ABANDONED
    polling.transport.write(b"news")
    assert await polling.poll() == b"news"


async def test_an_answer_that_did_not_get_through(polling: Polling) -> None:
    """TL-8: the next poll gets these bytes first, whether it waits already or not."""
    polling.transport.write(b"one")
    answer = await polling.transport.poll("first")
    assert answer == b"one"
    polling.transport.write(b"two")
    polling.transport.put_back(answer)
    answer = await polling.transport.poll("second")
    assert answer == b"onetwo"
    poll = await polling.start()
    polling.transport.put_back(answer)
    assert await poll == b"onetwo"


async def test_nobody_overtakes_an_answer(polling: Polling) -> None:
    """TL-8: while an answer is being sent, later bytes wait."""
    polling.transport.write(b"one")
    assert await polling.transport.poll("first") == b"one"
    polling.transport.write(b"two")
    closing = await polling.close()
    replaced, poll = await polling.start("second"), await polling.start("third")
    assert await replaced is PollEnd.REPLACED
    assert not poll.done()
    polling.transport.put_back(b"one")
    assert await poll == b"onetwo"
    poll = await polling.start()
    assert not poll.done()
    polling.transport.delivered()
    assert await poll is PollEnd.CONNECTION_ENDED
    await closing


async def test_the_end_while_an_answer_is_under_way(polling: Polling) -> None:
    """TL-10: after an abort, no poll waits for a delivery."""
    polling.transport.write(b"one")
    assert await polling.transport.poll("first") == b"one"
    poll = await polling.start()
    polling.transport.abort()
    assert await poll is PollEnd.CONNECTION_ENDED
    polling.transport.put_back(b"one")
    assert await polling.poll() is PollEnd.CONNECTION_ENDED


async def test_whoever_polls_is_there(polling: Polling) -> None:
    """TG-10: also if each poll is answered at once."""
    for _ in range(40):
        polling.transport.write(b"news")
        assert await polling.poll() == b"news"
        await polling.clock.advance(1)
    assert not polling.is_lost


async def test_a_cancelled_poll_takes_nothing_along(polling: Polling) -> None:
    """TL-8: as where the application lets aiohttp cancel handlers."""
    poll = await polling.start()
    polling.transport.write(b"news")
    polling.transport.flush()
    poll.cancel()
    await asyncio.wait({poll})
    assert await polling.poll() == b"news"


async def test_nobody_polls(polling: Polling) -> None:
    """TG-10: after the disconnect timeout the client is gone; a poll that waits is none of it."""
    poll = await polling.start()
    await polling.clock.advance(80)
    assert not polling.is_lost
    polling.transport.write(b"news")
    assert await poll == b"news"
    await polling.clock.advance(14)
    still_there = not polling.is_lost
    await polling.clock.advance(1)
    assert (still_there, polling.is_lost) == (True, True)
    assert polling.transport.write(b"more") == 0


async def test_the_end_is_polled(polling: Polling) -> None:
    """TL-6: pending bytes first, then the end, for which close() waits."""
    polling.transport.write(b"last words")
    closing = await polling.close()
    assert await polling.poll() == b"last words"
    assert not closing.done()
    assert await polling.poll() is PollEnd.CONNECTION_ENDED
    await closing


async def test_the_end_reaches_a_poll_that_waits(polling: Polling) -> None:
    """TL-6."""
    poll = await polling.start()
    closing = await polling.close()
    assert await poll is PollEnd.CONNECTION_ENDED
    await closing


async def test_a_failure_is_told(polling: Polling) -> None:
    """TL-10: to the poll behind the last bytes."""
    polling.transport.write(b"last words")
    closing = await polling.close(failed=True)
    assert await polling.poll() == b"last words"
    assert await polling.poll() is PollEnd.CONNECTION_FAILED
    await closing


async def test_an_end_that_nobody_polls(polling: Polling) -> None:
    """TG-10: it is not kept for longer than the disconnect timeout."""
    closing = await polling.close()
    await polling.clock.advance(14)
    assert not closing.done()
    await polling.clock.advance(1)
    await closing


async def test_terminate(polling: Polling) -> None:
    """TL-9: the hub's input ends at once; its last bytes go to the waiting poll."""
    poll = await polling.start()
    polling.transport.terminate()
    await polling.clock.settle()
    assert polling.is_lost
    polling.transport.write(b"goodbye")
    closing = await polling.close()
    assert await poll == b"goodbye"
    await closing


async def test_terminate_behind_the_end(polling: Polling) -> None:
    """TL-9: instead of the last poll."""
    closing = await polling.close()
    assert not closing.done()
    polling.transport.terminate()
    await closing


async def test_drain(polling: Polling) -> None:
    """TG-8: ``drain`` returns when a poll has taken the bytes, or none will."""
    polling.transport.write(b"x" * 400)
    await polling.transport.drain()
    polling.transport.write(b"x" * 400)
    waiting = [asyncio.create_task(polling.transport.drain()) for _ in range(2)]
    await polling.clock.settle()
    assert not any(task.done() for task in waiting)
    assert len(await polling.poll()) == 800
    await asyncio.gather(*waiting)
    polling.transport.write(b"x" * 800)
    last = asyncio.create_task(polling.transport.drain())
    await polling.clock.settle()
    assert not last.done()
    polling.transport.abort()
    await last


async def test_what_is_posted_is_received(polling: Polling) -> None:
    """TG-6: until the hub stops; then POSTs still succeed, and until the end, when they do not."""
    await polling.inbound.write(b"one")
    polling.transport.stop_receiving()
    await polling.inbound.write(b"two")
    assert polling.received == [b"one"]
    polling.transport.abort()
    await polling.clock.settle()
    assert polling.is_lost
