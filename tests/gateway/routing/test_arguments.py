"""GW-7: the body of a POST is strict JSON, split but never decoded."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.relaying import is_json_deeper
from signalr_gateway.routing.arguments import InvalidArguments, split_arguments
from signalr_gateway.routing.problem_code import ProblemCode
from tests.gateway.payloads import json_text


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b"[]", []),
        (b'[{"name":"John","message":"Hello!"}]', [b'{"name":"John","message":"Hello!"}']),
        (
            b"[0.10, 1E5,-1e400 ,12345678901234567890,1.0]",
            [b"0.10", b"1E5", b"-1e400", b"12345678901234567890", b"1.0"],
        ),
        (
            b'["2026-01-02T03:04:05.1234567+02:00", {"z":1, "a":2, "a":3, "$type":"x"}]',
            [b'"2026-01-02T03:04:05.1234567+02:00"', b'{"z":1, "a":2, "a":3, "$type":"x"}'],
        ),
        (b"[true,false,null]", [b"true", b"false", b"null"]),
        ('["Jöhn 😀","\\u0000\\u001e\\ud83d\\ude00"]'.encode(), None),
        (
            b' ["\\ud800" , {"\\uDC00x":[1]},"\\ud800\\u0041"] ',
            [b'"\\ud800"', b'{"\\uDC00x":[1]}', b'"\\ud800\\u0041"'],
        ),
        (b" \r\n\t[ 1 ,\n2 ] \n", [b"1", b"2"]),
        (b"[1,2,3,4,5,6,7,8,9,10]", [b"%d" % n for n in range(1, 11)]),
    ],
)
def test_items_keep_their_text(body: bytes, items: list[bytes] | None) -> None:
    given = [json_text(item) for item in split_arguments(body)]
    if items is not None:
        assert given == items
    assert all(item in body for item in given)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", ProblemCode.EMPTY_BODY),
        (b" ", ProblemCode.INVALID_JSON),
        (b"null", ProblemCode.NOT_AN_ARRAY),
        (b"{}", ProblemCode.NOT_AN_ARRAY),
        (b'"text"', ProblemCode.NOT_AN_ARRAY),
        (b"5", ProblemCode.NOT_AN_ARRAY),
        (b"true", ProblemCode.NOT_AN_ARRAY),
        (b"[", ProblemCode.INVALID_JSON),
        (b"[1,2", ProblemCode.INVALID_JSON),
        (b"x", ProblemCode.INVALID_JSON),
        (b"[1}", ProblemCode.INVALID_JSON),
        (b"\xef\xbb\xbf[1]", ProblemCode.INVALID_JSON),
        (b'["a" /*c*/]', ProblemCode.INVALID_JSON),
        (b"// c\n[1]", ProblemCode.INVALID_JSON),
        (b"['single']", ProblemCode.INVALID_JSON),
        (b"[1,]", ProblemCode.INVALID_JSON),
        (b'[{"a":1,}]', ProblemCode.INVALID_JSON),
        (b"[1]x", ProblemCode.INVALID_JSON),
        (b"[1] [2]", ProblemCode.INVALID_JSON),
        (b"[1]\x1e", ProblemCode.INVALID_JSON),
        (b'["\x1e"]', ProblemCode.INVALID_JSON),
        (b'["a\nb"]', ProblemCode.INVALID_JSON),
        (b"[+1]", ProblemCode.INVALID_JSON),
        (b"[01]", ProblemCode.INVALID_JSON),
        (b"[0x1F]", ProblemCode.INVALID_JSON),
        (b"[{a:1}]", ProblemCode.INVALID_JSON),
        (b"[NaN]", ProblemCode.INVALID_JSON),
        (b"[Infinity]", ProblemCode.INVALID_JSON),
        (b'["\\x"]', ProblemCode.INVALID_JSON),
        (b'["\\ud800", x]', ProblemCode.INVALID_JSON),
        (b'["\\ud800"] 1', ProblemCode.INVALID_JSON),
        (b'["\\ud80g"]', ProblemCode.INVALID_JSON),
        (b'{"\\ud800":1}', ProblemCode.NOT_AN_ARRAY),
        (b'["\\ud800",' + b"[" * 40 + b"]" * 41, ProblemCode.TOO_DEEP),
        (b'["\xff"]', ProblemCode.NOT_UTF8),
        (b'[{"\xc3\x28":1}]', ProblemCode.NOT_UTF8),
        ("[1]".encode("utf-16"), ProblemCode.NOT_UTF8),
        (b"[1,2,3,4,5,6,7,8,9,10,11]", ProblemCode.TOO_MANY_ARGUMENTS),
        (b"[" * 33 + b"]" * 33, ProblemCode.TOO_DEEP),
        (b"[" * 200_000, ProblemCode.TOO_DEEP),
        (b'[{"a":' * 17 + b"1" + b"}]" * 17, ProblemCode.TOO_DEEP),
    ],
)
def test_anything_else_is_refused(body: bytes, code: ProblemCode) -> None:
    with pytest.raises(InvalidArguments) as caught:
        split_arguments(body)
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("[1]".encode("utf-8-sig"), "begin with a byte order mark; send the JSON without it"),
        ("[1]".encode("utf-16"), "are not UTF-8 but UTF-16; send them as UTF-8"),
        (b'["\xff"]', "are not UTF-8 text"),
    ],
)
def test_the_encoding_that_is_wrong_is_named(body: bytes, text: str) -> None:
    with pytest.raises(InvalidArguments, match=rf"^The arguments {text}\.$"):
        split_arguments(body)


def test_depth_counts_from_the_array_itself() -> None:
    assert split_arguments(b"[" * 32 + b"]" * 32)
    assert split_arguments(b"[[]]", maximum_depth=2)
    with pytest.raises(InvalidArguments, match="deeper than 1 levels"):
        split_arguments(b"[[]]", maximum_depth=1)


def depth_of(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


BRACKETS = st.text(alphabet='[]{}"\\x,:', max_size=12)
VALUES = st.recursive(
    st.none() | st.integers() | BRACKETS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(BRACKETS, inner, max_size=4),
    max_leaves=30,
)


@given(VALUES, st.integers(min_value=0, max_value=8), st.sampled_from([None, 1]))
def test_depth_is_exact_whatever_the_strings_hold(
    value: object, maximum: int, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent).encode("utf-8", "surrogatepass")
    assert is_json_deeper(text, maximum) == (depth_of(value) > maximum)


@given(st.lists(VALUES, max_size=10))
def test_every_json_array_is_split_without_a_change(values: list[object]) -> None:
    items = split_arguments(msgspec.json.encode(values))
    assert [msgspec.json.decode(json_text(item)) for item in items] == values


@given(st.binary(max_size=40) | st.text(alphabet='[]{}",:0129.eE-+truefalsn\\ ').map(str.encode))
def test_any_bytes_are_split_or_refused(body: bytes) -> None:
    try:
        items = split_arguments(body)
    except InvalidArguments:
        return
    assert [json.loads(json_text(item)) for item in items] == json.loads(body)
