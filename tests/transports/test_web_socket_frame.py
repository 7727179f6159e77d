"""Frames as server and client write them (TW-3, TSC-6)."""

import os

import pytest

from protocol.hub_protocol import TransferFormat
from protocol.transports.web_socket_frame import FrameCache, data_frame, masked_data_frame

from .raw_web_socket import BINARY, TEXT, encode

SIZES = pytest.mark.parametrize("size", [0, 1, 2, 3, 125, 126, 127, 65_535, 65_536, 100_000])
FORMATS = pytest.mark.parametrize(
    ("transfer_format", "opcode"), [(TransferFormat.TEXT, TEXT), (TransferFormat.BINARY, BINARY)]
)


@SIZES
@FORMATS
def test_data_frame(transfer_format: TransferFormat, opcode: int, size: int) -> None:
    """RFC 6455: one whole, unmasked message, its length in the shortest form."""
    payload = b"x" * size
    assert data_frame(payload, transfer_format) == encode(opcode, payload, masked=False)


@SIZES
@FORMATS
def test_masked_data_frame(
    monkeypatch: pytest.MonkeyPatch, transfer_format: TransferFormat, opcode: int, size: int
) -> None:
    """RFC 6455, 5.3: the same, masked."""
    monkeypatch.setattr(os, "urandom", lambda count: b"\x11\x22\x33\x44"[:count])
    payload = os.fsencode("".join(chr(ord("a") + number % 26) for number in range(size)))
    assert masked_data_frame(payload, transfer_format) == encode(opcode, payload, masked=True)


def test_each_frame_has_a_key_of_its_own() -> None:
    """RFC 6455, 5.3: the mask cannot be predicted."""
    frames = {masked_data_frame(b"x", TransferFormat.TEXT) for _ in range(20)}
    assert len({frame[2:6] for frame in frames}) > 10


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
