"""GW-36: after timeouts in a row a route is not called for a while."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from signalr_gateway.downstream.circuit import Circuit


def opened(threshold: int = 2, at: float = 100.0) -> Circuit:
    circuit = Circuit(threshold, 30.0)
    for _ in range(threshold):
        assert circuit.refusal(at) is None
        circuit.timed_out(circuit.ticket, at)
    return circuit


def test_timeouts_in_a_row_open_it() -> None:
    circuit = Circuit(2, 30.0)
    circuit.timed_out(circuit.ticket, 100.0)
    assert circuit.refusal(100.0) is None
    circuit.timed_out(circuit.ticket, 100.0)
    assert circuit.is_open
    assert circuit.refusal(101.0) == 29.0


def test_an_answer_begins_the_count_anew() -> None:
    circuit = Circuit(2, 30.0)
    circuit.timed_out(circuit.ticket, 100.0)
    circuit.answered(circuit.ticket)
    circuit.timed_out(circuit.ticket, 101.0)
    assert not circuit.is_open


def test_a_call_that_ends_otherwise_does_not_count() -> None:
    circuit = Circuit(2, 30.0)
    circuit.timed_out(circuit.ticket, 100.0)
    circuit.gave_up(circuit.ticket)
    assert circuit.refusal(100.0) is None
    circuit.timed_out(circuit.ticket, 100.0)
    assert circuit.is_open


def test_one_call_probes_and_its_answer_closes_it() -> None:
    circuit = opened()
    assert circuit.refusal(130.0) is None
    assert circuit.refusal(130.0) == 30.0
    circuit.answered(circuit.ticket)
    assert not circuit.is_open
    assert circuit.refusal(130.0) is None


def test_a_probe_that_times_out_opens_it_again() -> None:
    circuit = opened()
    assert circuit.refusal(130.0) is None
    circuit.timed_out(circuit.ticket, 160.0)
    assert circuit.refusal(161.0) == 29.0
    assert circuit.refusal(190.0) is None


def test_a_probe_that_gives_up_leaves_its_place_to_the_next_call() -> None:
    circuit = opened()
    assert circuit.refusal(130.0) is None
    circuit.gave_up(circuit.ticket)
    assert circuit.is_open
    assert circuit.refusal(130.0) is None


@pytest.mark.parametrize("is_probing", [False, True])
@pytest.mark.parametrize(
    "end",
    [
        lambda circuit, ticket: circuit.answered(ticket),
        lambda circuit, ticket: circuit.timed_out(ticket, 129.0),
        lambda circuit, ticket: circuit.gave_up(ticket),
    ],
    ids=["answered", "timed out", "gave up"],
)
def test_the_end_of_an_older_call_changes_nothing(
    end: Callable[[Circuit, int], None], is_probing: bool
) -> None:
    """The call began before the circuit opened. It ends before the probe, or during the probe."""
    circuit = Circuit(2, 30.0)
    older = circuit.ticket
    for _ in range(2):
        circuit.timed_out(circuit.ticket, 100.0)
    if is_probing:
        assert circuit.refusal(130.0) is None
        probe = circuit.ticket
        end(circuit, older)
        assert circuit.refusal(130.0) == 30.0  # the probe is still under way
        circuit.answered(probe)
        assert not circuit.is_open
    else:
        end(circuit, older)
        assert circuit.is_open
        assert circuit.refusal(129.0) == 1.0


def test_without_a_threshold_nothing_is_refused() -> None:
    circuit = Circuit(None, 30.0)
    for _ in range(1000):
        circuit.timed_out(circuit.ticket, 100.0)
    assert circuit.refusal(100.0) is None
