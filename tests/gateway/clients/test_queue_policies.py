"""GW-51: a route decides what happens to its events for clients that read slowly."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol import EndpointOptions, HubOptions, SlowClientPolicy
from signalr_gateway import HubRouteInfo, Limits, OrchestrationError, Orchestrator, QueuePolicy
from signalr_gateway.config.file import ConfigError, load_config
from signalr_gateway.serving.app import create_app
from tests.gateway.clients.test_slow_clients import unread_web_socket
from tests.gateway.gateway_clients import Inbox
from tests.gateway.running_gateway import running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to
from tests.support.waiting import until

PADDING = b"x" * 30_000


@pytest.mark.parametrize("policy", [QueuePolicy.DROP_OLDEST, QueuePolicy.LATEST])
async def test_a_client_that_does_not_read_stays(hub: RunningHub, policy: QueuePolicy) -> None:
    """GW-51: 12 MB of events neither disconnect it nor delay another client."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub("Sample", connecting_to(hub.url)).add_route(
            "prices", HubRouteInfo(receive_method="Spread", spread=True, queue_policy=policy)
        )

    limits = Limits(maximum_outbound_buffer_size=200_000)
    options = EndpointOptions(transport_send_timeout=1000)
    async with running_gateway(orchestrate, limits=limits, endpoint_options=options) as gateway:
        reader = gateway.client()
        inbox = Inbox(reader)
        async with reader, unread_web_socket(gateway):
            await until(lambda: gateway.clients == 2)
            for number in range(400):
                event = b'[%d,"%s"]' % (number, PADDING)
                await hub.send("Spread", event)
                assert await inbox.take() == ("Spread", event)
            assert gateway.clients == 2


def test_the_option_in_a_file(tmp_path: Path) -> None:
    """GW-51: the names of the policies; the old option names the new one."""
    file = tmp_path / "gateway.toml"
    route = '[hubs.h]\nurl = "http://h/hub"\n[hubs.h.routes.r]\nreceive_method = "News"\n'
    for name, policy in (
        ("close", QueuePolicy.CLOSE),
        ("drop_oldest", QueuePolicy.DROP_OLDEST),
        ("LATEST", QueuePolicy.LATEST),
    ):
        file.write_text(f'{route}queue_policy = "{name}"\n', encoding="utf-8")
        assert load_config(file).orchestrator.hubs["h"].routes["r"].queue_policy is policy
    file.write_text(f'[limits]\nslow_client_policy = "drop"\n{route}', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).endswith(
        "limits.slow_client_policy: replaced by queue_policy in [hubs.KEY.routes.KEY]"
    )


def test_routes_with_one_receive_method_have_one_policy() -> None:
    """GW-2, GW-51: each event is sent once."""
    routes = Orchestrator().add_hub("h", connecting_to("http://h/hub"))
    routes.add_route("a", HubRouteInfo(receive_method="News"))
    with pytest.raises(OrchestrationError, match="queue_policy: must be the same"):
        routes.add_route("b", HubRouteInfo(receive_method="News", queue_policy=QueuePolicy.LATEST))


def test_a_route_without_events_has_no_policy() -> None:
    """GW-51."""
    routes = Orchestrator().add_hub("h", connecting_to("http://h/hub"))
    info = HubRouteInfo(invoke_method="Send", queue_policy=QueuePolicy.LATEST)
    with pytest.raises(OrchestrationError, match="has no meaning without a receive_method"):
        routes.add_route("a", info)


def test_the_policy_of_the_library_is_refused() -> None:
    """GW-51: the routes have the policies."""
    options = HubOptions(slow_client_policy=SlowClientPolicy.DROP)
    with pytest.raises(ValueError, match="queue_policy of a route"):
        create_app(Orchestrator(), hub_options=options)
