"""Every rule of the gateway that is kept here has a test that names it, and no other is named.

A test names a rule in its own docstring; what the docstring of a module promises does not count.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

KEPT = [*(f"GW-{number}" for number in range(1, 29) if number not in (23, 26)), "GW-26a"]
OTHERS = {"GW-23", "GW-26", "GW-26b"}
"""Hooks, the relay between gateways, addresses for operations: not kept as a whole yet."""

RULE = re.compile(r"GW-\d+[a-z]?")
NAMING = [
    *(CHECKOUT / "signalr_gateway").rglob("*.py"),
    *(CHECKOUT / "tests").rglob("*.py"),
    *(CHECKOUT / "protocol").rglob("*.py"),
    *CHECKOUT.glob("*.md"),
    *(CHECKOUT / "docs").glob("*.md"),
]


def naming() -> Iterator[tuple[str, str]]:
    """A rule and a test that names it."""
    for path in (CHECKOUT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("test_"):
                for rule in RULE.findall(ast.get_docstring(node) or ""):
                    yield rule, f"{path.name}::{node.name}"


TESTS = list(naming())


@pytest.mark.parametrize("rule", KEPT)
def test_a_test_names_it(rule: str) -> None:
    assert [test for named, test in TESTS if named == rule]


def test_no_unknown_rule_is_named() -> None:
    named = {path: set(RULE.findall(path.read_text("utf-8"))) for path in NAMING}
    assert {path: rules for path, rules in named.items() if not rules <= OTHERS.union(KEPT)} == {}
