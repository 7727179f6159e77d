"""What one connection of the gateway hub has subscribed to (GW-15, GW-16, GW-20).

Pure bookkeeping: it tells which channels a change makes the connection join or leave. A channel is
one kind of event (see `relay`), so a connection that is entitled to an event in several ways is
still its member once and gets it once. The object lives and dies with its connection (GW-21), and
what it holds is bounded, for a client may invent as many users as it likes.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from protocol import HubException

from .relay import Relay, Subscription

MAXIMUM_SUBSCRIPTIONS: Final = 1000
"""Of one connection."""


class Subscriptions:
    """The subscriptions of one connection."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._held: set[Subscription] = set()
        self._reasons: Counter[str] = Counter()  # by channel: how many of them lead to it

    def add(self, subscription: Subscription) -> list[str] | None:
        """The channels to join; None when it was held already.

        Raises HubException when there are `MAXIMUM_SUBSCRIPTIONS`.
        """
        if subscription in self._held:
            return None
        if len(self._held) >= MAXIMUM_SUBSCRIPTIONS:
            raise HubException(
                f"This connection has {MAXIMUM_SUBSCRIPTIONS} subscriptions, the most it may have."
            )
        self._held.add(subscription)
        channels = self._relay.channels(subscription)
        self._reasons.update(channels)
        return [channel for channel in channels if self._reasons[channel] == 1]

    def remove(self, subscription: Subscription) -> list[str] | None:
        """The channels to leave, without those another subscription keeps; None when not held."""
        if subscription not in self._held:
            return None
        self._held.remove(subscription)
        channels = self._relay.channels(subscription)
        self._reasons.subtract(channels)
        return [channel for channel in channels if self._reasons[channel] == 0]
