"""Bodies of POSTs and their answers, without a server (TG-5, TG-6)."""

import asyncio

import pytest

from protocol.hosting.http_answer import plain_answer
from protocol.transports.server.inbound_pipe import InboundPipe
from protocol.transports.server.inbound_posts import ReadBody, receive_post

LIMIT = 10


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
    assert await receive_post(body(b"one", b"two"), inbound) == plain_answer(200)
    assert inbound.close() == b"onetwo"


async def test_an_empty_body() -> None:
    """TG-6."""
    inbound = pipe()
    assert await receive_post(body(), inbound) == plain_answer(200)
    assert await receive_post(body(b"x"), inbound) == plain_answer(200)
    assert inbound.close() == b"x"


async def test_a_small_body_that_is_cut_short() -> None:
    """TG-5: none of it reaches the hub, and the next POST is intact."""
    inbound = pipe()
    assert await receive_post(cut_short(b"par", b"t"), inbound) == plain_answer(400)
    assert await receive_post(body(b"whole"), inbound) == plain_answer(200)
    assert inbound.close() == b"whole"


async def test_a_large_body_that_is_cut_short() -> None:
    """TG-6: the hub may have read a part of it, so the connection ends."""
    inbound = pipe()
    inbound.ignore()  # so that there is room for all of it
    assert await receive_post(cut_short(b"x" * LIMIT, b"x"), inbound) == plain_answer(400)
    assert await receive_post(body(), inbound) == plain_answer(404)


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
        await receive_post(read, inbound)
    assert await receive_post(body(), inbound) == plain_answer(404)


async def test_a_connection_that_has_ended() -> None:
    """TG-5."""
    inbound = pipe()
    inbound.complete()
    assert await receive_post(body(b"x"), inbound) == plain_answer(404)


async def test_a_connection_that_ends_while_a_body_arrives() -> None:
    """TG-5."""
    inbound = pipe()

    async def read(_size: int) -> bytes:
        inbound.complete()
        return b""

    assert await receive_post(read, inbound) == plain_answer(404)
