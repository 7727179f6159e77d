"""Decides whether a call of a route may be made now: limits and circuit (GW-35, GW-36).

`downstream.hub` asks before it sends a call, and reports how each call has ended.
"""

from __future__ import annotations

from protocol import HubException

from ..orchestration.route import HubRoute
from .call_errors import CircuitOpen, HubBusy, HubTimeout
from .call_limit import CallLimit
from .circuit import Circuit
from .clock import Clock


class RouteAdmission:
    """The limits and the circuit of one route.

    A call needs a slot of its route and a slot of its hub. `enter` or `try_enter` takes both slots
    and returns the call's ticket for `ended`. `leave` releases both slots.
    """

    def __init__(
        self,
        route: HubRoute,
        of_hub: CallLimit,
        of_route: CallLimit,
        circuit: Circuit,
        clock: Clock,
    ) -> None:
        self._route = route
        self._of_hub = of_hub
        self._of_route = of_route
        self._circuit = circuit
        self._clock = clock

    @property
    def is_open(self) -> bool:
        """Whether the circuit refuses calls."""
        return self._circuit.is_open

    def try_enter(self) -> int | None:
        """Take the slots of a call, if they are free and the circuit is closed; else None."""
        if self._circuit.is_open or not self._of_route.try_enter():
            return None
        if self._of_hub.try_enter():
            return self._circuit.ticket
        self._of_route.leave()
        return None

    async def enter(self) -> int:
        """Take the slots of a call, and wait for them if necessary.

        Raises `CircuitOpen`, or `HubBusy` if no slots are free in time.
        """
        name = f"{self._route.api}/{self._route.key}"
        if not await self._of_route.enter():
            raise HubBusy(self._route.api, f"route '{name}'", self._of_route.maximum)
        try:
            if not await self._of_hub.enter():
                hub = f"hub '{self._route.api}'"
                raise HubBusy(self._route.api, hub, self._of_hub.maximum)
        except BaseException:
            self._of_route.leave()
            raise
        refused_for = self._circuit.refusal(self._clock.time())
        if refused_for is not None:
            self.leave()
            raise CircuitOpen(self._route.api, name, refused_for)
        return self._circuit.ticket

    def leave(self) -> None:
        """Release the slots of a call."""
        self._of_hub.leave()
        self._of_route.leave()

    def ended(self, ticket: int, error: BaseException | None) -> None:
        """Report how a call has ended; `error` is None if it was answered without an error."""
        if error is None or isinstance(error, HubException):
            self._circuit.answered(ticket)
        elif isinstance(error, HubTimeout):
            self._circuit.timed_out(ticket, self._clock.time())
        else:
            self._circuit.gave_up(ticket)
