"""The text of a HubException alone, and with the sentence around it (S-4 … S-8)."""

import pytest

from protocol import HubException

FAILED = "Failed to invoke 'Sey' due to an error on the server."
INVOKING = "An unexpected error occurred invoking 'Say' on the server."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{INVOKING} HubException: no seats: 0 left", "no seats: 0 left"),
        (f"{INVOKING} HubException: ", ""),
        (f"{INVOKING} HubException: two\nlines", "two\nlines"),
        (f"{INVOKING} SoldOutException: no seats", "no seats"),
        (f"{INVOKING} LookupError: with detailed errors", "with detailed errors"),
        (INVOKING, INVOKING),
        ("An error occurred on the server while streaming results. HubException: no", "no"),
        (f"{FAILED} HubException: Method does not exist.", "Method does not exist."),
        ("no seats", "no seats"),
        ("", ""),
    ],
)
def test_the_message(text: str, message: str) -> None:
    """S-8: what the hub method has raised; the whole text if there is nothing else."""
    error = HubException(text)
    assert (error.message, str(error)) == (message, text)


class CodedError(HubException):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(f"{message} ({code})")
        self.message = message


def test_a_subclass_with_a_message_of_its_own() -> None:
    """An exception of a user may have an attribute of this name."""
    assert CodedError("no seats", 5).message == "no seats"
