"""Orchestrations for `signalr_gateway run tests.interop.orchestrations:…`.

The environment variable CHAT_HUBS is a JSON object with the URL of each hub by its api key.
"""

import json
import os
from collections.abc import Callable

from protocol import HubConnection, HubConnectionBuilder
from signalr_gateway.downstream import connections
from signalr_gateway.orchestration.orchestrator import HubBuilder, Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from tests.interop.journal import PATIENCE

RECEIVE_KEY = "2f85e3c6-66d2-48a3-8ff7-31a65073558b"

LARGEST_MESSAGE = 128 * 1024
"""The message size that hubs of the matrix accept, in bytes."""


def documented(orchestrator: Orchestrator) -> None:
    """The orchestration of the documentation, for each hub."""
    for api, url in _hubs().items():
        url = url.replace("chathub", "ChatHub")  # the spelling of the documentation
        orchestrator.add_hub(api, connect_to(url)).add_route(
            "room",
            HubRouteInfo(
                invoke_method="SendMessage",
                receive_method="ReceiveMessage",
                receive_parameter_types=[str, str],
            ),
        )
    orchestrator.start_gateway_hub = True
    orchestrator.gateway_hub_url = "https://localhost:44360/GatewayHub"


def chat(orchestrator: Orchestrator) -> None:
    """A route for each method of the chat hub that tests call."""
    for api, url in _hubs().items():
        add_chat_routes(orchestrator.add_hub(api, connect_to(url)))


def patient(orchestrator: Orchestrator) -> None:
    """As `chat`; calls wait for a hub that is down for as long as a test waits for anything.

    A hub may take longer to start than callers usually wait, on a busy machine.
    """
    connections.CONNECT_WAIT = PATIENCE
    chat(orchestrator)


def subscriptions(orchestrator: Orchestrator) -> None:
    """Routes whose events go to a group and to individual subscribers, behind a receive key."""
    for api, url in _hubs().items():
        orchestrator.add_hub(api, connect_to(url), receive_key=RECEIVE_KEY).add_route(
            "room",
            HubRouteInfo(
                invoke_method="SendMessage",
                receive_method="ReceiveMessage",
                broadcast_type=BroadcastType.GROUP,
                receive_group="ChatGroup",
            ),
        ).add_route(
            "relay",
            HubRouteInfo(
                invoke_method="Relay",
                receive_method="ReceiveRelay",
                broadcast_type=BroadcastType.INDIVIDUAL,
            ),
        )


def matrix(orchestrator: Orchestrator) -> None:
    """What a cell of the matrix calls, and one event, which goes to a group."""
    for api, url in _hubs().items():
        hub = orchestrator.add_hub(api, connect_to(url, LARGEST_MESSAGE), receive_key=RECEIVE_KEY)
        hub.add_route(
            "room",
            HubRouteInfo(
                invoke_method="SendMessage",
                receive_method="ReceiveMessage",
                broadcast_type=BroadcastType.GROUP,
                receive_group="ChatGroup",
            ),
        )
        for method in ("Add", "Echo", "Record", "ThrowHub"):
            hub.add_route(method, HubRouteInfo(invoke_method=method))


def add_chat_routes(hub: HubBuilder) -> None:
    hub.add_route(
        "room", HubRouteInfo(invoke_method="SendMessage", receive_method="ReceiveMessage")
    )
    hub.add_route("relay", HubRouteInfo(invoke_method="Relay", receive_method="ReceiveRelay"))
    hub.add_route("count", HubRouteInfo(invoke_method="Count", receive_method="ReceiveNumber"))
    for method in ("Add", "Burst", "Echo", "Hold", "Record", "ThrowHub"):
        hub.add_route(method, HubRouteInfo(invoke_method=method))


def connect_to(
    url: str, maximum_message_size: int | None = None
) -> Callable[[HubConnectionBuilder], HubConnection]:
    """Returns the function that builds a connection to the hub at this address.

    `size` is the message size that the hub accepts.
    """

    def build_hub_connection(builder: HubConnectionBuilder) -> HubConnection:
        if maximum_message_size is not None:
            builder.with_maximum_send_message_size(maximum_message_size)
        return builder.with_url(url).build()

    return build_hub_connection


def _hubs() -> dict[str, str]:
    hubs = json.loads(os.environ["CHAT_HUBS"])
    assert isinstance(hubs, dict)
    return hubs
