"""What our server does where it differs from ASP.NET Core on purpose, scenario by scenario.

The table in ``docs/divergences.md`` says why; ``test_recordings`` checks that each
still differs.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reference_server.process import running_reference_server
from tests.wire import suite
from tests.wire.suite import CorpusRun

OURS = suite.load(suite.RECORDINGS / "ours")
SHUTDOWN = "connection/shutdown"  # it stops the server, so it needs a server of its own


@pytest.fixture(scope="module")
def our_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CorpusRun]:
    log: Path = tmp_path_factory.mktemp("wire") / "server.log"
    with running_reference_server(log) as url:
        yield CorpusRun(url, [it for label, it in OURS.items() if label != SHUTDOWN])


@pytest.mark.parametrize("label", [label for label in OURS if label != SHUTDOWN])
def test_what_we_do_instead(our_run: CorpusRun, label: str) -> None:
    differences = our_run.outcome(label).differences
    assert not differences, "\n".join((OURS[label].content["about"], *differences))


def test_shutdown(tmp_path: Path) -> None:
    with running_reference_server(tmp_path / "server.log") as url:
        differences = CorpusRun(url, [OURS[SHUTDOWN]]).outcome(SHUTDOWN).differences
    assert not differences, "\n".join(differences)


def test_every_divergence_has_its_test() -> None:
    assert suite.divergent_labels() == set(OURS)


def test_every_divergence_has_its_reason() -> None:
    for divergence in suite.divergences():
        assert divergence.labels
        assert divergence.theirs
        assert divergence.ours
        assert divergence.why
