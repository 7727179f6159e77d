"""The slot of a running call, which the call gives up when it waits for a client result (P-4).

Otherwise the client could not be served while its answer is awaited: the answer may wait behind
another call of the client, which waits for the slot.
"""

from collections.abc import Callable

from .clients import HubCallerClients


class CallSlot:
    """The slot of one worker, and the scope of the call that the worker runs.

    ``give_up`` frees the slot for another worker. It raises an exception if it cannot.
    """

    __slots__ = ("_give_up", "clients", "is_given_up")

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self.clients: HubCallerClients | None = None
        """Those of the call that runs; they identify the call."""
        self.is_given_up = False
        """Whether the worker has to end with its call."""

    def enter_wait(self, clients: HubCallerClients) -> None:
        """See CallScope. A call that has ended has no slot to give up: a task that it has left
        behind waits for a result like code outside of hubs."""
        if clients is self.clients and not self.is_given_up:
            self._give_up()
            self.is_given_up = True
