"""Counts the events of hubs by outcome, and logs those that are not forwarded.

`clients.broadcast` and `clients.other_gateway` forward events. The log contains names and counts,
but nothing of the arguments (GW-6).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from protocol.relaying import LogThinning

from ..logs.redaction import shortened
from ..routing.tables import Misfit, Unrouted

log = logging.getLogger(__name__)


@dataclass(slots=True)
class EventCounts:
    """The numbers of events of one hub, or of one name, since the gateway started, by outcome."""

    forwarded: int = 0
    misfit: int = 0
    """Not forwarded, because the arguments do not fit: `routing.tables.Misfit` (GW-6, GW-24)."""
    unrouted: int = 0
    """Not forwarded, because the event is not the `receive_method` of any route of the hub."""
    unwritable: int = 0
    """Forwarded, except to clients whose hub protocol cannot express the arguments."""

    def add(self, other: EventCounts) -> None:
        """Add the numbers of `other`."""
        self.forwarded += other.forwarded
        self.misfit += other.misfit
        self.unrouted += other.unrouted
        self.unwritable += other.unwritable


class EventLog:
    """The counts of all hubs, and the log lines about their events."""

    def __init__(self, apis: Iterable[str]) -> None:
        # By hub and `receive_method`. All events that no route receives count under None, because
        # the hub chooses their names.
        self._counts: dict[str, defaultdict[str | None, EventCounts]] = {
            api: defaultdict(EventCounts) for api in apis
        }
        self._thinning = LogThinning()

    def counts(self, api: str, targets: Collection[str] | None = None) -> EventCounts:
        """The counts of the events of a hub with these names; None: of all its events."""
        total = EventCounts()
        for target, counts in self._counts[api].items():
            if targets is None or target in targets:
                total.add(counts)
        return total

    def forwarded(self, api: str, target: str) -> None:
        """Count an event that is forwarded."""
        self._counts[api][target].forwarded += 1

    def not_forwarded(self, api: str, refused: Misfit | Unrouted) -> None:
        """Count and log an event that is not forwarded."""
        if isinstance(refused, Unrouted):
            self._counts[api][None].unrouted += 1
            log.debug("hub %r: no route receives %r", api, shortened(refused.target))
            return
        counts = self._counts[api][refused.target]
        counts.misfit += 1
        level = self._thinning.level((api, refused.target))
        text = "hub %r: event %r not forwarded (%d so far): %s"
        log.log(level, text, api, refused.target, counts.misfit, refused.reason)

    def unwritable(self, api: str, target: str, error: Exception) -> None:
        """Count and log an event that the hub protocol of some clients cannot express."""
        counts = self._counts[api][target]
        counts.unwritable += 1
        level = self._thinning.level((api, target, type(error)))
        text = "hub %r: event %r not sent to some clients (%d so far): %s"
        log.log(level, text, api, target, counts.unwritable, error)
