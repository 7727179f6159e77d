"""Frames as the server writes them (TW-3, TSC-6)."""

import pytest

from protocol.transports.web_socket_frame import FrameCache, text_frame

from .raw_web_socket import TEXT, encode


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_text_frame(size: int) -> None:
    """RFC 6455: one whole, unmasked Text message, its length in the shortest form."""
    payload = b"x" * size
    assert text_frame(payload) == encode(TEXT, payload, masked=False)


def test_the_cache_keeps_one_frame() -> None:
    """G-8: the same object for the same object, and nothing older than the last one."""
    cache = FrameCache()
    payload, equal = b"ab" * 50, b"".join([b"ab" * 25, b"ab" * 25])
    assert payload is not equal
    frame = cache.frame(payload)
    assert cache.frame(payload) is frame
    assert cache.frame(equal) == frame
    assert cache.frame(equal) is not frame
    assert cache.frame(payload) is not frame
