"""Orchestrations for `signalr_gateway run tests.interop.orchestrations:…`.

Where the hubs are comes from the environment: CHAT_HUBS is a JSON object of api keys and URLs.
"""

import json
import os
from collections.abc import Callable

from protocol import HubConnection, HubConnectionBuilder
from signalr_gateway.orchestrator import DEFAULT_MAXIMUM_MESSAGE_SIZE, HubRouteInfo, Orchestrator

LARGE = 4 * 1024 * 1024


def documented(orchestrator: Orchestrator) -> None:
    """The documentation's orchestration, once for each hub."""
    for api, url in _hubs().items():
        url = url.replace("chathub", "ChatHub")  # as the documentation spells it
        orchestrator.add_hub(api, _connect_to(url)).add_route(
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
    """A route to each method of the chat hub that the tests look at."""
    _add_chat_routes(orchestrator, DEFAULT_MAXIMUM_MESSAGE_SIZE)


def large(orchestrator: Orchestrator) -> None:
    """The same for hubs that take messages of 4 MiB."""
    _add_chat_routes(orchestrator, LARGE)


def _add_chat_routes(orchestrator: Orchestrator, maximum_message_size: int) -> None:
    for api, url in _hubs().items():
        hub = orchestrator.add_hub(api, _connect_to(url), maximum_message_size=maximum_message_size)
        hub.add_route(
            "room", HubRouteInfo(invoke_method="SendMessage", receive_method="ReceiveMessage")
        )
        hub.add_route("relay", HubRouteInfo(invoke_method="Relay", receive_method="ReceiveRelay"))
        for method in ("Add", "Burst", "Echo", "Hold", "Nothing", "Record", "Throw", "ThrowHub"):
            hub.add_route(method, HubRouteInfo(invoke_method=method))


def _hubs() -> dict[str, str]:
    hubs = json.loads(os.environ["CHAT_HUBS"])
    assert isinstance(hubs, dict)
    return hubs


def _connect_to(url: str) -> Callable[[HubConnectionBuilder], HubConnection]:
    def build_hub_connection(builder: HubConnectionBuilder) -> HubConnection:
        return builder.with_url(url).build()

    return build_hub_connection
