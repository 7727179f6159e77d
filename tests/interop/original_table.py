"""The expected outcome of each recorded step: the same, or the outcome in the table.

The table in `docs/improvements.md` describes different outcomes in words. `ours.json`, beside the
recordings, contains them exactly.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tests.interop.original_recording import RECORDINGS, Outcome, scenarios
from tests.support.checkout import ROOT

TABLE = ROOT / "docs" / "improvements.md"

RECORDED: Mapping[str, Outcome] = {
    step.id: step.outcome for scenario in scenarios().values() for step in scenario.steps
}
OURS: Mapping[str, Mapping[str, Outcome]] = json.loads(
    (RECORDINGS / "ours.json").read_text("utf-8")
)
"""The outcomes by section: `improvements`, `strict` for hubs that bind strictly, `own` for our
hub."""


def expected(step: str, *, strict: bool = False, own: bool = False) -> Outcome:
    """The expected outcome of a step with the hub of the recordings, or with another hub."""
    sections = ["own"] * own + ["strict"] * (strict or own) + ["improvements"]
    for section in sections:
        if step in OURS[section]:
            return OURS[section][step]
    return RECORDED[step]


WITNESSES: Mapping[str, str] = {
    "http": "caller",
    "frames": "clients",
    "output": "clients",
    "refused": "clients",
    "to_hub": "hub",
    "runs": "host",
}
"""The party of the table that sees each part of an outcome."""


def witnesses(one: Outcome, other: Outcome) -> set[str]:
    """The parties that see a difference between two outcomes."""
    return {WITNESSES[part] for part in {*one, *other} if one.get(part) != other.get(part)}


Difference = tuple[str, str]
"""A step, and a party that sees the difference."""


@dataclass(frozen=True)
class Row:
    steps: str
    """The steps as in the table: ``B1/14, B1/23-29``."""
    seen_by: str
    original: str
    here: str
    rule: str

    def covers(self, differences: Iterable[Difference]) -> set[Difference]:
        """The differences that this row explains.

        Each of its steps and parties must explain one.
        """
        named = [part for part in differences if part[1] in self.seen_by.split(", ")]
        by_steps = [
            {part for part in named if _is_between(part[0], *_ends(steps))}
            for steps in self.steps.split(", ")
        ]
        assert all(by_steps), f"nothing differs, or nobody sees it, in a step of: {self}"
        covered = set().union(*by_steps)
        assert {who for _, who in covered} == set(self.seen_by.split(", ")), self
        return covered


def rows(heading: str) -> list[Row]:
    """The rows of the table below a heading."""
    return [Row(*cells) for cells in _cells(heading)]


def _cells(heading: str) -> Iterator[list[str]]:
    text = TABLE.read_text("utf-8").split(f"# {heading}\n", 1)[1].split("\n## ", 1)[0]
    for line in [line for line in text.splitlines() if line.startswith("| ")][1:]:
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def _ends(part: str) -> tuple[str, str, str]:
    ends = re.fullmatch(r"([A-Z]\d?(?:-[a-z]+)?)/(\d+|[a-z]+)(?:-(\d+))?", part)
    assert ends, part
    return ends[1], ends[2], ends[3] or ends[2]


def _is_between(step: str, scenario: str, first: str, last: str) -> bool:
    name, _, number = step.partition("/")
    if name != scenario or not number.isdigit() or not first.isdigit():
        return step == f"{scenario}/{first}"
    return int(first) <= int(number) <= int(last)


def left_out() -> Mapping[str, str]:
    """What is not compared in each step: ``everything``, or ``the document`` that is the body."""
    return {
        step: what
        for steps, what, _ in _cells("Not compared")
        for step in RECORDED
        for part in steps.split(", ")
        if _is_between(step, *_ends(part))
    }


LEFT_OUT = left_out()


def compared(step: str, outcome: Outcome) -> Outcome | None:
    """An outcome without the parts that are not compared; None if nothing is compared."""
    match LEFT_OUT.get(step):
        case None:
            return outcome
        case "everything":
            return None
        case "the OpenAPI document":
            answer = outcome["http"]
            return {"http": {name: answer[name] for name in answer if name != "body"}}
        case unknown:
            raise AssertionError(unknown)
