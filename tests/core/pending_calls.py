"""A pending call for tests of the ledger and of the peer that owns one."""

from protocol.errors import SignalRError
from protocol.messages import Completion


class Call:
    """A call that records each way in which it is ended."""

    def __init__(self) -> None:
        self.ends: list[Completion | SignalRError] = []

    def complete(self, completion: Completion) -> None:
        self.ends.append(completion)

    def fail(self, error: SignalRError) -> None:
        self.ends.append(error)
