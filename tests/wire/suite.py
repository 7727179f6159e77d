"""The recorded conversations: their scenarios, the expected results, and how they are run.

``spec-fixtures/wire`` has a scenario per file, recorded from ASP.NET Core. Most scenarios must
pass. Scenarios in the table of ``docs/divergences.md`` differ on purpose. For each of them, a
scenario of the same name under ``spec-fixtures/wire/ours`` has the behaviour of our server.

The scenarios run in a separate thread, many at a time. Each test waits for its own scenario.
"""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from tests.support.checkout import ROOT
from tests.support.documents import table
from tests.wire import player

DIVERGENCES: Final = ROOT / "docs" / "divergences.md"
RECORDINGS: Final = ROOT / "spec-fixtures" / "wire"
AT_A_TIME: Final = 16
"""Scenarios that are played together; those that say "alone" follow one by one."""

_LIMIT: Final = 120.0  # seconds for one scenario, unless it says otherwise
_RECORD_SEPARATOR: Final = "\x1e"
_GONE: Final = "No Connection with that ID"
_LABEL: Final = re.compile(r"(?:hub|connection)/[a-z0-9-]+")

Steps = dict[str, Any]
# The player has no annotations; these are its functions as they are meant.
_compare: Callable[..., list[str]] = player.compare
_new_player: Callable[[str], Any] = player.Player
_masked: Callable[[Any, Mapping[str, str]], Any] = player.masked


@dataclass(frozen=True)
class Scenario:
    """One recording. ``label`` is ``hub/NAME`` or ``connection/NAME``."""

    label: str
    content: Steps

    @property
    def is_alone(self) -> bool:
        """Whether it sends to every connection of a hub, so that it must run alone."""
        return bool(self.content.get("alone"))

    @property
    def is_slow(self) -> bool:
        """Whether it waits for long times."""
        return bool(self.content.get("slow"))


@dataclass(frozen=True)
class Outcome:
    """The result of a scenario: the differences from the recording, and whether it was tried
    twice."""

    differences: list[str]
    failed_in_company: bool = False


@dataclass(frozen=True)
class Divergence:
    """One row of the table of chosen divergences."""

    labels: tuple[str, ...]
    theirs: str
    ours: str
    why: str


def load(folder: Path = RECORDINGS) -> dict[str, Scenario]:
    """All scenarios below ``folder`` by label."""
    scenarios = {}
    for part in ("hub", "connection"):
        for path in sorted((folder / part).glob("*.json")):
            content = json.loads(path.read_bytes())
            label = f"{part}/{content['name']}"
            scenarios[label] = Scenario(label, content)
    return scenarios


def divergences() -> list[Divergence]:
    """The rows of the table."""
    rows = table(DIVERGENCES, "scenarios", "ASP.NET Core", "here", "why")
    return [Divergence(tuple(_LABEL.findall(row[0])), *row[1:]) for row in rows]


def divergent_labels() -> set[str]:
    """The scenarios that differ on purpose."""
    return {label for divergence in divergences() for label in divergence.labels}


class CorpusRun:
    """Plays scenarios against the server at ``url``, from now on and in the background.

    Each label of ``scenarios`` has a future of its Outcome. Those in ``expected_to_differ`` are
    given up at the first difference and not tried again: they could wait for ever for what we do
    not send.
    """

    def __init__(
        self, url: str, scenarios: Iterable[Scenario], expected_to_differ: Iterable[str] = ()
    ) -> None:
        self._url = url
        # Slow ones first, so that they do not prolong the end.
        self._scenarios = sorted(scenarios, key=lambda scenario: not scenario.is_slow)
        self._expected_to_differ = frozenset(expected_to_differ)
        self._outcomes: dict[str, Future[Outcome]] = {
            scenario.label: Future() for scenario in self._scenarios
        }
        threading.Thread(target=self._run, daemon=True).start()

    def outcome(self, label: str) -> Outcome:
        """Waits until the scenario has run."""
        return self._outcomes[label].result()

    def failed_in_company(self) -> list[str]:
        """The labels of the scenarios that were run again, alone."""
        return [
            label
            for label, future in self._outcomes.items()
            if future.done() and future.result().failed_in_company
        ]

    def _run(self) -> None:
        try:
            asyncio.run(self._play_all())
        except BaseException as error:  # otherwise tests would wait for ever
            for future in self._outcomes.values():
                if not future.done():
                    future.set_exception(error)

    async def _play_all(self) -> None:
        room = asyncio.Semaphore(AT_A_TIME)
        again: list[Scenario] = []

        async def in_company(scenario: Scenario) -> None:
            async with room:
                differences = await self._play(scenario)
            if differences and scenario.label not in self._expected_to_differ:
                again.append(scenario)
            else:
                self._outcomes[scenario.label].set_result(Outcome(differences))

        company = [scenario for scenario in self._scenarios if not scenario.is_alone]
        await asyncio.gather(*(in_company(scenario) for scenario in company))
        for scenario in self._scenarios:
            if scenario.is_alone:
                outcome = Outcome(await self._play(scenario))
                self._outcomes[scenario.label].set_result(outcome)
        for scenario in again:
            outcome = Outcome(await self._play(scenario), failed_in_company=True)
            self._outcomes[scenario.label].set_result(outcome)

    async def _play(self, scenario: Scenario) -> list[str]:
        try:
            if scenario.label in self._expected_to_differ:
                return await _first_difference(self._url, scenario.content)
            played = await play(self._url, scenario.content)
            return _compare(scenario.content, played, details=False)
        except Exception as error:  # the player fails where an answer lacks what it needs next
            return [f"{type(error).__name__}: {error}"]


async def play(url: str, content: Steps) -> Steps:
    """Plays a scenario; returns it as a recording of what the server at ``url`` did."""
    player = _new_player(url)
    results = []
    try:
        async with asyncio.timeout(content.get("limit", _LIMIT)):
            for before, step in pairwise([{"do": "begin"}, *content["steps"]]):
                if before["do"] == "delete" and step.get("got", {}).get("body") == _GONE:
                    await _until_gone(player, step)
                got = await player.step(step)
                while _is_begun(step, got):
                    got = _joined(got, await player.step(step))
                results.append(got)
    finally:
        await player.tidy()
    pairs = zip(content["steps"], results, strict=True)
    return {**content, "steps": [_merged(player, step, got) for step, got in pairs]}


def _is_begun(step: Steps, got: Steps | None) -> bool:
    """Whether a poll got the first records of what the recorded one got: the rest is on its way."""
    if step["do"] != "poll" or not got:  # a request that only begins has no answer
        return False
    wanted, body = step.get("got", {}).get("body"), got.get("body")
    if not isinstance(wanted, str) or not isinstance(body, str):
        return False
    return body.endswith(_RECORD_SEPARATOR) and wanted != body and wanted.startswith(body)


def _joined(first: Steps, second: Steps) -> Steps:
    """Two answers to polls as the one that would have had all their records."""
    body = first["body"] + second["body"]
    headers = {**second["headers"], "content-length": str(len(body.encode()))}
    return {**second, "headers": headers, "body": body}


async def _until_gone(player: Any, step: Steps) -> None:
    """Waits for what a DELETE has begun; until then the connection is there, but ended (TL-9)."""
    path, query = player.on_token(step, player.actor(step))
    while (await player.request("DELETE", path, query))[0]["status"] == 202:
        pass


async def _first_difference(url: str, content: Steps) -> list[str]:
    """The differences at the first step that has any; later steps do not run."""
    player = _new_player(url)
    try:
        async with asyncio.timeout(content.get("limit", _LIMIT)):
            for step in content["steps"]:
                played = _merged(player, step, await player.step(step))
                differences = _compare({"steps": [step]}, {"steps": [played]}, details=False)
                if differences:
                    return differences
        return []
    finally:
        await player.tidy()


def _merged(player: Any, step: Steps, got: Any) -> Steps:
    """The step with what was got in it, as a recording has it."""
    bare = {key: value for key, value in step.items() if key != "got"}
    if step["do"] == "parallel":
        pairs = zip(step["steps"], got["steps"], strict=True)
        return {**bare, "steps": [_merged(player, inner, found) for inner, found in pairs]}
    if got is None:
        return bare
    return {**bare, "got": _masked(player.normal(got), step.get("mask", {}))}
