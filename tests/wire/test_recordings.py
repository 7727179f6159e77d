"""The conversations recorded from ASP.NET Core, with the reference server.

Each scenario is one test. A scenario that differs on purpose must not pass: if it passes, its entry
must be removed.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reference_server.process import running_reference_server
from tests.wire import suite
from tests.wire.suite import CorpusRun
from tests.wire.summary import FAILED_IN_COMPANY

CORPUS = suite.load()
DIVERGENT = suite.divergent_labels() & CORPUS.keys()  # no other scenarios were recorded
EXPECTED = [label for label in CORPUS if label not in DIVERGENT]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # the first tests wait while many scenarios run
]


# Of clients that stop polling in the middle of something, or that send no Acks.
_LEFT = re.compile(
    r"WARNING:\S+:Connection \S+ is "
    r"(cut off: a send timed out|closed: it does not acknowledge what is sent to it)\."
)


def _wanted(session: pytest.Session) -> list[str]:
    """The labels that the selected tests are about."""
    callspecs = (getattr(item, "callspec", None) for item in session.items)
    labels = {callspec.params.get("label") for callspec in callspecs if callspec is not None}
    return [label for label in CORPUS if label in labels]


@pytest.fixture(scope="module")
def corpus_run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CorpusRun]:
    log: Path = tmp_path_factory.mktemp("wire") / "server.log"
    with running_reference_server(log) as url:
        scenarios = [CORPUS[label] for label in _wanted(request.session)]
        run = CorpusRun(url, scenarios, DIVERGENT)
        yield run
    complaints = [line for line in log.read_text().splitlines() if not _LEFT.fullmatch(line)]
    assert not complaints, f"the reference server logged: {complaints}"


@pytest.mark.parametrize("label", EXPECTED)
def test_scenario(
    corpus_run: CorpusRun, label: str, record_property: Callable[[str, object], None]
) -> None:
    outcome = corpus_run.outcome(label)
    if outcome.failed_in_company:
        record_property(FAILED_IN_COMPANY, label)
    differences = outcome.differences
    assert not differences, "\n".join((CORPUS[label].content["about"], *differences))


@pytest.mark.parametrize("label", [label for label in CORPUS if label in DIVERGENT])
def test_divergence(corpus_run: CorpusRun, label: str) -> None:
    assert corpus_run.outcome(label).differences, "passes: take it off docs/divergences.md"
