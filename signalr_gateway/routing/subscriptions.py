"""What one connection of the gateway hub has subscribed to (GW-15, GW-16, GW-20).

`Subscriptions` returns the channels that a connection joins or leaves when its subscriptions
change. `clients.gateway_hub` then changes the groups of the connection. `routing.relay` defines the
channels. A connection with several subscriptions to an event joins its channel once, and so
receives the event once. The number of subscriptions is bounded, because a client may choose any
number of user ids.
"""

from __future__ import annotations

from collections import Counter

from protocol import HubException

from .relay import Relay, Subscription


class Subscriptions:
    """The subscriptions of one connection, at most `maximum`."""

    def __init__(self, relay: Relay, maximum: int) -> None:
        self._relay = relay
        self._maximum = maximum
        self._held: set[Subscription] = set()
        self._uses: Counter[str] = Counter()  # by channel: how many subscriptions need it

    def add(self, subscription: Subscription) -> list[str] | None:
        """Add a subscription and return the channels to join; None if it exists already.

        Raises HubException if the connection has as many as it may have.
        """
        if subscription in self._held:
            return None
        if len(self._held) >= self._maximum:
            raise HubException(
                f"This connection has {self._maximum} subscriptions, the most it may have."
            )
        self._held.add(subscription)
        channels = self._relay.channels(subscription)
        self._uses.update(channels)
        return [channel for channel in channels if self._uses[channel] == 1]

    def remove(self, subscription: Subscription) -> list[str] | None:
        """Remove a subscription and return the channels to leave; None if it does not exist.

        Channels that another subscription needs are not among them.
        """
        if subscription not in self._held:
            return None
        self._held.remove(subscription)
        channels = self._relay.channels(subscription)
        self._uses.subtract(channels)
        return [channel for channel in channels if self._uses[channel] == 0]
