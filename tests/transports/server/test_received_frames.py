"""Finding the ends of messages, for any frames that arrive in any pieces."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from protocol.transports.server.received_frames import ReceivedFrames
from tests.transports.raw_web_socket import BINARY, CONTINUATION, PING, TEXT, encode

SIZES = st.one_of(st.integers(0, 130), st.sampled_from([65_535, 65_536, 70_000]))


@dataclass(frozen=True)
class Sent:
    """The bytes of some messages; ``ends`` holds the positions at which no message is open."""

    data: bytes
    ends: frozenset[int]
    message_ends: frozenset[int]


@st.composite
def messages(draw: st.DrawFn) -> Sent:
    data = b""
    ends, message_ends = {0}, set()
    for _ in range(draw(st.integers(1, 4))):
        fragments = draw(st.lists(SIZES, min_size=1, max_size=3))
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        for number, size in enumerate(fragments):
            for _ in range(draw(st.integers(0, 2))):
                data += encode(PING, b"p" * draw(st.integers(0, 5)), masked=True)
                if number == 0:
                    ends.add(len(data))
            is_last = number == len(fragments) - 1
            data += encode(opcode, b"x" * size, fin=is_last, masked=True)
            opcode = CONTINUATION
        ends.add(len(data))
        message_ends.add(len(data))
    return Sent(data, frozenset(ends), frozenset(message_ends))


@given(messages(), st.data())
def test_any_pieces(sent: Sent, cuts: st.DataObject) -> None:
    """TW-15."""
    size = len(sent.data)
    places = sorted({0, size, *cuts.draw(st.lists(st.integers(0, size), max_size=20))})
    frames = ReceivedFrames()
    for start, end in pairwise(places):
        has_ended = frames.feed(sent.data[start:end])
        assert frames.is_unfinished == (end not in sent.ends)
        if any(start < place <= end for place in sent.message_ends):
            assert has_ended
        elif has_ended:  # of a ping alone, which changes nothing for the message behind it
            assert any(start < place <= end for place in sent.ends)
