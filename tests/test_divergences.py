"""What our server does where it differs from ASP.NET Core on purpose, scenario by scenario.

The table in ``docs/divergences.md`` says why; that each still differs is tested by ``test_wire``.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import wire_suite
from tests.wire_suite import CorpusRun
from tests.wire_twin import running_twin

OURS = wire_suite.load(wire_suite.RECORDINGS / "ours")
SHUTDOWN = "connection/shutdown"  # leaves no server for the others


@pytest.fixture(scope="module")
def our_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorpusRun]:
    log: Path = tmp_path_factory.mktemp("wire") / "twin.log"
    with running_twin(log) as url:
        yield CorpusRun(url, [it for label, it in OURS.items() if label != SHUTDOWN])


@pytest.mark.parametrize("label", [label for label in OURS if label != SHUTDOWN])
def test_what_we_do_instead(our_run: CorpusRun, label: str) -> None:
    differences = our_run.outcome(label).differences
    assert not differences, "\n".join((OURS[label].content["about"], *differences))


def test_shutdown(tmp_path: Path) -> None:
    with running_twin(tmp_path / "twin.log") as url:
        differences = CorpusRun(url, [OURS[SHUTDOWN]]).outcome(SHUTDOWN).differences
    assert not differences, "\n".join(differences)


def test_every_divergence_has_its_test() -> None:
    assert wire_suite.divergent_labels() == set(OURS)


def test_every_divergence_has_its_reason() -> None:
    for divergence in wire_suite.divergences():
        assert divergence.labels
        assert divergence.theirs
        assert divergence.ours
        assert divergence.why
