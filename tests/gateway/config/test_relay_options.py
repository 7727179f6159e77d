"""GW-56, GW-57: the options of a relay and of relayed hubs."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol import HubConnection, HubConnectionBuilder
from signalr_gateway.cli.check import reach_all, routes_table
from signalr_gateway.cli.running import require_access_rules
from signalr_gateway.config.file import ConfigError, load_config
from signalr_gateway.config.sources import UsageError
from signalr_gateway.downstream.building import build_connections, build_relay_connection
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.serving.app import create_app
from signalr_gateway.serving.own_urls import gateway_hub_mismatch, require_other_gateway
from tests.gateway.sample_hub import RunningHub

HUB = '[hubs.h]\nurl = "http://h"\n[hubs.h.routes.r]\nreceive_method = "R"\n'
RELAY = 'relay = true\ngateway_hub_url = "https://other.example/GatewayHub"\n'
RELAYED = '[hubs.h]\nrelayed = true\n[hubs.h.routes.r]\nreceive_method = "R"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "gateway.toml"
    file.write_text(text)
    return file


def relaying(url: str = "https://other.example/GatewayHub") -> Orchestrator:
    orchestrator = Orchestrator()
    orchestrator.gateway_hub_url = url
    orchestrator.relay = True
    return orchestrator


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"relay = true\n{HUB}", "gateway_hub_url: must be the URL of the other gateway's hub"),
        (f"{RELAY}start_gateway_hub = false\n{HUB}", "relay: has no effect when start_gateway_hub"),
        (f"{RELAY}[send]\nenabled = true\n{HUB}", "send.enabled: needs the gateway hub: relay"),
        (f"{RELAY}{RELAYED}", "hub 'h', relayed: cannot be combined with relay"),
        (f'[other_gateway]\nkey_env = "X"\n{HUB}', "other_gateway: has no effect without relay"),
        (
            f'{RELAY}[other_gateway]\nkey_file = "gone"\n{HUB}',
            "other_gateway.key_file: cannot read",
        ),
        (f'{RELAY}[other_gateway]\nca_file = "gone"\n{HUB}', "other_gateway.ca_file: cannot be"),
        (f'{RELAYED}[hubs.h.routes.c]\ninvoke_method = "I"\n', "needs a connection to the hub"),
    ],
)
def test_a_contradiction_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert problem in str(caught.value)


def test_the_connection_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_KEY", "sgk_secret")
    options = '[other_gateway]\nkey_env = "RELAY_KEY"\nmaximum_message_size = 32768\n'
    config = load_config(written(tmp_path, f"{RELAY}{options}{HUB}"))
    connection = build_relay_connection(config.orchestrator)
    assert connection.maximum_send_message_size == 32768
    assert "sgk_secret" not in repr(config)


def test_the_connection_of_a_program() -> None:
    """By default it leads to `gateway_hub_url` as it is, with the key in its query if any."""
    orchestrator = relaying("http://other/hub?access_token=x")
    built: list[HubConnectionBuilder] = []
    assert build_relay_connection(orchestrator).maximum_send_message_size == 1024 * 1024

    def build(builder: HubConnectionBuilder) -> HubConnection:
        built.append(builder.with_url("http://elsewhere/hub"))
        return builder.build()

    orchestrator.build_relay_connection = build
    build_relay_connection(orchestrator)
    assert built[0].urls == ("http://elsewhere/hub",)
    orchestrator.build_relay_connection = lambda builder: builder  # type: ignore[assignment, return-value]
    with pytest.raises(OrchestrationError, match=r"^build_relay_connection: must return the built"):
        build_relay_connection(orchestrator)
    with pytest.raises(OrchestrationError, match=r"^build_relay_connection: must be a function"):
        orchestrator.build_relay_connection = "http://other"  # type: ignore[assignment]
    with pytest.raises(OrchestrationError, match=r"^relay: must be True or False, not int"):
        orchestrator.relay = 1  # type: ignore[assignment]


def test_a_relay_has_no_gateway_hub_to_send_to() -> None:
    with pytest.raises(ValueError, match="send needs the gateway hub, which relay has switched"):
        create_app(relaying(), send=True)


def test_a_relay_to_the_gateway_itself_is_an_error() -> None:
    orchestrator = relaying("http://localhost:8080/hub")
    assert gateway_hub_mismatch(orchestrator, ["http://127.0.0.1:9"]) is None
    require_other_gateway(orchestrator, ["http://127.0.0.1:9"])
    with pytest.raises(OrchestrationError, match=r"^gateway_hub_url: is at this gateway"):
        require_other_gateway(orchestrator, ["http://127.0.0.1:8080"])


def test_relayed_hubs_of_a_file_need_keys(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, RELAYED))
    with pytest.raises(UsageError, match=r"hub 'h', relayed: needs .authentication. with a key"):
        require_access_rules(config)


async def test_check_connects_to_the_other_gateway(hub: RunningHub) -> None:
    """GW-64: the hub of the first URL is no gateway hub. No server has the port of the second."""
    reasons = await reach_all(relaying(hub.url))
    assert reasons == {"relay": "the other gateway takes no relayed events"}
    reasons = await reach_all(relaying("http://127.0.0.1:9/hub?access_token=secret"))
    assert "Connection refused" in (reasons["relay"] or "")
    assert "secret" not in (reasons["relay"] or "")


def test_check_shows_relays(tmp_path: Path) -> None:
    orchestrator = load_config(written(tmp_path, f"{RELAY}{HUB}")).orchestrator
    table = routes_table(orchestrator, build_connections(orchestrator.hubs))
    assert table.endswith("1 hub, 1 route, gateway hub that of other.example")
    orchestrator = load_config(written(tmp_path, RELAYED)).orchestrator
    table = routes_table(orchestrator, build_connections(orchestrator.hubs))
    assert "relayed" in table.splitlines()[1]
