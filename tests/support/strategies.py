"""Hypothesis strategies for values, hub messages and bytes of a hub connection."""

import json
from datetime import UTC
from itertools import pairwise
from typing import Any, Final

import msgspec
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from protocol.messages import (
    VOID,
    Ack,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    Sequence,
    StreamInvocation,
    StreamItem,
)

INT64: Final = st.integers(-(2**63), 2**63 - 1)
IDS: Final = st.text(min_size=1, max_size=8)
NAMES: Final = st.text(max_size=12)

PLAIN_VALUES: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none()
    | st.booleans()
    | INT64
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
"""Values that are equal after they are written as JSON and read again."""


@st.composite
def json_texts(draw: st.DrawFn, values: st.SearchStrategy[Any] = PLAIN_VALUES) -> bytes:
    """A value as JSON in one of its many legal spellings."""
    spaced = draw(st.booleans())
    text = json.dumps(
        draw(values),
        ensure_ascii=draw(st.booleans()),
        separators=(" , ", " : ") if spaced else (",", ":"),
        indent=draw(st.sampled_from([None, 1])) if spaced else None,
    )
    return text.encode()


PAYLOADS: Final = json_texts().map(Raw)
ARGUMENTS: Final = json_texts(st.lists(PLAIN_VALUES, max_size=4)).map(Raw)


def completions(
    names: st.SearchStrategy[str] = NAMES, payloads: st.SearchStrategy[Raw] = PAYLOADS
) -> st.SearchStrategy[Completion]:
    """Completions with an error, a result or neither; an empty error is not written (J-12)."""
    common = {"headers": st.dictionaries(names, names, max_size=3), "invocation_id": IDS}
    return (
        st.builds(Completion, **common, error=st.text(min_size=1), result=st.just(VOID))
        | st.builds(Completion, **common, error=st.just(UNSET), result=payloads)
        | st.builds(Completion, **common, error=st.just(UNSET), result=st.just(VOID))
    )


def messages(
    names: st.SearchStrategy[str] = NAMES,
    payloads: st.SearchStrategy[Raw] = PAYLOADS,
    arguments: st.SearchStrategy[Raw] = ARGUMENTS,
) -> st.SearchStrategy[HubMessage]:
    """Valid messages of all types. ``names`` is for targets, headers and stream ids."""
    headers = st.dictionaries(names, names, max_size=3)
    calls = {
        "headers": headers,
        "target": names,
        "arguments": arguments,
        "stream_ids": st.lists(names, max_size=3).map(tuple),
    }
    return st.one_of(
        st.builds(Invocation, **calls, invocation_id=st.just("") | IDS),
        st.builds(StreamItem, headers=headers, invocation_id=IDS, item=payloads),
        completions(names, payloads),
        st.builds(StreamInvocation, **calls, invocation_id=IDS),
        st.builds(CancelInvocation, headers=headers, invocation_id=IDS),
        st.just(Ping()),
        st.builds(Close, error=st.just(UNSET) | st.text(), allow_reconnect=st.booleans()),
        st.builds(Ack, sequence_id=INT64),
        st.builds(Sequence, sequence_id=INT64),
    )


# ---- MessagePack


MESSAGEPACK_VALUES: Final[st.SearchStrategy[Any]] = st.recursive(
    PLAIN_VALUES | st.binary(max_size=8) | st.datetimes().map(lambda it: it.replace(tzinfo=UTC)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | INT64 | st.booleans(), inner)
    ),
    max_leaves=8,
)
"""Values that are equal after they are written as MessagePack and read again."""


def messagepack_messages() -> st.SearchStrategy[HubMessage]:
    """Valid messages of MessagePack: no name is empty, nor the error of a Close (M-2, M-3)."""
    return messages(
        IDS,
        MESSAGEPACK_VALUES.map(msgspec.msgpack.encode).map(Raw),
        st.lists(MESSAGEPACK_VALUES, max_size=4).map(msgspec.msgpack.encode).map(Raw),
    ).filter(lambda message: getattr(message, "error", UNSET) != "")


CODES: Final = st.sampled_from(
    [
        bytes([code])
        for code in (
            *(0x00, 0x05, 0x7F, 0x80, 0x81, 0x8F, 0x90, 0x91, 0x92, 0x96, 0x9F, 0xA0, 0xA1, 0xBF),
            *range(0xC0, 0xE1),
            0xFF,
        )
    ]
)
"""First bytes of MessagePack values, of all types."""

_TEXTS: Final = (b"\xa11", b"\xa1x", b"\xa0", b"\xc0", b"\xd9\x01x", b"\xa1\xff", b"\x05")
_ELEMENTS: Final = (
    (b"\x80", b"\x80", b"\x81\xa1a\xa1b", b"\x81\xa0\xa1b", b"\xde\x00\x00", b"\xc0", b"\x90"),
    _TEXTS,
    (*_TEXTS, b"\x01", b"\x02", b"\x03"),
    (b"\x91\x2a", b"\x90", b"\xc0", b"\xa1x", b"\xdd\xff\xff\xff\xff", b"\x91\xc1"),
    (b"\x90", b"\x91\xa1s", b"\xc0", b"\x91\xa0", b"\x91\x05"),
)


@st.composite
def near_messagepack(draw: st.DrawFn) -> bytes:
    """Arrays like those of hub messages, with a right or wrong length and right or wrong items."""
    kind = draw(st.sampled_from([1, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 99]))
    elements = [draw(st.sampled_from(choices)) for choices in _ELEMENTS]
    count = draw(st.integers(0, 7))
    head = draw(st.sampled_from([bytes([0x90 | count]), b"\xdc\x00" + bytes([count])]))
    return head + bytes([kind]) + b"".join(elements[: draw(st.integers(0, 5))])


# ---- JSON records, right and wrong


_LEGAL: Final[dict[str, tuple[str, ...]]] = {
    "1": ('"target":"M"', '"arguments":[1]'),
    "2": ('"invocationId":"1"', '"item":1'),
    "3": ('"invocationId":"1"',),
    "4": ('"invocationId":"1"', '"target":"M"', '"arguments":[1]'),
    "5": ('"invocationId":"1"',),
    "6": (),
    "7": ('"error":"e"', '"allowReconnect":true'),
    "8": ('"sequenceId":1',),
    "9": ('"sequenceId":1',),
    "99": (),
}
_NAMES: Final = (
    "type",
    "invocationId",
    "target",
    "arguments",
    "streamIds",
    "headers",
    "error",
    "result",
    "item",
    "allowReconnect",
    "sequenceId",
    "Type",
    "\\u0061rguments",
)
_VALUES: Final = (
    *("1", "3", "6", "99", "-1", "1.5", "1.0", "1e0", str(2**31), str(2**63), "1e400"),
    *("null", "true", "false", '""', '"1"', '"a\\u0062"', '"\\ud800"'),
    *("[]", "[1,2]", "[1,]", '["1","2"]', '["\\ud800"]', "[null]", "[[]]"),
    *("{}", '{"a":"b"}', '{"a":1}', '{"a":"b",}'),
    *("[" * depth + "]" * depth for depth in (62, 63, 64)),
    *("nul", "01", "NaN", ""),
)


@st.composite
def near_records(draw: st.DrawFn) -> bytes:
    """Records with members of hub messages, some of them wrong, repeated or in another order."""
    kind = draw(st.sampled_from(["1", "1", "3", "3", *_LEGAL]))
    members = [f'"type":{kind}', *_LEGAL[kind]]
    for _ in range(draw(st.integers(0, 2))):
        added = f'"{draw(st.sampled_from(_NAMES))}":{draw(st.sampled_from(_VALUES))}'
        members.insert(draw(st.integers(0, len(members))), added)
    if draw(st.integers(0, 3)) == 0:
        members.pop(draw(st.integers(0, len(members) - 1)))
    comma = draw(st.sampled_from([",", ",", " , ", ",\n"]))
    around = draw(st.sampled_from([("", ""), ("", ""), (" ", "\n"), ("\ufeff", ""), ("", "x")]))
    return f"{around[0]}{{{comma.join(members)}}}{around[1]}".encode()


@st.composite
def repetitive_records(draw: st.DrawFn) -> bytes:
    """Invocations with one to three members ``arguments``, and few other members."""
    members = ['"type":1', f'"target":{json.dumps(draw(NAMES), ensure_ascii=draw(st.booleans()))}']
    if draw(st.booleans()):
        members.append(f'"invocationId":{json.dumps(draw(st.text(max_size=30)))}')
    for _ in range(draw(st.integers(1, 3))):
        value = draw(st.sampled_from(_VALUES) | ARGUMENTS.map(lambda raw: bytes(raw).decode()))
        members.append(f'"{_spelled(draw, "arguments")}":{value}')
    members += draw(st.lists(st.sampled_from(_RARE), max_size=1))
    comma = draw(st.sampled_from([",", ",", ", "]))
    return f"{{{comma.join(draw(st.permutations(members)))}}}".encode()


_RARE: Final = ('"headers":{}', '"headers":{"arguments":"\\""}', '"streamIds":["\\\\"]', '"x":0')


def _spelled(draw: st.DrawFn, name: str) -> str:
    """``name``, with at most one of its letters escaped."""
    place = draw(st.none() | st.integers(0, len(name) - 1))
    if place is None:
        return name
    return f"{name[:place]}\\u{ord(name[place]):04x}{name[place + 1 :]}"


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Bytes of which up to four are replaced by other bytes."""
    data = draw(whole)
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 4)))
    patch = draw(
        st.binary(max_size=3)
        | st.sampled_from([b",", b"]", b"}", b"{", b'"', b"null", b"\\", b"\xff", b" ", b"0"])
    )
    return data[:start] + patch + data[end:]


@st.composite
def slices(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Slices of ``data``, some of which may be empty."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    bounds = [0, *places, len(data)]
    return [data[a:b] for a, b in pairwise(bounds)]
