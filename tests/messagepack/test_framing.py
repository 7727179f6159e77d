"""LengthPrefixFramer: where messages begin and end, and how much is buffered (F-2…F-4).

Examples of streams and their messages are in ``spec-fixtures/framing``.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import LocalProtocolError, RemoteProtocolError
from protocol.messagepack.framing import MAXIMUM_LENGTH, LengthPrefixFramer, frame
from tests.support.examples import times_usual
from tests.support.strategies import slices


@given(st.data(), st.lists(st.binary(max_size=300)), st.binary(max_size=1))
def test_any_slices_yield_the_same_messages(
    data: st.DataObject, messages: list[bytes], rest: bytes
) -> None:
    stream = b"".join(map(frame, messages)) + (b"\x85" + rest if rest else b"")
    framer = LengthPrefixFramer()
    received = [record for chunk in data.draw(slices(stream)) for record in framer.feed(chunk)]
    assert received[: len(messages)] == messages
    assert framer.has_partial is (bool(rest) and received == messages)


@settings(max_examples=times_usual(8))
@given(st.data(), st.binary(max_size=60), st.none() | st.integers(1, 40))
def test_any_stream_in_any_slices_is_read_the_same(
    data: st.DataObject, stream: bytes, limit: int | None
) -> None:
    """F-2, F-4: the same messages, then the same error if there is one."""

    def received(chunks: list[bytes]) -> tuple[list[bytes], str]:
        framer, records = LengthPrefixFramer(limit), []
        try:
            for chunk in chunks:
                for record in framer.feed(chunk):
                    records.append(record)  # noqa: PERF402 - those before an error count
        except RemoteProtocolError as error:
            return records, str(error)
        return records, "partial" if framer.has_partial else ""

    assert received(data.draw(slices(stream))) == received([stream])


def test_many_small_slices_cost_no_more_than_one() -> None:
    """A message of half a million bytes, one byte at a time, and empty slices that add nothing."""
    framer = LengthPrefixFramer()
    stream = frame(bytes(500_000))
    for place in range(len(stream) - 1):
        assert not list(framer.feed(stream[place : place + 1]))
        assert not list(framer.feed(b""))
    assert list(framer.feed(stream[-1:])) == [bytes(500_000)]


def test_no_more_than_2_gb_is_written() -> None:
    """F-2. The body only reports that size."""

    class Huge(bytes):
        def __len__(self) -> int:
            return MAXIMUM_LENGTH + 1

    with pytest.raises(LocalProtocolError, match="over 2GB"):
        frame(Huge())
