"""The conformance hub: sending to clients, groups and users."""

from protocol import Hub, hub_method

from .values import ArgumentNullException


def _required(value: str | None, parameter: str) -> str:
    """.NET binds null to any text and refuses it only where it is used (G-3)."""
    if value is None:
        raise ArgumentNullException(parameter)
    return value


class SendingMethods(Hub):
    """Each sends ``Receive(text)`` to whom its name says."""

    @hub_method
    async def send_to_all(self, text: str) -> None:
        await self.clients.all.send("Receive", text)

    @hub_method
    async def send_to_all_except(self, text: str, connection_ids: list[str]) -> None:
        await self.clients.all_except(connection_ids).send("Receive", text)

    @hub_method
    async def send_to_others(self, text: str) -> None:
        await self.clients.others.send("Receive", text)

    @hub_method
    async def send_to_caller(self, text: str) -> None:
        await self.clients.caller.send("Receive", text)

    @hub_method
    async def send_to_client(self, text: str, connection_id: str | None) -> None:
        connection_id = _required(connection_id, "connectionId")
        await self.clients.client(connection_id).send("Receive", text)

    @hub_method
    async def send_to_clients(self, text: str, connection_ids: list[str]) -> None:
        await self.clients.clients(connection_ids).send("Receive", text)

    @hub_method
    async def send_to_user(self, text: str, user_id: str | None) -> None:
        await self.clients.user(_required(user_id, "userId")).send("Receive", text)

    @hub_method
    async def send_to_users(self, text: str, user_ids: list[str]) -> None:
        await self.clients.users(user_ids).send("Receive", text)

    @hub_method
    async def send_to_group(self, text: str, group: str | None) -> None:
        await self.clients.group(_required(group, "groupName")).send("Receive", text)

    @hub_method
    async def send_to_groups(self, text: str, groups: list[str | None]) -> None:
        """In a list an empty name is refused, and null with it."""
        await self.clients.groups(group or "" for group in groups).send("Receive", text)

    @hub_method
    async def send_to_group_except(self, text: str, group: str, connection_ids: list[str]) -> None:
        await self.clients.group_except(group, connection_ids).send("Receive", text)

    @hub_method
    async def send_to_others_in_group(self, text: str, group: str) -> None:
        await self.clients.others_in_group(group).send("Receive", text)

    @hub_method
    async def send_three(self, target: str) -> str:
        """Three sends in a row, then the result, in this order on the wire."""
        await self.clients.caller.send(target)
        await self.clients.caller.send(target, 1)
        await self.clients.caller.send(target, 1, "two")
        return "sent"


class GroupMethods(Hub):
    """Changes of memberships."""

    @hub_method
    async def join_group(self, group: str | None) -> None:
        await self.groups.add(self.context.connection_id, _required(group, "groupName"))

    @hub_method
    async def leave_group(self, group: str) -> None:
        await self.groups.remove(self.context.connection_id, group)

    @hub_method
    async def add_to_group(self, connection_id: str, group: str) -> None:
        await self.groups.add(connection_id, group)

    @hub_method
    async def remove_from_group(self, connection_id: str, group: str) -> None:
        await self.groups.remove(connection_id, group)
