"""Counts connected clients: all of them, the members of a group, the connections of a user."""

from ..option_checks import require_name
from .lifetime import HubLifetimeManager


class Presence:
    """Answers which connections, groups and users of a hub class exist, and how large they are.

    A group or a user exists while it has at least one connection. The numbers are those of the
    moment of the call. All methods raise TypeError for a name or an id that is not a str, and
    NotImplementedError if the lifetime manager does not support them.
    """

    def __init__(self, lifetime: HubLifetimeManager) -> None:
        self._lifetime = lifetime

    async def count(self) -> int:
        """Returns the number of connections."""
        return await self._lifetime.count_connections()

    async def count_group(self, name: str) -> int:
        """Returns the number of members of a group; 0 if the group does not exist."""
        require_name(name, "A group name")
        return await self._lifetime.count_group(name)

    async def count_user(self, user_id: str) -> int:
        """Returns the number of connections of a user; 0 if the user does not exist."""
        require_name(user_id, "A user id")
        return await self._lifetime.count_user(user_id)

    async def has_connection(self, connection_id: str) -> bool:
        """Returns whether there is a connection with this id."""
        require_name(connection_id, "A connection id")
        return await self._lifetime.has_connection(connection_id)

    async def has_group(self, name: str) -> bool:
        """Returns whether the group has a member."""
        return await self.count_group(name) > 0

    async def has_user(self, user_id: str) -> bool:
        """Returns whether the user has a connection."""
        return await self.count_user(user_id) > 0
