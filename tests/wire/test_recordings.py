"""The conversations recorded from ASP.NET Core, with the reference server.

Each scenario is one test. A scenario that is left for later, or differs on purpose, must not pass:
if it passes, its entry must be removed, so that the lists can only shrink.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.reference_server.process import running_reference_server
from tests.wire import suite
from tests.wire.needs import NOT_BUILT, Conversation
from tests.wire.suite import CorpusRun
from tests.wire.summary import FAILED_IN_COMPANY

CORPUS = suite.load()
LEFT_FOR_LATER = suite.left_for_later()
DIVERGENT = suite.divergent_labels() & CORPUS.keys()  # no other scenarios were recorded
EXPECTED = [label for label in CORPUS if label not in LEFT_FOR_LATER and label not in DIVERGENT]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # the first tests wait while many scenarios run
]


# Of clients that stop polling in the middle of something, as some conversations do.
_LEFT = re.compile(r"WARNING:\S+:Connection \S+ is cut off: a send timed out\.")


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
        run = CorpusRun(url, scenarios, {*LEFT_FOR_LATER, *DIVERGENT})
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


@pytest.mark.parametrize("label", [label for label in CORPUS if label in LEFT_FOR_LATER])
def test_left_for_later(corpus_run: CorpusRun, label: str) -> None:
    assert corpus_run.outcome(label).differences, "passes: take it off left_for_later.json"


@pytest.mark.parametrize("label", [label for label in CORPUS if label in DIVERGENT])
def test_divergence(corpus_run: CorpusRun, label: str) -> None:
    assert corpus_run.outcome(label).differences, "passes: take it off docs/divergences.md"


def test_the_list_only_shrinks() -> None:
    """Lower the number when the list has become shorter; it never rises again."""
    assert len(LEFT_FOR_LATER) <= 54


def test_what_is_left_for_later_waits_for_something() -> None:
    """For what the list says: something that is not built, and that the conversation does need."""
    assert set(LEFT_FOR_LATER.values()) <= set(NOT_BUILT)
    mistaken = {
        label: (need, sorted(needs))
        for label, need in LEFT_FOR_LATER.items()
        if need not in (needs := Conversation(CORPUS[label].content).needs())
    }
    assert not mistaken


def test_what_is_not_left_for_later_waits_for_nothing() -> None:
    """Or it could be put on the list the day it fails: so what is built cannot hide there."""
    waiting = {
        label: sorted(needs)
        for label in EXPECTED
        if (needs := Conversation(CORPUS[label].content).needs() & set(NOT_BUILT))
    }
    assert not waiting


@pytest.mark.parametrize(
    ("conversation", "needs"),
    [
        ("hub/unknown-method", set()),
        ("hub/call-no-id", set()),
        ("hub/json-bad-stream-invocation-arguments-missing", set()),
        ("connection/stateful-closing", set()),
        ("connection/stateful-ack", {"stateful reconnect"}),
        ("hub/stray-messages", set()),
        ("hub/handshake-messagepack", {"the MessagePack hub protocol"}),
        ("hub/stream-method-called", {"streams to the client"}),
        ("hub/duplex", {"streams to the client", "streams from the client"}),
        ("hub/client-result", {"client results"}),
        ("hub/client-close-on-sse", {"server-sent events"}),
        ("hub/client-close-on-long-polling", {"long polling"}),
        ("connection/dispatch-after-end", set()),
        ("connection/auth-optional", set()),
        ("connection/ws-frames-json", {"a negotiate answer that lists all transports"}),
    ],
)
def test_needs(conversation: str, needs: set[str]) -> None:
    """A few that can be told by their names."""
    assert Conversation(CORPUS[conversation].content).needs() == needs


def test_what_is_listed_is_recorded() -> None:
    assert LEFT_FOR_LATER.keys() <= CORPUS.keys()
    assert not LEFT_FOR_LATER.keys() & DIVERGENT
