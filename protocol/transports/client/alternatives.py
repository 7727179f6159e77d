"""Connects a client to one of several addresses of the same hub.

Decides which failures lead to the next address. ``connector`` connects to one address.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from ...client.hub_connection import Connected, Connector
from ...errors import NegotiationError

_REFUSALS: Final = frozenset({400, 401, 403})
"""Statuses with which a server without a fault refuses the client."""


class AlternativeConnector:
    """A ``Connector`` that tries ``connectors`` in order, beginning with the last that worked.

    After a failure it tries the next address. If a server refuses the client, the attempt ends,
    because another server of the hub would refuse the client as well. An address has worked when
    its hub has accepted the handshake. If the handshake fails, or if the caller gives up because a
    server does not answer, the next attempt begins with the next address.
    """

    def __init__(self, connectors: Sequence[Connector]) -> None:
        self._connectors = connectors
        self._first = 0

    async def __call__(self) -> Connected:
        """Opens a connection. Raises NegotiationError."""
        failures: list[NegotiationError] = []
        for step in range(len(self._connectors)):
            index = (self._first + step) % len(self._connectors)
            try:
                connected = await self._connectors[index]()
            except asyncio.CancelledError:
                self._begin_with(index + 1)
                raise
            except NegotiationError as error:
                if error.status in _REFUSALS:
                    raise
                failures.append(error)
            else:
                self._begin_with(index + 1)  # unless the hub accepts the handshake
                return replace(connected, on_accepted=partial(self._begin_with, index))
        text = f"None of the {len(failures)} addresses of the hub can be used:"
        raise NegotiationError(
            f"{text} {'; '.join(map(str, failures))}",
            failures[-1].status,
            summary=f"{text} {'; '.join(error.summary for error in failures)}",
            public_summary=f"{text} {'; '.join(error.public_summary for error in failures)}",
        ) from failures[-1]

    def _begin_with(self, index: int) -> None:
        """Lets the next attempt begin with this address."""
        self._first = index % len(self._connectors)
