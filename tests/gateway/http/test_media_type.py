"""Content types are parsed by the grammar of RFC 9110 (GW-9)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalr_gateway.http.media_type import MediaType, is_json

_PIECES = (
    *"application/json text/json +json ; = , charset charset* utf-8 UTF-8".split(),
    *' "\\\t(1é',
)


@pytest.mark.parametrize(
    ("content_type", "json"),
    [
        ("application/problem+json", True),
        ("application/json-patch+json", True),
        ("application/json;", True),
        ("application/json; odata=x", True),
        ("application/+json", False),
        ("text/x+json", False),
        ("application/x-www-form-urlencoded", False),
        ("application/xml", False),
        ("garbage", False),
        ("", False),
        ("application/json; charset=", False),
        ("application/json; CHARSET=UTF-8", True),
        ("application/json; charset=utf-8; charset=utf-16", False),
        ("application/json; charset=utf-8; charset=utf-8", False),
        ("application/json; charset*=utf-8''utf-8", False),
        ("application/json; charset*0=utf-8", False),
        ("application/json;charset*=1utf-8(;", False),
        ('application/json; charset="utf-8', False),
        ('application/json; charset="utf-8"x', False),
        ('application/json; charset="utf\\-8"', True),
        ('application/json; x="a;charset=latin1"', True),
        ('application/json; x="\\"; charset=latin1"', True),
        ('application/json; x="\\"', False),
        ("application/json; charset = utf-8", False),
        ("application/json; charset", False),
        ("application/json charset=utf-8", False),
        ("application/json, text/plain", False),
        ("application/json \t; charset=utf-8\t; ", True),
        ("application/json;;; charset=utf-8", True),
        ("application/json; x=é", False),
        ('application/json; x="é"', True),
        ('application/json; x="\x00"', False),
        ("application/ json", False),
        ("application/json\n", False),
    ],
)
def test_media_types(content_type: str, json: bool) -> None:
    assert is_json(content_type) is json


@given(st.lists(st.sampled_from(_PIECES), max_size=20).map("".join))
def test_any_text_is_read(text: str) -> None:
    """What is JSON names one media type and at most one charset."""
    media_type = MediaType.parse(text)
    if is_json(text):
        assert media_type is not None
        assert "json" in media_type.subtype
        charsets = [value for name, value in media_type.parameters if name == "charset"]
        assert [charset.lower() for charset in charsets] in ([], ["utf-8"])


def test_what_follows_the_grammar_is_read_back() -> None:
    text = 'Text/Plain; Charset="a\\"b"; x=y; x=""'
    assert MediaType.parse(text) == MediaType(
        "text", "plain", (("charset", 'a"b'), ("x", "y"), ("x", ""))
    )
