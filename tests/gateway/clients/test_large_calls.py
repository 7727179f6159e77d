"""GW-50: a call that is too large is answered with an error, and the connection stays."""

from __future__ import annotations

import pytest

from protocol import HubException, HubOptions, HubProtocol, JsonHubProtocol, MessagePackHubProtocol
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to, sample_routes

CALL = {"Api": "Sample", "Key": "echo"}


@pytest.mark.parametrize(
    "hub_protocol", [JsonHubProtocol(), MessagePackHubProtocol()], ids=lambda it: it.name
)
@pytest.mark.parametrize("member", ["Data", "DataArray"])
async def test_a_call_over_the_message_limit(
    gateway: RunningGateway, member: str, hub_protocol: HubProtocol
) -> None:
    """GW-50: the call fails, and the next one is answered."""
    large = "x" * 40_000
    call = CALL | {member: large if member == "Data" else [large]}
    async with gateway.client(hub_protocol) as client:
        with pytest.raises(HubException, match="more than the 32768 bytes of one message"):
            await client.invoke("InvokeDownstreamHub", call)
        assert await client.invoke("InvokeDownstreamHub", CALL | {"Data": "small"}) == "small"


async def test_a_stream_over_the_message_limit(hub: RunningHub) -> None:
    """GW-50: StreamDownstreamHub has the limit, too."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub("Sample", connecting_to(hub.url)).add_route(
            "Echo", HubRouteInfo(invoke_method="Echo", streams=True)
        )

    async with running_gateway(orchestrate) as gateway, gateway.client() as client:
        with pytest.raises(HubException, match="more than the 32768 bytes of one message"):
            async for _ in client.stream("StreamDownstreamHub", CALL | {"Data": "x" * 40_000}):
                pass


async def test_the_message_limit_may_be_higher(hub: RunningHub) -> None:
    """GW-50: a limit above maximum_refused_call_size stays as it is."""
    options = HubOptions(maximum_receive_message_size=20_000)
    limits = Limits(maximum_refused_call_size=1000)
    async with running_gateway(
        lambda it: sample_routes(it, hub.url), limits=limits, hub_options=options
    ) as gateway:
        async with gateway.client() as client:
            text = "x" * 15_000
            assert await client.invoke("InvokeDownstreamHub", CALL | {"Data": text}) == text
