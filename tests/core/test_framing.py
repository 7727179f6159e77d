"""RecordFramer: where records begin and end, and how much is buffered (F-1, F-3, F-4).

Examples of streams and their records are in ``spec-fixtures/framing``.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.framing import RecordFramer
from tests.support.strategies import slices

RECORDS = st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"\x1e", b"\x1f")))


@given(st.data(), RECORDS, st.binary(max_size=8).map(lambda data: data.replace(b"\x1e", b"\x1f")))
def test_any_slices_yield_the_same_records(
    data: st.DataObject, records: list[bytes], rest: bytes
) -> None:
    stream = b"".join(record + b"\x1e" for record in records) + rest
    framer = RecordFramer()
    chunks = data.draw(slices(stream))
    assert [record for chunk in chunks for record in framer.feed(chunk)] == records
    assert framer.has_partial is bool(rest)


@given(st.data(), RECORDS, st.integers(1, 8))
def test_a_limit_cuts_at_the_first_record_above_it(
    data: st.DataObject, records: list[bytes], limit: int
) -> None:
    """S-20: the records before it are returned, however the stream is cut."""
    stream = b"".join(record + b"\x1e" for record in records)
    small = [len(record) + 1 <= limit for record in records]
    expected = records[: small.index(False)] if False in small else records
    framer = RecordFramer(limit)
    received: list[bytes] = []
    refused = False
    try:
        for chunk in data.draw(slices(stream)):
            for record in framer.feed(chunk):
                received.append(record)  # noqa: PERF402 - those before an error count
    except RemoteProtocolError:
        refused = True
    assert refused is (False in small)
    assert received == expected


@pytest.mark.parametrize("limit", [10, 32_768])
@pytest.mark.parametrize("last", [b"x", b"\x1e"])
def test_an_unfinished_record_waits_up_to_the_limit(limit: int, last: bytes) -> None:
    """F-4, as in .NET: as many bytes as the limit wait, although no separator can complete them;
    one byte more is refused, whatever it is."""
    framer = RecordFramer(limit)
    assert list(framer.feed(b"x" * (limit - 1))) == []
    assert list(framer.feed(b"x")) == []
    assert framer.has_partial
    with pytest.raises(RemoteProtocolError, match=f"maximum message size of {limit}B was exceeded"):
        list(framer.feed(last))


def test_many_small_slices_cost_no_more_than_one() -> None:
    """A record of half a million bytes, one byte at a time: no byte is copied or searched twice."""
    framer = RecordFramer()
    for _ in range(500_000):
        for _ in framer.feed(b"x"):
            pytest.fail("there is no separator yet")
    assert [len(record) for record in framer.feed(b"\x1e")] == [500_000]
    assert framer.has_partial is False


def test_empty_input_changes_nothing() -> None:
    framer = RecordFramer()
    assert list(framer.feed(b"")) == []
    assert framer.has_partial is False
    assert list(framer.feed(b"a")) == []
    assert list(framer.feed(b"")) == []
    assert list(framer.feed(b"\x1e")) == [b"a"]


class TestTakeRecord:
    """``take_record``, for the handshake: one record, and the rest unchanged (H-3)."""

    def test_leaves_what_follows(self) -> None:
        assert RecordFramer().take_record(b"a\x1eb\x1ec") == (b"a", b"b\x1ec")

    def test_waits_for_the_separator(self) -> None:
        framer = RecordFramer()
        assert framer.take_record(b"{") is None
        assert framer.take_record(b"}") is None
        assert framer.take_record(b"\x1e") == (b"{}", b"")

    def test_empty_record(self) -> None:
        assert RecordFramer().take_record(b"\x1eab") == (b"", b"ab")

    def test_the_limit_counts_the_record_alone(self) -> None:
        """H-9: bytes after the separator do not count."""
        assert RecordFramer(4).take_record(b"abc\x1edefghi") == (b"abc", b"defghi")
        with pytest.raises(RemoteProtocolError):
            RecordFramer(3).take_record(b"abc\x1e")

    def test_the_limit_counts_an_unfinished_record(self) -> None:
        framer = RecordFramer(4)
        assert framer.take_record(b"abcd") is None
        with pytest.raises(RemoteProtocolError):
            framer.take_record(b"e")
