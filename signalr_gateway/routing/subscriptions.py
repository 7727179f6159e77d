"""What one connection of the gateway hub has subscribed to (GW-15, GW-16, GW-20).

`Subscriptions` returns the channels that a connection joins or leaves when its subscriptions
change. `clients.gateway_hub` then changes the groups of the connection. `routing.tables` defines
the channels. A connection with several subscriptions to an event joins its channel once, and so
receives the event once. The number of subscriptions is bounded, because a client may choose any
number of user ids.
"""

from __future__ import annotations

from collections import Counter

from protocol import HubException, Principal

from .tables import RoutingTables, Subscription


class Subscriptions:
    """The subscriptions of one connection, at most `maximum`, and the channels that it has joined.

    `user` is the user of the connection, None if it is anonymous, and `user_id` the user's id.
    """

    def __init__(
        self,
        tables: RoutingTables,
        maximum: int,
        user: Principal | None = None,
        user_id: str | None = None,
    ) -> None:
        self._tables = tables
        self._maximum = maximum
        self._user = user
        self._user_id = user_id
        self._channels: dict[Subscription | None, frozenset[str]] = {}
        """The channels for each subscription; for None, the channels without a subscription."""
        self._uses: Counter[str] = Counter()
        """For each channel that the connection has joined, the number of keys that need it."""

    def add(self, subscription: Subscription) -> list[str] | None:
        """Add a subscription and return the channels to join; None if it exists already.

        Raises HubException if the connection already has `maximum` subscriptions.
        """
        if subscription in self._channels:
            return None
        if len(self._channels) - (None in self._channels) >= self._maximum:
            raise HubException(
                f"This connection has {self._maximum} subscriptions, the most it may have."
            )
        channels = self._tables.channels(self._user, self._user_id, subscription)
        self._channels[subscription] = channels
        self._uses.update(channels)
        return [channel for channel in channels if self._uses[channel] == 1]

    def remove(self, subscription: Subscription) -> list[str] | None:
        """Remove a subscription and return the channels to leave; None if it does not exist.

        Channels that another subscription needs are not among them.
        """
        channels = self._channels.pop(subscription, None)
        if channels is None:
            return None
        self._uses.subtract(channels)
        left = [channel for channel in channels if self._uses[channel] == 0]
        for channel in left:
            del self._uses[channel]
        return left

    def change_user(
        self, user: Principal | None, user_id: str | None
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Set the user, and return the channels to join and those to leave (GW-44).

        The first time, the channels without a subscription are among those to join. Subscriptions
        stay, also while the user may not receive their events.
        """
        before = frozenset(self._uses)
        self._user, self._user_id = user, user_id
        self._channels = {
            each: self._tables.channels(user, user_id, each)
            for each in self._channels
            if each is not None
        } | {None: self._tables.channels_without_subscription(user, user_id)}
        self._uses = Counter(name for names in self._channels.values() for name in names)
        after = frozenset(self._uses)
        return after - before, before - after
