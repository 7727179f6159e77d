"""What all connections to the gateway hub share: which calls are refused, limits and log lines.

`clients.gateway_hub` has the methods of the hub. `access.policies` decides about routes.
"""

from __future__ import annotations

import hmac
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic
from typing import ClassVar

from protocol import HubCallerContext, HubException, Principal
from protocol.relaying import LogThinning

from ..access.call_hook import CallHook
from ..access.policies import Action, Verdict
from ..downstream.call_errors import OVERLOADED
from ..downstream.hub import Downstream
from ..logs.redaction import no_such_route
from ..orchestration.limits import DEFAULT_LIMITS, Limits
from ..orchestration.route import HubRoute
from ..routing.tables import RoutingTables
from .client_limits import ClientLimits
from .key_failures import KeyFailures
from .route_calls import RouteCall, required, text_of
from .user_hubs import UserHubs

log = logging.getLogger(__name__)

_REFUSALS = {
    Action.CALL: "This client may not call this route.",
    Action.RECEIVE: "This client may not receive the events of this route.",
}


class WrongReceiveKey(HubException):
    """The receive key of a call is missing or wrong."""

    exception_name: ClassVar[str] = "HubException"


class GatewayServices:
    """The state that all calls of the gateway hub share. Each call has its own `GatewayHub`."""

    def __init__(
        self,
        tables: RoutingTables,
        downstreams: Mapping[str, Downstream],
        limits: Limits = DEFAULT_LIMITS,
        *,
        client_limits: ClientLimits | None = None,
        maximum_call_size: int | None = None,
        is_overloaded: Callable[[], bool] = lambda: False,
        call_hook: CallHook | None = None,
    ) -> None:
        """`maximum_call_size` is the most bytes of the arguments of a downstream call.

        `call_hook` decides about each of these calls; None allows all of them. While
        `is_overloaded()` is true, calls that need memory are refused.
        """
        self.maximum_call_size = maximum_call_size
        self.client_limits = client_limits or ClientLimits(limits, monotonic)
        self._is_overloaded = is_overloaded
        self._call_hook = call_hook
        self.tables = tables
        self.downstreams = downstreams
        self.user_hubs = UserHubs(downstreams)
        self.limits = limits
        self._logged: set[tuple[str, str, str]] = set()
        self._wrong_keys: Counter[str] = Counter()
        self.key_failures = KeyFailures()
        self.clients_by_protocol: Counter[str] = Counter()
        """The number of connected clients by hub protocol."""
        self._thinning = LogThinning()

    def forget_client(self, context: HubCallerContext) -> None:
        """Undo what `GatewayHub.on_connected` has done for a client."""
        self.user_hubs.leave(context)
        counted = context.items.pop(ClientLimits, None)
        if counted is not None:
            self.client_limits.leave_connection(counted)
            self.clients_by_protocol[context.hub_protocol.name] -= 1

    def require_memory(self) -> None:
        """Raise `HubException` if the process is short of memory (GW-19)."""
        if self._is_overloaded():
            raise HubException(OVERLOADED)

    def authorized_route(
        self, call: RouteCall, user: Principal | None, action: Action | None
    ) -> HubRoute:
        """Find the route that a call names. Raises `HubException` if `user` may not use it.

        The policies of the route decide whether `user` may perform `action`. If `action` is None,
        no policies are checked: a relay needs a scope instead. The receive key is checked last, so
        that an answer about the key does not show whether a route exists (GW-43).
        """
        api, key = required(call.api, "Api"), required(call.key, "Key")
        route = self.tables.find_route(api, key)
        if action is not None:
            verdict = self.tables.policies.decide(user, action, route)
            if verdict is Verdict.REFUSED:
                raise HubException(_REFUSALS[action])
            if verdict is Verdict.UNKNOWN:
                route = None
        if route is None:
            raise HubException(no_such_route(api, key))
        expected = self.tables.hubs[route.api].receive_key
        if expected is not None and not _same_key(text_of(call.receive_key), expected):
            self._log_wrong_key(route)
            raise WrongReceiveKey(f"The ReceiveKey for '{route.api}' is missing or wrong.")
        return route

    async def require_hook(self, route: HubRoute, context: HubCallerContext) -> None:
        """Raise `HubException` if the call hook refuses a call of a client (GW-46)."""
        hook = self._call_hook
        if hook and not await hook.allows(context.user, context.http_request, route):
            raise HubException("This client may not call this route.")

    def _log_wrong_key(self, route: HubRoute) -> None:
        self._wrong_keys[route.api] += 1
        count = self._wrong_keys[route.api]
        level = self._thinning.level(route.api)
        log.log(level, "hub %r: wrong or missing ReceiveKey (%d so far)", route.api, count)

    def log_limit(self, limit: str) -> None:
        """Log that a call of a client was refused because of a limit."""
        level = self._thinning.level(("limit", limit))
        log.log(level, "a call of a client of the gateway hub was refused: %s", limit)

    def log_no_effect(self, action: str, route: HubRoute) -> None:
        """Log that an action of a client had no effect, once for each route and action (GW-19)."""
        logged = (action, route.api, route.key)
        if logged not in self._logged:
            self._logged.add(logged)
            log.info("route '%s/%s': %s; it has no effect", route.api, route.key, action)


def _same_key(given: str | None, expected: str) -> bool:
    """Whether the keys are equal, compared in constant time (GW-18)."""
    if given is None:
        return False
    encoding = ("utf-8", "surrogatepass")  # so that any text can be encoded
    return hmac.compare_digest(given.encode(*encoding), expected.encode(*encoding))
