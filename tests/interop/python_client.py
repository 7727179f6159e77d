"""Our client in tests: connects to a hub, and records the events and errors for its user."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from protocol import (
    HttpTransportType,
    HubConnection,
    HubConnectionBuilder,
    JsonHubProtocol,
    MessagePackHubProtocol,
)
from protocol.http_transport_type import TRANSFER_FORMATS, TRANSPORT_NAMES
from protocol.hub_protocol import HubProtocol, TransferFormat
from tests.interop.journal import Journal
from tests.interop.servers import HubServer


@dataclass(frozen=True)
class Combination:
    """A transport and a hub protocol for connections to the hub."""

    transport: HttpTransportType
    hub_protocol: HubProtocol

    def to(self, hub: HubServer) -> HubConnectionBuilder:
        return self.to_url(hub.url)

    def to_url(self, url: str) -> HubConnectionBuilder:
        builder = HubConnectionBuilder().with_url(url, transports=self.transport)
        return builder.with_hub_protocol(self.hub_protocol)


def all_combinations() -> Iterator[object]:
    """Each with the JSON protocol of the hub's, which makes no difference to MessagePack."""
    for transport, name in TRANSPORT_NAMES.items():
        for program in ("newtonsoft", "system-text-json"):
            yield pytest.param(
                program, Combination(transport, JsonHubProtocol()), id=f"{name}-{program}"
            )
        if TransferFormat.BINARY in TRANSFER_FORMATS[transport]:
            combination = Combination(transport, MessagePackHubProtocol())
            yield pytest.param("system-text-json", combination, id=f"{name}-messagepack")


def each_transport() -> Iterator[object]:
    """One for each transport, where the hub protocol makes no difference."""
    for transport, name in TRANSPORT_NAMES.items():
        yield pytest.param("system-text-json", Combination(transport, JsonHubProtocol()), id=name)


class Diary:
    """The events and the end of a connection, in order, as its user sees them."""

    def __init__(self, connection: HubConnection) -> None:
        self.calls = Journal[tuple[Any, ...]]("calls")
        self.changes = Journal[tuple[str, Any]]("changes of state")
        connection.on_closed(lambda error: self.changes.add(("closed", error)))
        connection.on_reconnecting(lambda error: self.changes.add(("reconnecting", error)))
        connection.on_reconnected(lambda new_id: self.changes.add(("reconnected", new_id)))

        @connection.on("ReceiveMessage")
        def received(name: str, message: str) -> None:
            self.calls.add((name, message))

        @connection.on("ReceiveText")
        async def told(text: str) -> None:
            self.calls.add((text,))

    async def change(self, kind: str, count: int = 1) -> Any:
        """Waits until a change has happened `count` times; returns the argument of the last one."""
        changes = await self.changes.wait(count, lambda change: change[0] == kind)
        return changes[count - 1][1]
