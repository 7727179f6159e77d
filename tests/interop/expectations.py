"""The answers that every hub must give to every client (rules of the hub protocol)."""

import pytest

_FAILED = "Failed to invoke '{}' due to an error on the server."
_UNEXPECTED = "An unexpected error occurred invoking '{}' on the server."
HUB_SAYS_NO = _UNEXPECTED.format("ThrowHub") + " HubException: hub says no"
"""The error for a caller of ThrowHub (S-8)."""


def _refusal(rule: str, text: str, target: str, *arguments: object) -> object:
    return pytest.param(target, list(arguments), text.format(target), id=rule)


REFUSALS = [
    _refusal("S-4", _FAILED + " HubException: Method does not exist.", "Missing"),
    _refusal("S-5", _FAILED, "Add", 1),
    _refusal("S-6", _FAILED, "Add", "x", 2),
    _refusal("S-7", _UNEXPECTED, "Throw"),
    _refusal("S-8", HUB_SAYS_NO, "ThrowHub"),
]
"""Calls that fail: target, arguments, and the text that reaches the caller unchanged."""
