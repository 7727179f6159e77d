"""Pending calls for tests of the ledger and of the peer that owns one."""

from protocol.errors import SignalRError
from protocol.messages import Completion, StreamBindingFailure, StreamItem


class Call:
    """A call that records each way in which it is ended."""

    def __init__(self) -> None:
        self.ends: list[Completion | SignalRError] = []

    def complete(self, completion: Completion) -> None:
        self.ends.append(completion)

    def fail(self, error: SignalRError) -> None:
        self.ends.append(error)


class Stream(Call):
    """A stream that also records its items."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[StreamItem | StreamBindingFailure] = []

    def add(self, item: StreamItem | StreamBindingFailure) -> None:
        assert not self.ends, "an item after the end"
        self.items.append(item)
