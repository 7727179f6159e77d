"""What one connection of the gateway hub has subscribed to (GW-15, GW-16, GW-20).

Pure bookkeeping: it tells which channels a change makes the connection join or leave. A channel is
one kind of event (see `relay`), so a connection that is entitled to an event in several ways is
still its member once and gets it once. The object lives and dies with its connection (GW-21).
"""

from __future__ import annotations

from .relay import Relay, Subscription


class Subscriptions:
    """The subscriptions of one connection."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._held: set[Subscription] = set()

    def add(self, subscription: Subscription) -> frozenset[str] | None:
        """The channels to join; None when it was held already."""
        if subscription in self._held:
            return None
        self._held.add(subscription)
        return self._relay.channels(subscription)

    def remove(self, subscription: Subscription) -> frozenset[str] | None:
        """The channels to leave, without those another subscription keeps; None when not held."""
        if subscription not in self._held:
            return None
        self._held.remove(subscription)
        kept = {channel for held in self._held for channel in self._relay.channels(held)}
        return self._relay.channels(subscription) - kept
