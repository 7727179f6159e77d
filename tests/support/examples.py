"""How many examples Hypothesis tries where the usual number is not enough."""

from hypothesis import settings


def times_usual(factor: int) -> int:
    """That many times the number of the profile in use, which pytest loads before the tests."""
    return factor * settings().max_examples
