"""How scenarios are run: which of them are tried again, and that the retry is reported."""

from typing import Any

import pytest

from tests.wire import suite
from tests.wire.suite import CorpusRun, Outcome, Scenario

STEADY, SHAKY, BROKEN = "hub/steady", "hub/shaky", "hub/broken"


def scenario(label: str, **more: Any) -> Scenario:
    return Scenario(label, {"name": label, "about": "", "steps": [], **more})


def test_what_fails_in_company_is_played_once_more_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes if it does so then; what fails twice fails, and both are reported."""
    played: list[str] = []

    async def play(url: str, content: dict[str, Any]) -> dict[str, Any]:
        assert url == "http://hub"
        played.append(content["name"])
        return content

    def compare(recorded: dict[str, Any], _played: Any, *, details: bool) -> list[str]:
        assert not details
        fails = {SHAKY: played.count(SHAKY) == 1, BROKEN: True}
        return ["other"] if fails.get(recorded["name"]) else []

    monkeypatch.setattr(suite, "play", play)
    monkeypatch.setattr(suite, "_compare", compare)
    last = "hub/alone"
    run = CorpusRun(
        "http://hub", [scenario(last, alone=True), *map(scenario, (SHAKY, BROKEN, STEADY))]
    )
    assert run.outcome(STEADY) == Outcome([])
    assert run.outcome(SHAKY) == Outcome([], failed_in_company=True)
    assert run.outcome(BROKEN) == Outcome(["other"], failed_in_company=True)
    assert run.failed_in_company() == [SHAKY, BROKEN]
    assert sorted(played[:3]) == sorted([SHAKY, BROKEN, STEADY])
    assert played[3:] == [last, SHAKY, BROKEN]


def test_a_server_that_is_not_there_fails_every_scenario() -> None:
    """Those that are expected to differ would differ from nothing as well; the others tell."""
    run = CorpusRun("http://127.0.0.1:9", [suite.load()["hub/unknown-method"]])
    assert run.outcome("hub/unknown-method").differences


def test_polls_that_got_their_records_apart() -> None:
    """Whether one poll gets two records or two polls one each is decided by time alone."""
    step = {"do": "poll", "got": {"body": "{}\x1e[1]\x1e"}}
    first = {"status": 200, "headers": {"content-length": "3"}, "body": "{}\x1e"}
    second = {"status": 200, "headers": {"content-length": "4"}, "body": "[1]\x1e"}
    assert suite._is_begun(step, first)
    joined = suite._joined(first, second)
    assert joined == {"status": 200, "headers": {"content-length": "7"}, "body": "{}\x1e[1]\x1e"}
    assert not suite._is_begun(step, joined)
    assert not suite._is_begun(step, {**first, "body": "{}"})
    assert not suite._is_begun(step, {**first, "body": ""})
    assert not suite._is_begun({**step, "do": "get"}, first)
