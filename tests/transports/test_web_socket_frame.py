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
    cache = FrameCache()
    payload, equal = b"ab" * 50, b"".join([b"ab" * 25, b"ab" * 25])
    assert payload is not equal
    frame = cache.frame(payload, TransferFormat.TEXT)
    assert cache.frame(payload, TransferFormat.TEXT) is frame
    assert cache.frame(equal, TransferFormat.TEXT) == frame
    assert cache.frame(equal, TransferFormat.TEXT) is not frame
    assert cache.frame(payload, TransferFormat.TEXT) is not frame


def test_the_cache_tells_formats_apart() -> None:
    """TW-3: ``{}`` of a handshake goes to clients of either kind, and is the same object."""
    cache = FrameCache()
    text, binary = (cache.frame(b"{}", transfer_format) for transfer_format in TransferFormat)
    assert (text[0], binary[0]) == (0x81, 0x82)
    assert cache.frame(b"{}", TransferFormat.TEXT) == text
