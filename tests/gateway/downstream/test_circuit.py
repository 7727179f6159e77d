"""GW-36: after timeouts in a row a route is not called for a while."""

from __future__ import annotations

from signalr_gateway.downstream.circuit import Circuit


def opened(threshold: int = 2, at: float = 100.0) -> Circuit:
    circuit = Circuit(threshold, 30.0)
    for _ in range(threshold):
        assert circuit.refusal(at) is None
        circuit.timed_out(at)
    return circuit


def test_timeouts_in_a_row_open_it() -> None:
    circuit = Circuit(2, 30.0)
    circuit.timed_out(100.0)
    assert circuit.refusal(100.0) is None
    circuit.timed_out(100.0)
    assert circuit.is_open
    assert circuit.refusal(101.0) == 29.0


def test_an_answer_begins_the_count_anew() -> None:
    circuit = Circuit(2, 30.0)
    circuit.timed_out(100.0)
    circuit.answered()
    circuit.timed_out(101.0)
    assert not circuit.is_open


def test_a_call_that_ends_otherwise_does_not_count() -> None:
    circuit = Circuit(2, 30.0)
    circuit.timed_out(100.0)
    circuit.gave_up()
    assert circuit.refusal(100.0) is None
    circuit.timed_out(100.0)
    assert circuit.is_open


def test_one_call_probes_and_its_answer_closes_it() -> None:
    circuit = opened()
    assert circuit.refusal(130.0) is None
    assert circuit.refusal(130.0) == 30.0
    circuit.answered()
    assert not circuit.is_open
    assert circuit.refusal(130.0) is None


def test_a_probe_that_times_out_opens_it_again() -> None:
    circuit = opened()
    assert circuit.refusal(130.0) is None
    circuit.timed_out(160.0)
    assert circuit.refusal(161.0) == 29.0
    assert circuit.refusal(190.0) is None


def test_a_probe_that_gives_up_leaves_its_place_to_the_next_call() -> None:
    circuit = opened()
    assert circuit.refusal(130.0) is None
    circuit.gave_up()
    assert circuit.is_open
    assert circuit.refusal(130.0) is None


def test_a_timeout_of_an_older_call_does_not_end_the_probe_early() -> None:
    """Two calls can be under way when the circuit opens; the second one times out later."""
    circuit = opened()
    circuit.timed_out(110.0)
    assert circuit.refusal(130.0) == 10.0


def test_without_a_threshold_nothing_is_refused() -> None:
    circuit = Circuit(None, 30.0)
    for _ in range(1000):
        circuit.timed_out(100.0)
    assert circuit.refusal(100.0) is None
