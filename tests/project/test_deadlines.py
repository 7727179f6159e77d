"""Deadlines: every clock can be moved by a test, and every deadline has a test that moves it.

All timers belong to the event loop, whose time ``LoopClock`` and ``LoopTime`` replace. Any other
clock is an argument. The tests read the sources, and list all offenders at once.
"""

import ast
from collections.abc import Iterator
from typing import Final

from tests.support.checkout import ROOT

CLOCKS: Final = frozenset(
    {
        *(f"time.{name}" for name in ("time", "monotonic", "perf_counter", "time_ns", "sleep")),
        *(f"datetime.{name}" for name in ("now", "utcnow", "today")),
    }
)
"""Functions that read or wait for a clock that no test moves."""

TIMERS: Final = frozenset({"call_later", "call_at", "timeout", "timeout_at", "wait_for"})


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("protocol", "signalr_gateway"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith("protocol/testing/"):
                yield name, ast.parse(path.read_text())


def places(tree: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Each node of a module, with the name of the class and function that contain it."""
    for node in ast.iter_child_nodes(tree):
        inner = scope
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{scope}.{node.name}".lstrip(".")
        yield inner, node
        yield from places(node, inner)


def sets_timer(node: ast.AST) -> bool:
    """Whether a node is a call that sets a timer of the event loop."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    argument = node.args[0] if node.args else None
    value = argument.value if isinstance(argument, ast.Constant) else ...
    match node.func.attr:
        case "sleep":
            return value != 0
        case "timeout":
            return value is not None
        case "wait":
            return any(keyword.arg == "timeout" for keyword in node.keywords)
        case name:
            return name in TIMERS or name == "ClientTimeout"
