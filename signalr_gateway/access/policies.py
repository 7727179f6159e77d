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
from ..orchestration.route import HubRoute

_SCOPE_CLAIMS: Final = ("scope", "scp")


class Action(Enum):
    """What a caller may do with a route."""

    CALL = auto()
    """Call its hub method, by POST or over the gateway hub."""
    RECEIVE = auto()
    """Subscribe to its events and receive them."""


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
                for action, policies in ((Action.CALL, call), (Action.RECEIVE, receive)):
                    if policies:
                        self._of_routes[action, hub.api, route.key] = tuple(policies)

    @property
    def are_empty(self) -> bool:
        """Whether all callers may do everything."""
        return not any(self._everywhere.values()) and not self._of_routes

    def allows(self, user: Principal | None, action: Action, route: HubRoute) -> bool:
        """Whether a caller may do this with a route."""
        of_route = self._of_routes.get((action, route.api, route.key), ())
        return _meets(user, self._everywhere[action]) and _meets(user, of_route)

    def allows_somewhere(self, user: Principal | None, action: Action) -> bool:
        """Whether a caller may do this with routes that have no policies of their own."""
        return _meets(user, self._everywhere[action])

    def is_open(self, action: Action, route: HubRoute) -> bool:
        """Whether all callers may do this with a route."""
        return self.allows(None, action, route)  # no anonymous caller meets a policy

    def shows(self, user: Principal | None, route: HubRoute) -> bool:
        """Whether a caller may know that a route exists: it may call it or receive its events."""
        return (route.invoke_method is not None and self.allows(user, Action.CALL, route)) or (
            route.receive_method is not None and self.allows(user, Action.RECEIVE, route)
        )


NO_POLICIES: Final = Policies(Orchestrator())
"""All callers may do everything."""


def scopes_of(user: Principal) -> frozenset[str]:
    """The scopes of a user: the words of the claims ``scope`` and ``scp``."""
    texts = (text for claim in _SCOPE_CLAIMS for text in _values(user, claim))
    return frozenset(word for text in texts for word in text.split())


def _meets(user: Principal | None, policies: Iterable[Policy]) -> bool:
    return all(_meets_one(user, policy) for policy in policies)


def _meets_one(user: Principal | None, policy: Policy) -> bool:
    if user is None:
        return False
    return (
        (not policy.roles or not user.roles.isdisjoint(policy.roles))
        and (not policy.scopes or not scopes_of(user).isdisjoint(policy.scopes))
        and all(
            not _values(user, claim).isdisjoint(accepted)
            for claim, accepted in policy.claims.items()
        )
    )


def _values(user: Principal, claim: str) -> frozenset[str]:
    """The values of a claim as texts. A list has several values; objects have none."""
    value = user.claims.get(claim)
    items = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    return frozenset(_text(item) for item in items if isinstance(item, str | int))


def _text(value: str | int) -> str:
    """The text of a value, as JSON writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
