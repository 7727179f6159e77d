"""Asks the function of a Python program whether a caller may call a route (GW-46).

`http.api` asks for each POST, and `clients.gateway_hub` for each call of a downstream hub. Both ask
after `access.policies` has allowed the call.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from protocol import HttpRequestData, Principal
from protocol.relaying import Authorize, LogThinning, is_authorized, type_and_place

from ..orchestration.route import HubRoute

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallContext:
    """A call that `authorize_call` decides about.

    `user` is None for an anonymous caller. `http_request` is the POST, or the request that opened
    the connection of a client. `api` and `key` are the keys of the hub and the route in lower case.
    """

    user: Principal | None
    http_request: HttpRequestData
    api: str
    key: str


class CallHookFailed(Exception):
    """The function has raised an exception or returned no bool. The log has the reason."""


class CallHook:
    """`authorize` is the requirement that the caller of each call has to meet."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize
        self._thinning = LogThinning()

    async def allows(
        self, user: Principal | None, http_request: HttpRequestData, route: HubRoute
    ) -> bool:
        """Whether the caller may call the route. Raises `CallHookFailed`."""
        context = CallContext(user, http_request, route.api, route.key)
        try:
            return await is_authorized(self._authorize, context)
        except Exception as exc:
            # Not the exception itself, because its text may quote credentials.
            reason = type_and_place(exc)
            level = self._thinning.level(reason, level=logging.ERROR)
            log.log(level, "route '%s/%s': authorize_call failed: %s", route.api, route.key, reason)
        raise CallHookFailed
