"""How many examples Hypothesis tries where the usual number is not enough."""

from hypothesis import settings


def times_usual(factor: int) -> int:
    """``factor`` times the number of examples of the Hypothesis profile in use.

    pytest loads the profile before it imports the test modules.
    """
    return factor * settings().max_examples
