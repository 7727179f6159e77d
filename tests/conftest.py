"""The profiles of Hypothesis, the result of skipped tests, and the tables at the end of a run.

By default Hypothesis has the same examples in every run, and no time limit for an example. Search
for new examples with ``pytest --hypothesis-profile=search``. The profile ``brief`` tries a quarter
of the examples; `.ci/run` uses it with other interpreters and versions. If a tool is missing, the
tests that need it are skipped. Where ``CI`` is set, a skipped test fails.
"""

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.interop.matrix import report as matrix
from tests.wire import summary as corpus

# Examples and their generation have no time limit, because a busy machine would exceed it.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "steady", settings.get_profile("patient"), derandomize=True, database=None
)
settings.register_profile("brief", settings.get_profile("steady"), max_examples=25)
settings.register_profile("search", settings.get_profile("patient"), max_examples=5000)
settings.load_profile("steady")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where CI is set: {report.longreprtext}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module or folder may be skipped during collection."""
    report = yield
    _refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Made from the reports, because the tests may have run in other processes."""
    for title, lines in (
        ("interop matrix", list(matrix.lines(terminalreporter.stats))),
        ("recorded corpus", list(corpus.lines(terminalreporter.stats))),
    ):
        if lines:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.line(line)
