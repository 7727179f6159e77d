"""The slot of a running call. A call that waits for a client result gives up its slot (P-4).

The client's answer may arrive behind a second call of the same client. If the waiting call kept its
slot, the second call could not start, and the answer behind it would not be read.
"""

from collections.abc import Callable

from .clients import CallScope, HubCallerClients
from .lifetime import HubLifetimeManager


class CallSlot(CallScope):
    """The slot of one worker, and the scope of the calls that the worker runs one after another.

    ``give_up`` frees the slot for another worker. It raises HubException if too many calls have
    given up their slots.
    """

    __slots__ = ("_clients", "_give_up", "hub", "is_given_up")

    def __init__(
        self, lifetime: HubLifetimeManager, connection_id: str, give_up: Callable[[], None]
    ) -> None:
        super().__init__(lifetime, connection_id)
        self._give_up = give_up
        self._clients: HubCallerClients | None = None
        self.hub: object = None
        """The hub instance of the running call."""
        self.is_given_up = False
        """Whether the worker has to end with its call."""

    def leave(self) -> None:
        """Ends the running call. Tasks that the call has started cannot give up the slot later."""
        self.hub = self._clients = None

    def make_clients(self, hub: object) -> HubCallerClients:
        """See CallScope."""
        clients = super().make_clients(hub)
        if hub is self.hub:
            self._clients = clients
        return clients

    def enter_wait(self, clients: HubCallerClients) -> None:
        """See CallScope."""
        if clients is self._clients and not self.is_given_up:
            self._give_up()
            self.is_given_up = True
