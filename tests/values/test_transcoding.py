"""Any payload of one hub protocol is converted to the other; the vectors list single values."""

import base64
import contextlib
import gc
import json
import math
import struct
from typing import Any, Final

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.errors import TranscodingError
from protocol.values.transcoding import MAXIMUM_JSON_DEPTH, json_to_messagepack, messagepack_to_json
from tests.support.strategies import PLAIN_VALUES, json_texts

NUMBERS: Final = st.from_regex(
    r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)
BINARY_VALUES: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=30,
)


@given(json_texts())
def test_both_conversions_return_the_same(text: bytes) -> None:
    """Plain JSON is the same after both conversions, the types of its numbers included."""
    there = json_to_messagepack(text)
    back = bytes(messagepack_to_json(there))
    assert same(msgspec.msgpack.decode(there), json.loads(text))
    assert same(json.loads(back), json.loads(text))


def same(one: Any, other: Any) -> bool:
    """Whether two values and their types are equal: 1 is not 1.0."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


@given(NUMBERS)
@example("9" * 100_000)
@example("0." + "1" * 100_000)
@example("1e" + "9" * 1000)
def test_every_number(text: str) -> None:
    """An integer of MessagePack if it fits into one, else the double that .NET reads (J-15)."""
    value = msgspec.msgpack.decode(json_to_messagepack(text.encode()))
    if text.lstrip("-").isdigit() and len(text) < 21 and -(2**63) <= int(text) < 2**64:
        assert type(value) is int
        assert value == int(text)
    else:
        assert type(value) is float
        assert value == float(text)


@given(st.lists(NUMBERS | st.sampled_from([r'"\ud800"', r'"\ud83d\ude00"', '"ü"', "true", "{}"])))
def test_rare_values_beside_usual_ones(texts: list[str]) -> None:
    """A large number or a lone surrogate does not change the values beside it."""
    together = json_to_messagepack(f"[{','.join(texts)}]".encode())
    parts = msgspec.msgpack.decode(together, type=list[msgspec.Raw])
    assert [bytes(part) for part in parts] == [
        bytes(json_to_messagepack(text.encode())) for text in texts
    ]


@given(BINARY_VALUES)
def test_values_of_messagepack(value: Any) -> None:
    def expected(value: Any) -> Any:
        match value:
            case bytes():
                return base64.b64encode(value).decode()
            case list():
                return [expected(item) for item in value]
            case dict():
                return {name: expected(item) for name, item in value.items()}
            case _:
                return value

    assert json.loads(bytes(messagepack_to_json(msgspec.msgpack.encode(value)))) == expected(value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_single_has_no_more_digits_than_it_needs(value: float) -> None:
    text = bytes(messagepack_to_json(b"\xca" + struct.pack(">f", value)))
    assert struct.unpack(">f", struct.pack(">f", float(text)))[0] == value
    assert len(text.lstrip(b"-").replace(b".", b"").split(b"e")[0].strip(b"0")) <= 9


@given(st.binary(max_size=60))
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\xc6\xff\xff\xff\xff")
@example(b"\xdd\x00\x00\x00\x05\xc0")
def test_any_bytes_as_messagepack(data: bytes) -> None:
    """JSON in proportion to the bytes, or an error."""
    try:
        text = bytes(messagepack_to_json(data))
    except TranscodingError:
        return
    json.loads(text)
    assert len(text) <= 30 * len(data)


@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:0129.eE-+truefalsnNI\\u ').map(str.encode))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"[NaN]")
@example(b"[1e400,Infinity]")
@example(b'["\\ud800", \xff]')
def test_any_bytes_as_json(data: bytes) -> None:
    """MessagePack or an error."""
    try:
        payload = json_to_messagepack(data)
    except TranscodingError:
        return
    msgspec.msgpack.decode(payload)
    json.loads(data)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa0"], ids=["arrays", "maps"])
def test_json_is_never_deeper_than_clients_can_read(opening: bytes) -> None:
    """J-11."""
    messagepack_to_json(opening * MAXIMUM_JSON_DEPTH + b"\x01")
    for depth in (MAXIMUM_JSON_DEPTH + 1, 100_000):
        with pytest.raises(TranscodingError, match="deeper than 62 levels"):
            messagepack_to_json(opening * depth + b"\x01")
    with pytest.raises(TranscodingError, match="deeper than 3 levels"):
        messagepack_to_json(opening * 4 + b"\x01", maximum_depth=3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite(value: float) -> None:
    """J-16: as if a hub sent it over JSON."""
    with pytest.raises(TranscodingError, match="has no JSON form"):
        messagepack_to_json(msgspec.msgpack.encode([value]))


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize(
    "text", [b"[1]", b'["\\ud800"]', b"[1", b"[" * 20_000], ids=["fast", "slow", "bad", "deep"]
)
def test_the_garbage_collection_is_as_before(text: bytes, is_enabled: bool) -> None:
    """It pauses while JSON is transcoded, and continues unless the program has disabled it."""
    was_enabled = gc.isenabled()
    (gc.enable if is_enabled else gc.disable)()
    try:
        with contextlib.suppress(TranscodingError):
            json_to_messagepack(text)
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_nested_arrays_cause_no_collections() -> None:
    """Their number would make the time of a large payload more than twice as long."""
    collections = []
    gc.callbacks.append(lambda phase, _: collections.append(phase))
    try:
        json_to_messagepack(b"[" + b",".join([b"[[[]]]"] * 5000) + b"]")
    finally:
        gc.callbacks.pop()
    assert not collections


@given(PLAIN_VALUES)
def test_a_copy_of_a_view(value: Any) -> None:
    """A Raw is a view of a frame; the bytes around it are not read."""
    frame = b"\xff" + msgspec.msgpack.encode(value) + b"\xff"
    raw = msgspec.Raw(memoryview(frame)[1:-1])
    assert json.loads(bytes(messagepack_to_json(raw))) == value
