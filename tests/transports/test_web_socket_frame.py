"""Frames as the server writes them (TW-3, TSC-6)."""

import pytest

from protocol.hub_protocol import TransferFormat
from protocol.transports.web_socket_frame import FrameCache, data_frame

from .raw_web_socket import BINARY, TEXT, encode


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
@pytest.mark.parametrize(
    ("transfer_format", "opcode"), [(TransferFormat.TEXT, TEXT), (TransferFormat.BINARY, BINARY)]
)
def test_data_frame(transfer_format: TransferFormat, opcode: int, size: int) -> None:
    """RFC 6455: one whole, unmasked message, its length in the shortest form."""
    payload = b"x" * size
    assert data_frame(payload, transfer_format) == encode(opcode, payload, masked=False)


def test_the_cache_keeps_one_frame() -> None:
    """G-8: the same object for the same object, and nothing older than the last one."""
    cache = FrameCache(TransferFormat.TEXT)
    payload, equal = b"ab" * 50, b"".join([b"ab" * 25, b"ab" * 25])
    assert payload is not equal
    frame = cache.frame(payload)
    assert cache.frame(payload) is frame
    assert cache.frame(equal) == frame
    assert cache.frame(equal) is not frame
    assert cache.frame(payload) is not frame
