"""The number types of .NET (J-15)."""

import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.values.number_types import Single


@given(st.floats(width=32, allow_nan=False))
def test_a_number_of_32_bits_stays_as_it_is(value: float) -> None:
    assert Single(value) == value


@given(st.floats(allow_nan=False))
def test_any_other_is_rounded_once(value: float) -> None:
    rounded = Single(value)
    assert Single(rounded) == rounded
    assert math.isinf(rounded) or struct.unpack("<f", struct.pack("<f", value))[0] == rounded


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_spelling_reads_back_equal(value: float) -> None:
    shortest = Single(value).shortest
    assert Single(shortest) == value
    assert len(repr(shortest)) <= len(repr(value))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(1e-45)
@example(1.1754942e-38)
def test_no_fewer_digits_are_enough(value: float) -> None:
    """Also for the smallest numbers, which have fewer digits."""
    shortest = Single(value).shortest
    for digits in range(1, 9):
        candidate = float(f"{value:.{digits}g}")
        if Single(candidate) == value:
            assert shortest == candidate
            return
    assert shortest == float(f"{value:.9g}")


@pytest.mark.parametrize(
    ("value", "shortest"), [(0.1, 0.1), (16777217, 16777216), (1 / 3, 0.33333334), (2.0, 2.0)]
)
def test_examples(value: float, shortest: float) -> None:
    assert Single(value).shortest == shortest


def test_beyond_the_range_is_infinity() -> None:
    assert Single(1e39) == math.inf
    assert Single(-1e39) == -math.inf
    assert math.isnan(Single(math.nan))
