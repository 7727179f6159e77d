"""Our gateway repeats the recordings of the original gateway, step by step.

The outcome of a step must be the same as recorded. Otherwise `docs/improvements.md` has a row for
the step, and the outcome must be that of `ours.json`. Scenarios in which the hub stops or .NET
clients run are in `test_original_faults`.
"""

import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.builds import dotnet_program, require
from tests.interop.original_recording import RECORDINGS, Outcome, scenarios
from tests.interop.original_replay import Replay
from tests.interop.original_table import (
    LEFT_OUT,
    OURS,
    RECORDED,
    Difference,
    compared,
    expected,
    rows,
    witnesses,
)
from tests.interop.servers import HubProgram, running

SCENARIOS = {name: it for name, it in scenarios().items() if name[0] not in "HI"}
BEFORE_NEWTONSOFT = {step: expected(step) for step in RECORDED}


def recorded_hub(**environment: str) -> HubProgram:
    """The hub of the recordings, built as it is."""
    hub = dotnet_program(RECORDINGS / "hub")
    environment |= {"HUB_LOG": "1"}
    return HubProgram((require("dotnet"), str(hub)), "Now listening on", environment)


def sessions() -> list[list[str]]:
    """The scenarios that were recorded one after the other with the same clients."""
    together = [[name for name in SCENARIOS if name.startswith(letter)] for letter in "AB"]
    return together + [[name] for name in SCENARIOS if name[0] not in "AB"]


Outcomes = dict[str, Outcome]


async def play_all(program: HubProgram) -> Outcomes:
    outcomes: Outcomes = {}
    async with running(program) as one, running(program) as two:
        for session in sessions():
            first = SCENARIOS[session[0]]
            # E1 was recorded with StartGatewayHub = false.
            gateway_hub = first.name != "E1"
            async with Replay.of(first.mode, [one.url, two.url], gateway_hub=gateway_hub) as replay:
                for name in session:
                    outcomes |= await replay.play(SCENARIOS[name])
    return outcomes


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def newtonsoft() -> AsyncIterator[Outcomes]:
    yield await play_all(recorded_hub())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system_text_json() -> AsyncIterator[Outcomes]:
    yield await play_all(recorded_hub(HUB_STJ="1"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def python() -> AsyncIterator[Outcomes]:
    yield await play_all(HubProgram((sys.executable, "-m", "tests.interop.original_hub")))


def check(outcomes: Outcomes, name: str, *, strict: bool = False, own: bool = False) -> None:
    for step in SCENARIOS[name].steps:
        wanted = expected(step.id, strict=strict, own=own)
        assert compared(step.id, outcomes[step.id]) == compared(step.id, wanted), step.id


@pytest.mark.parametrize("name", SCENARIOS)
def test_before_the_recorded_hub(newtonsoft: Outcomes, name: str) -> None:
    """As the original does or better: GW-1, GW-2, GW-3, GW-4, GW-6, GW-7, GW-8, GW-9, GW-10, GW-11,
    GW-12, GW-13, GW-14, GW-15, GW-16, GW-17, GW-18, GW-19, GW-20, GW-21, GW-22, GW-25, GW-26.
    """
    check(newtonsoft, name)


@pytest.mark.parametrize("name", SCENARIOS)
def test_before_a_strict_hub(system_text_json: Outcomes, name: str) -> None:
    """Steps that rest on Newtonsoft's lenient binding fail as S-6 says; digits stay (GW-7)."""
    check(system_text_json, name, strict=True)


@pytest.mark.parametrize("name", SCENARIOS)
def test_before_our_own_hub(python: Outcomes, name: str) -> None:
    """As before a strict one."""
    check(python, name, own=True)


# ---- the table


def differences(section: str) -> set[Difference]:
    """Each step of a section of `ours.json`, with each party that sees the difference."""
    others = {"improvements": RECORDED, "strict": BEFORE_NEWTONSOFT}[section]
    return {
        (step, witness)
        for step, outcome in OURS[section].items()
        for witness in witnesses(others[step], outcome)
    }


@pytest.mark.parametrize(
    ("heading", "section"),
    [("Against the original gateway", "improvements"), ("With a strict hub", "strict")],
)
def test_each_difference_stands_in_the_table_and_no_other(heading: str, section: str) -> None:
    differ = differences(section)
    assert {step for step, _ in differ} == set(OURS[section])
    covered: set[Difference] = set()
    for row in rows(heading):
        assert row.original
        assert row.here
        assert row.rule.startswith(("GW-", "S-"))
        covered |= row.covers(differ)
    assert covered == differ


def test_what_our_own_hub_does_otherwise_differs_from_a_strict_one() -> None:
    for step, outcome in OURS["own"].items():
        assert outcome != expected(step, strict=True), step


def test_what_is_not_compared_is_not_called_different() -> None:
    assert not set(LEFT_OUT) & set(OURS["improvements"])
