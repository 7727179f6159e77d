"""Lines at the end of a run: how our server and the recordings of ASP.NET Core compare."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tests.wire import suite

FAILED_IN_COMPANY: Final = "failed in company"
"""The property of a test whose scenario was played again, alone."""

_MODULE: Final = "test_recordings.py::"


def lines(stats: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """`stats` has pytest's reports by outcome. No lines if the recordings were not played."""
    passed = [found for found in stats.get("passed", ()) if _MODULE in found.nodeid]
    counts = {
        name: sum(f"{_MODULE}{test}[" in found.nodeid for found in passed)
        for name, test in (
            ("passed", "test_scenario"),
            ("chosen divergences", "test_divergence"),
        )
    }
    if not any(counts.values()):
        return
    yield ", ".join(f"{count} {name}" for name, count in counts.items())
    yield "chosen divergences (docs/divergences.md), what ours does:"
    for divergence in suite.divergences():
        yield f"  {' '.join(divergence.labels)}: {divergence.ours}"
    properties = (entry for found in passed for entry in found.user_properties)
    again = [label for name, label in properties if name == FAILED_IN_COMPANY]
    if again:
        yield f"played again alone, having failed in company: {', '.join(again)}"
