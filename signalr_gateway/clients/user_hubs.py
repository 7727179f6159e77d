"""The hubs with a connection for each user, as one client of the gateway hub uses them (GW-55).

While a client is connected, the connections of its user stay open, so that it gets their events.
`downstream.users` opens and closes these connections. `routing.tables` names the groups of the
gateway hub that get the events of one user.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from protocol import HubCallerContext
from protocol.relaying import LogThinning

from ..access.identity import Identity, identity_of
from ..downstream.call_errors import HubUnavailable
from ..downstream.hub import Downstream
from ..routing.problem_code import RefusedCall

log = logging.getLogger(__name__)


class UserHubs:
    """The hubs of `downstreams` that have a connection for each user."""

    def __init__(self, downstreams: Mapping[str, Downstream]) -> None:
        self._downstreams = downstreams
        self._thinning = LogThinning()

    @staticmethod
    def identity(context: HubCallerContext, downstream: Downstream) -> Identity | None:
        """The identity of a client for calls of a hub."""
        user, user_id = context.user, context.user_identifier
        return identity_of(downstream.hub, context.http_request, user, user_id)

    def enter(self, context: HubCallerContext) -> None:
        """Use the connections of the user of a client to all hubs that send events.

        A client whose user has no connection to a hub gets none of the hub's events.
        """
        for downstream in self._downstreams.values():
            hub = downstream.hub
            if hub.is_per_user and any(each.receive_method for each in hub.routes.values()):
                try:
                    self.hold(context, hub.api)
                except (RefusedCall, HubUnavailable) as exc:
                    level = self._thinning.level((hub.api, type(exc)))
                    log.log(level, "a client gets no events of hub %r: %s", hub.api, exc)

    def hold(self, context: HubCallerContext, api: str) -> None:
        """Use the connection of the user of a client to the hub `api` until `leave`.

        This does nothing if the hub has no connection for each user. Raises what
        `Downstream.hold` raises.
        """
        held: dict[str, Callable[[], None]] = context.items.setdefault(UserHubs, {})
        downstream = self._downstreams.get(api)  # None: only its relayed events are known
        if downstream is not None and downstream.hub.is_per_user and api not in held:
            held[api] = downstream.hold(self.identity(context, downstream))

    @staticmethod
    def leave(context: HubCallerContext) -> None:
        """End all uses by a client."""
        for release in context.items.pop(UserHubs, {}).values():
            release()
