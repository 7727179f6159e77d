"""Which configured URLs lead to the gateway itself."""

from __future__ import annotations

import pytest

from protocol import HubConnectionBuilder
from signalr_gateway import OrchestrationError, Orchestrator
from signalr_gateway.serving.own_urls import gateway_hub_mismatch, require_other_hubs

LOOPBACK = ["http://127.0.0.1:8080"]
EVERYWHERE = ["http://0.0.0.0:8080"]


def orchestrated(gateway_hub_url: str = "/gatewayhub") -> Orchestrator:
    orchestrator = Orchestrator()
    orchestrator.gateway_hub_url = gateway_hub_url
    return orchestrator


@pytest.mark.parametrize(
    ("url", "base_urls"),
    [
        ("/gatewayhub", LOOPBACK),
        ("http://127.0.0.1:8080/GatewayHub", LOOPBACK),
        ("http://localhost:8080/GatewayHub", LOOPBACK),
        ("http://localhost:8080/GatewayHub", ["http://[::1]:8080"]),
        ("http://localhost:8080/GatewayHub", EVERYWHERE),
        ("http://127.0.0.1:8080/GatewayHub", ["http://[::]:8080"]),
        ("http://10.0.0.1:8080/GatewayHub", ["http://127.0.0.1:8080", "http://10.0.0.1:8080"]),
        ("https://127.0.0.1/GatewayHub", ["https://127.0.0.1:443"]),
        ("https://gateway.example/GatewayHub", LOOPBACK),
        ("https://gateway.example:8080/GatewayHub", LOOPBACK),
    ],
)
def test_urls_that_clients_may_use(url: str, base_urls: list[str]) -> None:
    assert gateway_hub_mismatch(orchestrated(url), base_urls) is None


@pytest.mark.parametrize(
    ("url", "base_urls", "place"),
    [
        ("https://localhost:44360/GatewayHub", LOOPBACK, "https://localhost:44360"),
        ("https://localhost:8080/GatewayHub", LOOPBACK, "https://localhost:8080"),
        ("http://127.0.0.2:8080/GatewayHub", LOOPBACK, "http://127.0.0.2:8080"),
        ("http://user:hush@localhost/GatewayHub", LOOPBACK, "http://localhost"),
        ("http://gateway.example:81/GatewayHub", EVERYWHERE, "http://gateway.example:81"),
    ],
)
def test_urls_that_lead_elsewhere(url: str, base_urls: list[str], place: str) -> None:
    orchestrator = orchestrated(url)
    assert gateway_hub_mismatch(orchestrator, base_urls) == (
        f"gateway_hub_url is at {place}, but the gateway listens on {base_urls[0]};"
        " unless a proxy is between them, clients find the gateway hub at"
        f" {base_urls[0]}/GatewayHub"
    )
    orchestrator.start_gateway_hub = False
    assert gateway_hub_mismatch(orchestrator, base_urls) is None


@pytest.mark.parametrize(
    ("url", "base_urls"),
    [
        ("http://127.0.0.1:8080/gatewayhub", LOOPBACK),
        ("http://127.0.0.1:8080/%67atewayhub", LOOPBACK),
        ("https://localhost:8080/GatewayHub/?x=1", LOOPBACK),
        ("http://localhost:8080/gatewayhub", EVERYWHERE),
        ("ws://[::1]:8080/gatewayhub", ["http://[::]:8080"]),
        ("http://gateway.example/gatewayhub", ["http://gateway.example:80"]),
        ("http://gateway.example./gatewayhub", ["http://gateway.example:80"]),
        ("http://localhost.:8080/gatewayhub", LOOPBACK),
        ("http://LOCALHOST:8080/gatewayhub", LOOPBACK),
        ("http://app.localhost:8080/gatewayhub", LOOPBACK),
        ("http://127.1:8080/gatewayhub", LOOPBACK),
        ("http://0x7f000001:8080/gatewayhub", LOOPBACK),
        ("http://2130706433:8080/gatewayhub", LOOPBACK),
        ("http://[::ffff:127.0.0.1]:8080/gatewayhub", LOOPBACK),
        ("http://[::ffff:7f00:1]:8080/gatewayhub", LOOPBACK),
        ("http://[0:0:0:0:0:0:0:1]:8080/gatewayhub", ["http://[::1]:8080"]),
        ("http://127.0.0.1.:8080/gatewayhub", LOOPBACK),
    ],
)
def test_a_hub_that_is_the_gateways_own(url: str, base_urls: list[str]) -> None:
    orchestrator = orchestrated()
    with pytest.raises(OrchestrationError) as caught:
        require_other_hubs(orchestrator, {"other": (), "chat": (url,)}, base_urls)
    problem = "is the gateway's own hub; expected the URL of the hub behind the gateway"
    assert str(caught.value) == f"hub 'chat', url: {problem}"
    with pytest.raises(OrchestrationError) as caught:
        require_other_hubs(orchestrator, {"chat": ("http://127.0.0.2:1/hub", url)}, base_urls)
    assert str(caught.value) == f"hub 'chat', urls: {problem}"
    orchestrator.start_gateway_hub = False
    require_other_hubs(orchestrator, {"chat": (url,)}, base_urls)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8081/gatewayhub",
        "http://127.0.0.1:8080/chathub",
        "http://127.0.0.2:8080/gatewayhub",
        "http://10.0.0.1:8080/gatewayhub",
        "http://gateway.example:8080/gatewayhub",
        "http://127.0.0.1/gatewayhub",
    ],
)
def test_other_hubs(url: str) -> None:
    require_other_hubs(orchestrated(), {"chat": (url,)}, LOOPBACK)


def test_a_builder_has_the_urls_of_its_hub() -> None:
    builder = HubConnectionBuilder()
    assert builder.urls == ()
    urls = ("http://127.0.0.1:8080/hub?x=1", "http://127.0.0.2:8080/hub")
    assert builder.with_url(urls[0], alternatives=urls[1:]).urls == urls
