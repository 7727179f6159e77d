"""Our gateway repeats the recordings in which the hub stops, and the recordings of .NET clients.

The outcome must be the same, or that of the table, as in `test_original_scenarios`. The waits of
the gateway are shortened. Other tests check their length, with a clock that the test moves.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from signalr_gateway.orchestration.hub_options import DEFAULT_INVOKE_TIMEOUT
from tests.gateway.hand_clock import HandClock
from tests.interop.builds import dotnet_program, require
from tests.interop.original_recording import (
    RECORDINGS,
    Outcome,
    Scenario,
    Step,
    client_output,
    scenarios,
)
from tests.interop.original_replay import Replay
from tests.interop.original_table import expected
from tests.interop.processes import LineProcess
from tests.interop.servers import HubServer, running
from tests.interop.test_original_scenarios import recorded_hub
from tests.interop.versions import CURRENT, build_properties

SCENARIOS = scenarios()


@pytest_asyncio.fixture(loop_scope="session")
async def hub() -> AsyncIterator[HubServer]:
    """The hub of the recordings, which the test may stop, kill and start again."""
    async with running(recorded_hub()) as hub:
        yield hub


def part(name: str, first: int, last: int) -> Scenario:
    """The steps of a scenario in a range of numbers."""
    steps = [it for it in SCENARIOS[name].steps if first <= int(it.content["n"]) <= last]
    assert steps
    return replace(SCENARIOS[name], steps=steps)


def check(outcomes: dict[str, Outcome]) -> None:
    assert outcomes == {step: expected(step) for step in outcomes}


def check_all(name: str, *parts: dict[str, Outcome]) -> None:
    """Check that all steps of the scenario have outcomes, each as expected."""
    assert [step for part in parts for step in part] == [it.id for it in SCENARIOS[name].steps]
    for outcomes in parts:
        check(outcomes)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Shorten the wait of the gateway for a hub, until the test restores it."""
    monkeypatch.setattr("signalr_gateway.downstream.connections.CONNECT_WAIT", 0.1)
    return monkeypatch


async def test_h1_the_hub_is_down_when_the_gateway_starts(
    hub: HubServer, impatient: pytest.MonkeyPatch
) -> None:
    """GW-9, GW-16, GW-27."""
    await hub.kill()
    async with Replay.of("docs", [hub.url], connected=False) as replay:
        away = await replay.play(part("H1", 0, 4))
        impatient.undo()
        await hub.start()
        check_all("H1", away, await replay.play(part("H1", 5, 9)))


async def test_h2_the_hub_restarts_while_the_gateway_runs(
    hub: HubServer, impatient: pytest.MonkeyPatch
) -> None:
    """GW-9, GW-27: the gateway needs no POST to come back."""
    async with Replay.of("docs", [hub.url]) as replay:
        await replay.join("A")
        await hub.kill()
        await replay.disconnected()  # an earlier call would be lost, not refused
        away = await replay.play(part("H2", 0, 0))
        impatient.undo()
        await hub.start()
        await replay.connected()
        check_all("H2", away, await replay.play(part("H2", 1, 4)))


async def test_h3_ten_posts_at_once_after_a_restart(hub: HubServer) -> None:
    """GW-10: they share one attempt."""
    async with Replay.of("docs", [hub.url]) as replay:
        await hub.kill()
        await hub.start()
        at_once = part("H3", 0, 9).steps
        answers = await asyncio.gather(*(replay.request(step) for step in at_once))
        ten = {step.id: {"http": it} for step, it in zip(at_once, answers, strict=True)}
        check_all("H3", ten, await replay.play(part("H3", 10, 10)))


async def test_h4_a_frozen_hub(hub: HubServer) -> None:
    """GW-9: a call ends with the invoke timeout, and costs the others nothing."""
    clock = HandClock()
    async with Replay.of("docs", [hub.url], clock=clock) as replay:
        hub.freeze()
        [step] = part("H4", 0, 0).steps
        request = await replay.request_under_way(step)
        await clock.advance(DEFAULT_INVOKE_TIMEOUT)
        answer = await request
        hub.thaw()
        check_all("H4", {step.id: {"http": answer}}, await replay.play(part("H4", 1, 1)))


# ---- .NET clients

FOREVER = "3600"


async def run_client(replay: Replay, step: Step) -> list[str]:
    """The lines that a client prints until all expected lines have arrived, and the lines after
    them."""
    program = dotnet_program(RECORDINGS / "client", **build_properties(CURRENT))
    _, protocol, mode = step.content["args"]
    client = await LineProcess.start(
        require("dotnet"), str(program), replay.url("/GatewayHub"), protocol, mode, FOREVER
    )
    await client.lines.wait(len(expected(step.id)["output"]))
    await replay.catch_up()
    await client.kill()
    return client_output(client.lines.entries)


@pytest.mark.parametrize("name", ["I1", "I2", "I3"])
async def test_i_unchanged_clients(hub: HubServer, name: str) -> None:
    """The documentation's client, one after the other.

    GW-13, GW-14, GW-15, GW-16, GW-17, GW-20, GW-21.
    """
    async with Replay.of(SCENARIOS[name].mode, [hub.url]) as replay:
        for step in SCENARIOS[name].steps:
            check({step.id: {"output": await run_client(replay, step)}})
