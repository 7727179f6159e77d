"""Our client sends the same requests and messages as the recorded .NET client.

Each scenario is one test. A scenario that needs a missing feature is listed with this reason. A
scenario in which our client differs on purpose has a row in ``docs/divergences.md``, and a file
with what our client sends instead. If such a scenario passes, its entry must be removed.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Final

import pytest

from tests.recorded_client.comparison import Step, differences
from tests.recorded_client.playing import FIXTURES, OURS, recorded_names
from tests.support.checkout import ROOT
from tests.support.documents import table

NAMES: Final = recorded_names()
DIVERGENT: Final = {
    name
    for row in table(ROOT / "docs" / "divergences.md", "client scenarios", ".NET client")
    for name in row[0].split(", ")
}
SLOW_FIRST: Final = (
    "malformed-json",
    "malformed-messagepack",
    "malformed-newtonsoft",
    "polling-ends",
    "server-timeout",
    "ends",
    "keep-alive",
    "token-lifetime",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # the first tests wait while many scenarios run
]


def left_for_later() -> dict[str, str]:
    """Scenario → what it needs that is not built yet."""
    groups = json.loads((FIXTURES / "left_for_later.json").read_bytes())
    return {name: group["needs"] for group in groups for name in group["scenarios"]}


LEFT_FOR_LATER: Final = left_for_later()
EXPECTED: Final = [name for name in NAMES if name not in LEFT_FOR_LATER and name not in DIVERGENT]


class Run:
    """Scenarios that run in a separate process."""

    def __init__(self, names: list[str]) -> None:
        self._outcomes: dict[str, Future[dict[str, Any]]] = {name: Future() for name in names}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.recorded_client", *names],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # there the server logs connections that it abandons
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            outcome = json.loads(line)
            self._outcomes[outcome["name"]].set_result(outcome)
        for future in self._outcomes.values():
            if not future.done():
                future.set_exception(RuntimeError("The players ended early."))

    def outcome(self, name: str) -> dict[str, Any]:
        return self._outcomes[name].result()

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    callspecs = (getattr(item, "callspec", None) for item in request.session.items)
    wanted = {callspec.params.get("name") for callspec in callspecs if callspec is not None}
    run = Run(sorted(wanted.intersection(NAMES), key=lambda name: (name not in SLOW_FIRST, name)))
    yield run
    run.end()


@pytest.mark.parametrize("name", EXPECTED)
def test_scenario(run: Run, name: str) -> None:
    assert run.outcome(name)["differences"] == []


@pytest.mark.parametrize("name", sorted(LEFT_FOR_LATER))
def test_left_for_later(run: Run, name: str) -> None:
    outcome = run.outcome(name)
    assert outcome["differences"], "passes: take it off left_for_later.json"
    assert ", ".join(outcome["missing"]) == LEFT_FOR_LATER[name]


@pytest.mark.parametrize("name", sorted(DIVERGENT))
def test_divergence(run: Run, name: str) -> None:
    outcome = run.outcome(name)
    assert outcome["differences"], "passes: take it off docs/divergences.md"
    assert outcome["differences_from_ours"] == []


_HANDSHAKE: Final = '{"protocol":"json","version":1}'
_CALL: Final = '{"type":1,"target":"M","arguments":[]}'
_PING: Final = '{"type":6}'
_CLOSE: Final = '{"type":7}'


def _posts(*records: str) -> list[Step]:
    said = {"method": "POST", "target": "/hub?id=1", "headers": [], "answered": 0}
    return [
        {**said, "request": number, "body": record + "\x1e"}
        for number, record in enumerate(records)
    ]


@pytest.mark.parametrize(
    ("theirs", "ours", "is_same"),
    [
        ((_HANDSHAKE, _CALL), (_HANDSHAKE, _CALL), True),
        ((_HANDSHAKE, _PING, _CALL), (_HANDSHAKE, _PING, _PING, _CALL), True),
        ((_HANDSHAKE, _CALL, _CLOSE), (_HANDSHAKE, _CALL), True),
        ((_HANDSHAKE, _CLOSE, _HANDSHAKE, _CALL), (_HANDSHAKE, _HANDSHAKE, _CALL), True),
        ((_HANDSHAKE, _PING, _CALL), (_HANDSHAKE, _CALL), False),
        ((_HANDSHAKE, _CALL), (_HANDSHAKE, _CALL, _PING), False),
        ((_HANDSHAKE,), (_HANDSHAKE, _PING), False),
        ((_HANDSHAKE, _CLOSE, _CALL), (_HANDSHAKE, _CALL), False),
        ((_HANDSHAKE, _CALL), (_HANDSHAKE, _CALL, _CALL), False),
    ],
)
def test_what_is_a_difference(theirs: list[str], ours: list[str], is_same: bool) -> None:
    assert (differences(_posts(*theirs), _posts(*ours)) == []) is is_same


def test_the_lists_name_what_is_recorded() -> None:
    assert set(NAMES) >= LEFT_FOR_LATER.keys() | DIVERGENT
    assert not LEFT_FOR_LATER.keys() & DIVERGENT
    assert {path.stem for path in OURS.glob("*.json")} == DIVERGENT
