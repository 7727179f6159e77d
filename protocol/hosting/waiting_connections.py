"""The negotiated connections of one path that wait for their transport (N-27).

When there is no room, the oldest connection of the address with the most connections is dropped. So
a client that negotiates without end drops only its own connections.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

from .client_address import address_owner

Waiting = TypeVar("Waiting")


class WaitingConnections(Generic[Waiting]):
    """Connections by token, in the order in which they were added."""

    def __init__(self) -> None:
        self._by_token: dict[str, tuple[Waiting, str]] = {}
        self._by_address: dict[str, dict[str, None]] = {}  # the tokens of each address, by age
        self._by_size: dict[int, dict[str, None]] = {}  # the addresses by their number of tokens
        self._largest = 0

    def __len__(self) -> int:
        return len(self._by_token)

    def get(self, token: str) -> Waiting | None:
        """The connection of a token, or None."""
        found = self._by_token.get(token)
        return None if found is None else found[0]

    @property
    def in_order(self) -> Iterable[Waiting]:
        """The connections, the oldest first."""
        return (connection for connection, _ in self._by_token.values())

    def add(self, token: str, connection: Waiting, remote: str | None) -> None:
        """Adds a connection. ``remote`` is the address of its client, if known."""
        address = address_owner(remote)
        self._by_token[token] = connection, address
        tokens = self._by_address.setdefault(address, {})
        self._resize(address, len(tokens), len(tokens) + 1)
        tokens[token] = None

    def remove(self, token: str) -> None:
        """Removes a connection, if it is there."""
        found = self._by_token.pop(token, None)
        if found is None:
            return
        _, address = found
        tokens = self._by_address[address]
        self._resize(address, len(tokens), len(tokens) - 1)
        del tokens[token]
        if not tokens:
            del self._by_address[address]

    def drop_one(self) -> None:
        """Removes the oldest connection of an address that has the most connections."""
        address = next(iter(self._by_size[self._largest]))
        self.remove(next(iter(self._by_address[address])))

    def _resize(self, address: str, old: int, new: int) -> None:
        if old:
            del self._by_size[old][address]
            if not self._by_size[old]:
                del self._by_size[old]
        if new:
            self._by_size.setdefault(new, {})[address] = None
        self._largest = max(self._largest, new)
        while self._largest and self._largest not in self._by_size:
            self._largest -= 1
