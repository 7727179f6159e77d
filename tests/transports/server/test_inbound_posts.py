"""Bodies of POSTs and their answers, without a server (TG-5, TG-6)."""

import asyncio

import pytest

from protocol.hosting.http_answer import HttpAnswer, plain_answer
from protocol.testing import LoopClock
from protocol.transports.server.inbound_pipe import InboundPipe
from protocol.transports.server.inbound_posts import ReadBody, receive_post

LIMIT = 10
TIMEOUT = 30.0


async def receive(read: ReadBody, inbound: InboundPipe) -> HttpAnswer:
    return await receive_post(read, inbound, TIMEOUT)


def body(*pieces: bytes) -> ReadBody:
    """Reads ``pieces`` one by one, and then the end."""
    left = iter(pieces)

    async def read(size: int) -> bytes:
        piece = next(left, b"")
        assert len(piece) <= size
        return piece

    return read


def cut_short(*pieces: bytes) -> ReadBody:
    """Reads ``pieces`` one by one, and then fails."""
    left = iter(pieces)

    async def read(_size: int) -> bytes:
        if (piece := next(left, None)) is None:
            raise ConnectionResetError("The body is not complete.")
        return piece

    return read


def pipe() -> InboundPipe:
    opened = InboundPipe()
    opened.open(LIMIT)
    return opened


async def test_a_body_in_pieces() -> None:
    """TG-6: it is written when it is complete."""
    inbound = pipe()
    assert await receive(body(b"one", b"two"), inbound) == plain_answer(200)
    assert inbound.close() == b"onetwo"


async def test_an_empty_body() -> None:
    """TG-6."""
    inbound = pipe()
    assert await receive(body(), inbound) == plain_answer(200)
    assert await receive(body(b"x"), inbound) == plain_answer(200)
    assert inbound.close() == b"x"


async def test_a_small_body_that_is_cut_short() -> None:
    """TG-5: none of it reaches the hub, and the next POST is intact."""
    inbound = pipe()
    assert await receive(cut_short(b"par", b"t"), inbound) == plain_answer(400)
    assert await receive(body(b"whole"), inbound) == plain_answer(200)
    assert inbound.close() == b"whole"


async def test_a_large_body_that_is_cut_short() -> None:
    """TG-6: the hub may have read a part of it, so the connection ends."""
    inbound = pipe()
    inbound.ignore()  # room for the whole body
    assert await receive(cut_short(b"x" * LIMIT, b"x"), inbound) == plain_answer(400)
    assert await receive(body(), inbound) == plain_answer(404)


async def test_a_large_body_whose_handler_is_cancelled() -> None:
    """TG-6: the same, where aiohttp cancels the handlers of disconnected clients."""
    inbound = pipe()
    inbound.ignore()
    pieces = iter([b"x" * LIMIT])

    async def read(_size: int) -> bytes:
        if (piece := next(pieces, None)) is None:
            raise asyncio.CancelledError
        return piece

    with pytest.raises(asyncio.CancelledError):
        await receive(read, inbound)
    assert await receive(body(), inbound) == plain_answer(404)


async def test_a_connection_that_has_ended() -> None:
    """TG-5."""
    inbound = pipe()
    inbound.complete()
    assert await receive(body(b"x"), inbound) == plain_answer(404)


async def test_a_connection_that_ends_while_a_body_arrives() -> None:
    """TG-5."""
    inbound = pipe()

    async def read(_size: int) -> bytes:
        inbound.complete()
        return b""

    assert await receive(read, inbound) == plain_answer(404)


@pytest.mark.parametrize("size", [1, LIMIT])
async def test_a_body_that_arrives_too_slowly(size: int) -> None:
    """TG-14: each byte comes in time, the whole body does not. What the hub may have read of it
    ends the connection, as a body does that is cut short."""
    inbound = pipe()
    inbound.ignore()

    async def read(_size: int) -> bytes:
        await asyncio.sleep(TIMEOUT - 1)
        return b"x" * size

    with LoopClock() as clock:
        answer = asyncio.create_task(receive(read, inbound))
        await clock.advance(TIMEOUT - 0.5)
        assert not answer.done()
        await clock.advance(0.5)
        assert answer.result() == plain_answer(408)
        assert clock.leftovers() == []
    assert await receive(body(), inbound) == plain_answer(404 if size == LIMIT else 200)


async def test_the_time_in_which_the_hub_takes_nothing_does_not_count() -> None:
    """TG-14, TG-8: the client cannot do anything about it."""
    inbound = pipe()
    read = body(b"x" * LIMIT, b"y")
    with LoopClock() as clock:
        answer = asyncio.create_task(receive(read, inbound))
        await clock.advance(10 * TIMEOUT)
        assert not answer.done()
        inbound.open(100)
        await clock.settle()
        assert answer.result() == plain_answer(200)


async def test_a_second_post_waits_until_the_body_of_the_first_is_complete() -> None:
    """TG-6: also if its own body is there."""
    inbound = pipe()
    arrived = asyncio.Event()
    pieces = iter([b"first, ", b"rest; "])

    async def read(_size: int) -> bytes:
        if (piece := next(pieces, b"")) == b"rest; ":
            await arrived.wait()
        return piece

    with LoopClock() as clock:
        first = asyncio.create_task(receive(read, inbound))
        await clock.settle()
        second = asyncio.create_task(receive(body(b"second"), inbound))
        await clock.settle()
        assert (first.done(), second.done()) == (False, False)
        arrived.set()
        inbound.open(100)
        await clock.settle()
        assert first.result() == second.result() == plain_answer(200)
    assert inbound.close() == b"first, rest; second"
