"""CallLedger: every call and stream ends exactly once (C-6, C-10, C-11, U-10, R-3)."""

from collections import Counter
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from msgspec import Raw

from protocol.errors import ConnectionClosed, LocalProtocolError, ServerTimeoutError
from protocol.ledger import CallLedger
from protocol.messages import Completion, StreamBindingFailure, StreamItem

from .pending_calls import Call, Stream

END: Final = ConnectionClosed("The connection ended.", allow_reconnect=False, summary="ended")


def opened(ledger: CallLedger, invocation_id: str = "1") -> Call:
    call = Call()
    ledger.open(invocation_id, call)
    return call


def opened_stream(ledger: CallLedger, invocation_id: str = "1") -> Stream:
    stream = Stream()
    ledger.open_stream(invocation_id, stream)
    return stream


def item(invocation_id: str = "1") -> StreamItem:
    return StreamItem(invocation_id=invocation_id, item=Raw(b"1"))


def answer(invocation_id: str = "1") -> Completion:
    return Completion(invocation_id=invocation_id)


def test_ids_count_from_one() -> None:
    """C-6."""
    ledger = CallLedger()
    assert [ledger.next_id() for _ in range(3)] == ["1", "2", "3"]


def test_an_id_is_not_used_again_after_its_call_has_ended() -> None:
    ledger = CallLedger()
    first = ledger.next_id()
    opened(ledger, first)
    ledger.settle(answer(first))
    assert ledger.next_id() != first


def test_an_answer_ends_its_call() -> None:
    ledger = CallLedger()
    call, other = opened(ledger, "1"), opened(ledger, "s2")
    ledger.settle(answer("s2"))
    assert (call.ends, other.ends, len(ledger)) == ([], [answer("s2")], 1)


def test_a_late_or_second_answer_has_no_effect() -> None:
    """C-11."""
    ledger = CallLedger()
    call = opened(ledger)
    for _ in range(2):
        ledger.settle(answer())
    ledger.settle(answer("never opened"))
    assert call.ends == [answer()]


def test_a_stream_item_fails_an_ordinary_call() -> None:
    """C-10."""
    ledger = CallLedger()
    call = opened(ledger)
    for _ in range(2):
        ledger.add_item(item())
    ledger.settle(answer())
    (error,) = call.ends
    assert isinstance(error, LocalProtocolError)
    assert str(error) == "Streaming hub methods must be called as streams, not invoked."


def test_a_stream_gets_its_items_and_one_end() -> None:
    """U-10, C-11: an item after the end, or for an unknown id, has no effect."""
    ledger = CallLedger()
    stream, other = opened_stream(ledger, "1"), opened_stream(ledger, "2")
    unreadable = StreamBindingFailure(invocation_id="1", error="?")
    ledger.add_item(item("1"))
    ledger.add_item(unreadable)
    ledger.settle(answer("1"))
    ledger.add_item(item("1"))
    ledger.add_item(item("never opened"))
    assert (stream.items, stream.ends) == ([item("1"), unreadable], [answer("1")])
    assert (other.items, other.ends, len(ledger)) == ([], [], 1)


def test_a_stream_that_is_forgotten_gets_nothing() -> None:
    """U-10."""
    ledger = CallLedger()
    stream = opened_stream(ledger)
    assert ledger.cancel("1")
    ledger.add_item(item())
    ledger.settle(answer())
    assert (stream.items, stream.ends) == ([], [])


def test_a_call_that_is_forgotten_gets_no_answer() -> None:
    """C-8."""
    ledger = CallLedger()
    call = opened(ledger)
    assert ledger.cancel("1")
    assert not ledger.cancel("1")
    ledger.settle(answer())
    ledger.fail_all(END)
    assert call.ends == []


def test_cancelled_calls_are_counted_until_they_are_answered() -> None:
    """Streams are not: a hub answers other calls beside them. At most 1000 are remembered."""
    ledger = CallLedger()
    opened(ledger, "1")
    opened_stream(ledger, "2")
    assert ledger.cancel("1")
    assert ledger.cancel("2")
    assert ledger.cancelled == 1
    ledger.settle(answer("1"))
    ledger.settle(answer("1"))
    assert ledger.cancelled == 0
    for number in range(1001):
        opened(ledger, str(number))
        ledger.cancel(str(number))
    assert ledger.cancelled == 1000
    ledger.fail_all(END)
    assert ledger.cancelled == 0


@pytest.mark.parametrize("kind", [ConnectionClosed, ServerTimeoutError])
def test_the_end_of_the_connection_fails_all(kind: type[ConnectionClosed]) -> None:
    """R-3: each call gets an exception of its own."""
    texts = {"summary": "ended", "public_summary": "over"}
    end = kind("The connection ended.", allow_reconnect=False, **texts)
    end.__cause__ = cause = ValueError()
    ledger = CallLedger()
    calls = [opened(ledger, "1"), opened_stream(ledger, "2")]
    ledger.fail_all(end)
    errors = [error for call in calls for error in call.ends]
    assert len({id(error) for error in (*errors, end)}) == 3
    for error in errors:
        assert type(error) is kind
        assert (str(error), error.summary) == (str(end), "ended")
        assert error.public_summary == "over"
        assert not error.allow_reconnect
        assert error.__cause__ is cause


class EveryCallEndsOnce(RuleBasedStateMachine):
    """Opens, answers, answers again, forgets and ends the connection, in any order."""

    calls = Bundle("calls")
    ended = Bundle("ended")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = CallLedger()
        self.opened: dict[str, Call] = {}
        self.forgotten: Counter[str] = Counter()

    @rule(target=calls, is_stream=st.booleans())
    def open(self, is_stream: bool) -> str:
        invocation_id = self.ledger.next_id()
        open_one = opened_stream if is_stream else opened
        self.opened[invocation_id] = open_one(self.ledger, invocation_id)
        return invocation_id

    @rule(target=ended, call=consumes(calls))
    def settle(self, call: str) -> str:
        self.ledger.settle(answer(call))
        return call

    @rule(call=st.one_of(calls, ended))
    def add_item(self, call: str) -> None:
        self.ledger.add_item(item(call))

    @rule(target=ended, call=consumes(calls))
    def cancel(self, call: str) -> str:
        if self.ledger.cancel(call):
            self.forgotten[call] += 1
        return call

    @rule(call=ended)
    def settle_again(self, call: str) -> None:
        self.ledger.settle(answer(call))

    @rule(call=ended)
    def cancel_again(self, call: str) -> None:
        assert not self.ledger.cancel(call)

    @rule()
    def end(self) -> None:
        self.ledger.fail_all(END)
        assert len(self.ledger) == 0

    @invariant()
    def counts_agree(self) -> None:
        ends = [len(call.ends) + self.forgotten[key] for key, call in self.opened.items()]
        assert set(ends) <= {0, 1}
        assert len(self.ledger) == ends.count(0)


TestEveryCallEndsOnce = EveryCallEndsOnce.TestCase
