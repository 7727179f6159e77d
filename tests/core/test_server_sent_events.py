"""The event stream is written, and read in any slices and with any line ends (TS_-4…TS_-6)."""

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import TransportViolationError
from protocol.server_sent_events import ServerSentEventsParser, write_event


def parsed(stream: bytes, cuts: Sequence[int] = ()) -> list[bytes]:
    parser = ServerSentEventsParser(None)
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [stream[one:other] for one, other in pairwise(edges)]
    return [event for piece in pieces for event in parser.feed(piece)]


LINE_ENDS = st.sampled_from([b"\r\n", b"\n", b"\r"])
NO_LINE_END = st.binary(max_size=12).filter(lambda data: not re.search(rb"[\r\n]", data))
OTHER_LINE = st.one_of(
    NO_LINE_END.map(lambda text: b":" + text),
    NO_LINE_END.map(lambda text: b"event: " + text),
    NO_LINE_END.map(lambda text: b"id:" + text),
    st.sampled_from([b"retry: 5", b"datum: x", b" data: x", b"Data: x", b"x"]),
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes], list[int]]:
    """A stream of whole events with other lines between them, the data of the events, and positions
    at which to cut the stream."""
    stream, expected = b"", []
    for data in draw(st.lists(st.lists(NO_LINE_END, min_size=1, max_size=3), max_size=4)):
        if not any(data):
            continue  # an event without data is not reported
        for line in data:
            for other in draw(st.lists(OTHER_LINE, max_size=1)):
                stream += other + draw(LINE_ENDS)
            # A blank that belongs to the data needs one before it.
            blank = b" " if line.startswith(b" ") else draw(st.sampled_from([b"", b" "]))
            stream += b"data:" + blank + line + draw(LINE_ENDS)
        # A lone CR in front of a lone LF would be one line end, not two.
        end = draw(LINE_ENDS)
        stream += b"\r\n" if stream.endswith(b"\r") and end == b"\n" else end
        expected.append(b"\n".join(data))
    cuts = draw(st.lists(st.integers(0, len(stream)), max_size=6))
    return stream, expected, cuts


@given(streams())
def test_any_slices(case: tuple[bytes, list[bytes], list[int]]) -> None:
    stream, expected, cuts = case
    assert parsed(stream) == expected
    assert parsed(stream, cuts) == expected
    assert parsed(stream, range(len(stream))) == expected


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5))
def test_slices_make_no_difference(stream: bytes, cuts: list[int]) -> None:
    """For any bytes."""
    assert parsed(stream, [min(cut, len(stream)) for cut in cuts]) == parsed(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b":\r\ndata: a\x1e\r\n\r\n", [b"a\x1e"]),  # TS_-3
        (b"data: Hel\r\ndata: lo\r\n\r\n", [b"Hel\nlo"]),  # TS_-4
        (b"data: a\n\ndata: b\r\rdata: c\r\n\r\n", [b"a", b"b", b"c"]),
        (b"data: a\r\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data\ndata: a\n\n", [b"\na"]),
        (b"event: x\nid: 1\nretry: 10\nx: y\n:c\ndata: a\n\n", [b"a"]),
        (b"\r\n\r\ndata: a\r\n\r\n\r\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),  # a BOM counts only at the start
        (b"data:\n\ndata\n\n", []),
        (b"data: a\n", []),  # TS_-6: the stream ends inside an event
        (b"data: a", []),
    ],
)
def test_streams(stream: bytes, events: list[bytes]) -> None:
    assert parsed(stream) == events


@pytest.mark.parametrize(
    "endless",
    [b"data: " + b"x" * 200, b":" + b"x" * 200, b"data: xxxxxxxxx\n" * 20, b"id: " + b"x" * 200],
)
def test_a_limit(endless: bytes) -> None:
    """For any unfinished line or event, in slices or at once."""
    for size in (1, 7, len(endless)):
        parser = ServerSentEventsParser(100)
        pieces = [endless[start : start + size] for start in range(0, len(endless), size)]
        with pytest.raises(TransportViolationError, match="more than 100 bytes"):
            list(map(parser.feed, pieces))


def test_the_limit_is_for_each_event() -> None:
    parser = ServerSentEventsParser(100)
    for _ in range(50):
        assert parser.feed(b"data: " + b"x" * 80 + b"\n\n") == [b"x" * 80]
        assert parser.feed(b": " + b"x" * 80 + b"\n") == []


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (b"{}\x1e", b"data: {}\x1e\r\n\r\n"),
        (b"a\nb\r\nc\rd", b"data: a\r\ndata: b\r\ndata: c\r\ndata: d\r\n\r\n"),
        (b"a\n\nb", b"data: a\r\ndata: \r\ndata: b\r\n\r\n"),
    ],
)
def test_write(data: bytes, event: bytes) -> None:
    """TS_-4, TS_-5: ``data: `` lines that end with CR LF, and nothing else."""
    assert write_event(data) == event


@given(st.lists(st.binary(min_size=1).filter(lambda data: re.search(rb"[^\r\n]", data))))
def test_what_is_written_is_read(payloads: list[bytes]) -> None:
    """TS_-4: each event once, line ends as LF."""
    stream = b"".join(map(write_event, payloads))
    assert parsed(stream) == [re.sub(rb"\r\n|\r", b"\n", data) for data in payloads]
