"""Decides which callers may call a route, receive its events, and know that it exists (GW-42).

`orchestration.policy` defines policies. `http.api` and `clients.gateway_hub` ask for each call, and
`clients.gateway_hub` also for the channels of events that a client joins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Final

from protocol import Principal

from ..orchestration.orchestrator import Orchestrator
from ..orchestration.policy import Policy
from ..orchestration.route import BroadcastType, HubRoute
from .scopes import claim_values, scopes_of

_ANY_USER: Final = Policy(authenticated=True)


class Action(Enum):
    """What a caller may do with a route."""

    CALL = auto()
    """Call its hub method, by POST or over the gateway hub."""
    RECEIVE = auto()
    """Subscribe to its events and receive them."""


class Verdict(Enum):
    """The answer to a caller who wants to perform an action on a route."""

    ALLOWED = auto()
    REFUSED = auto()
    """The caller may not perform the action. It may know that the route exists, or the policies of
    the gateway refuse it for all routes."""
    UNKNOWN = auto()
    """There is no such route, or the caller may not know of it (GW-43)."""


class Policies:
    """The policies of the gateway, its hubs and their routes. They add up: all must be met.

    In all methods, `user` is None for an anonymous caller.
    """

    def __init__(self, orchestrator: Orchestrator) -> None:
        """Later changes to the orchestrator have no effect."""
        named = orchestrator.policies
        self._everywhere: Mapping[Action, tuple[Policy, ...]] = {
            Action.CALL: tuple(named[name] for name in orchestrator.call_policies),
            Action.RECEIVE: tuple(named[name] for name in orchestrator.receive_policies),
        }
        self._of_routes: dict[tuple[Action, str, str], tuple[Policy, ...]] = {}
        for hub in orchestrator.hubs.values():
            for route in hub.routes.values():
                call = [named[name] for name in (*hub.call_policies, *route.call_policies)]
                receive = [named[name] for name in (*hub.receive_policies, *route.receive_policies)]
                if route.broadcast_type is BroadcastType.AUTHENTICATED:
                    receive.append(_ANY_USER)
                for action, policies in ((Action.CALL, call), (Action.RECEIVE, receive)):
                    if policies:
                        self._of_routes[action, hub.api, route.key] = tuple(policies)
        self.are_empty = not any(self._everywhere.values()) and not self._of_routes
        """Whether all callers may do everything."""

    def decide(self, user: Principal | None, action: Action, route: HubRoute | None) -> Verdict:
        """Decide about a caller who names a route; None if there is no such route."""
        if not self.are_empty:
            # First, so that a caller who may use no route gets one answer for all names.
            if not self.meets_gateway_policies(user, action):
                return Verdict.REFUSED
            if route is None or not self.shows(user, route):
                return Verdict.UNKNOWN
            if not self.allows(user, action, route):
                return Verdict.REFUSED
        return Verdict.UNKNOWN if route is None else Verdict.ALLOWED

    def allows(self, user: Principal | None, action: Action, route: HubRoute) -> bool:
        """Whether a caller may perform `action` on a route."""
        of_route = self._of_routes.get((action, route.api, route.key), ())
        return _meets(user, self._everywhere[action]) and _meets(user, of_route)

    def meets_gateway_policies(self, user: Principal | None, action: Action) -> bool:
        """Whether a caller meets the policies that apply to all routes."""
        return _meets(user, self._everywhere[action])

    def is_open(self, action: Action, route: HubRoute) -> bool:
        """Whether all callers may perform `action` on a route."""
        return self.allows(None, action, route)  # no anonymous caller meets a policy

    def shows(self, user: Principal | None, route: HubRoute) -> bool:
        """Whether a caller may know that a route exists: it may call it or receive its events."""
        return (route.invoke_method is not None and self.allows(user, Action.CALL, route)) or (
            route.receive_method is not None and self.allows(user, Action.RECEIVE, route)
        )


NO_POLICIES: Final = Policies(Orchestrator())
"""All callers may do everything."""


def _meets(user: Principal | None, policies: Iterable[Policy]) -> bool:
    return all(_meets_one(user, policy) for policy in policies)


def _meets_one(user: Principal | None, policy: Policy) -> bool:
    if user is None:
        return False
    return (
        (not policy.roles or not user.roles.isdisjoint(policy.roles))
        and (not policy.scopes or not scopes_of(user).isdisjoint(policy.scopes))
        and all(
            not claim_values(user, claim).isdisjoint(accepted)
            for claim, accepted in policy.claims.items()
        )
    )
