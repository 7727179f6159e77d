"""CallLedger: every call that was opened ends exactly once (C-6, C-11, R-3)."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from protocol.calls import CallLedger


def test_ids_count_from_one() -> None:
    """C-6."""
    ledger = CallLedger[str]()
    assert [ledger.next_id() for _ in range(3)] == ["1", "2", "3"]


def test_an_id_is_not_used_again_after_its_call_has_ended() -> None:
    ledger = CallLedger[str]()
    first = ledger.next_id()
    ledger.open(first, "call")
    assert ledger.close(first) == "call"
    assert ledger.next_id() != first


def test_an_answer_that_comes_late_or_twice_finds_nothing() -> None:
    """C-11."""
    ledger = CallLedger[str]()
    ledger.open("1", "call")
    assert ledger.close("1") == "call"
    assert ledger.close("1") is None
    assert ledger.close("never opened") is None


def test_answers_may_come_in_any_order() -> None:
    ledger = CallLedger[int]()
    for number in range(5):
        ledger.open(str(number), number)
    assert [ledger.close(str(number)) for number in (3, 0, 4, 1, 2)] == [3, 0, 4, 1, 2]


class EveryCallEndsOnce(RuleBasedStateMachine):
    """Opens, answers, repeats answers and drains at random."""

    opened = Bundle("opened")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = CallLedger[str]()
        self.ends: Counter[str] = Counter()
        self.count = 0

    @rule(target=opened)
    def open(self) -> str:
        call = self.ledger.next_id()
        self.ledger.open(call, call)
        self.count += 1
        return call

    @rule(target=ended, call=consumes(opened))
    def answer(self, call: str) -> str:
        ended = self.ledger.close(call)
        assert ended in (call, None)  # None: it was drained before
        self.ends.update(filter(None, [ended]))
        return call

    @rule(call=ended)
    def answer_again(self, call: str) -> None:
        assert self.ledger.close(call) is None

    @rule(call=st.text("0123456789", max_size=3))
    def drain(self, call: str) -> None:
        self.ends.update(self.ledger.drain())
        assert len(self.ledger) == 0
        assert self.ledger.close(call) is None

    @invariant()
    def counts_agree(self) -> None:
        assert set(self.ends.values()) <= {1}
        assert len(self.ledger) == self.count - len(self.ends)


TestEveryCallEndsOnce = EveryCallEndsOnce.TestCase
