"""GW-18: answers to wrong receive keys are delayed, those to right ones are not."""

from __future__ import annotations

import asyncio

import pytest

from protocol import HubConnectionBuilder, HubException
from signalr_gateway import Limits
from signalr_gateway.clients.key_failures import (
    FREE_PER_ADDRESS,
    FREE_PER_CONNECTION,
    LONGEST_DELAY,
    KeyFailures,
)
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from tests.gateway.running_gateway import running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to
from tests.support.loop_time import LoopTime

ADDRESS = "192.0.2.1"


def test_the_failures_of_a_connection() -> None:
    failures = KeyFailures()
    delays = [
        failures.delay(number, f"192.0.2.{number}", 0.0)
        for number in range(1, FREE_PER_CONNECTION + 100)
    ]
    assert delays[:FREE_PER_CONNECTION] == [0.0] * FREE_PER_CONNECTION
    assert delays[FREE_PER_CONNECTION:][:7] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_DELAY]
    assert set(delays[FREE_PER_CONNECTION + 7 :]) == {LONGEST_DELAY}


@pytest.mark.parametrize("address", [ADDRESS, "2001:db8:1:2::{:x}", None])
def test_the_failures_of_an_address(address: str | None) -> None:
    """A new connection for each guess is no way around; others are not affected."""
    failures = KeyFailures()
    delays = [
        failures.delay(1, address and address.format(number), 0.0)
        for number in range(FREE_PER_ADDRESS + 3)
    ]
    assert delays == [0.0] * FREE_PER_ADDRESS + [0.1, 0.2, 0.4]
    assert failures.delay(1, "198.51.100.1", 0.0) == 0.0


def test_failures_are_forgotten_after_a_minute_without_one() -> None:
    failures = KeyFailures()
    for number in range(FREE_PER_ADDRESS + 2):
        failures.delay(1, ADDRESS, number * 59.9)
    last = (FREE_PER_ADDRESS + 1) * 59.9
    assert failures.delay(1, ADDRESS, last + 59.9) > 0
    assert failures.delay(1, ADDRESS, last + 59.9 + 60) == 0.0


async def test_clients_behind_a_proxy(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """GW-53: guesses of one client do not delay answers to another client of the same proxy."""

    def routes(orchestrator: Orchestrator) -> None:
        info = HubRouteInfo(receive_method="R")
        hub_routes = orchestrator.add_hub("sample", connecting_to(hub.url), receive_key="a secret")
        hub_routes.add_route("room", info)

    async def guess(number: int) -> None:
        headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        url = f"{gateway.url}/gatewayhub"
        async with HubConnectionBuilder().with_url(url, headers=headers).build() as client:
            with pytest.raises(HubException, match="missing or wrong"):
                await client.invoke("SubscribeToGroup", {"api": "sample", "key": "room"})

    monkeypatch.setattr("signalr_gateway.clients.key_failures.FREE_PER_ADDRESS", 1)
    for name in ("_FIRST_DELAY", "LONGEST_DELAY"):  # an answer that is delayed does not arrive
        monkeypatch.setattr(f"signalr_gateway.clients.key_failures.{name}", 3600.0)
    limits = Limits(trusted_proxies=["127.0.0.1"])
    async with running_gateway(routes, limits=limits) as gateway:
        await guess(1)
        await asyncio.wait_for(guess(2), 10)


async def test_a_client_that_guesses(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right key is answered at once, also behind the same address."""

    def routes(orchestrator: Orchestrator) -> None:
        build = connecting_to(hub.url)
        info = HubRouteInfo(receive_method="R")
        orchestrator.add_hub("sample", build, receive_key="a secret").add_route("room", info)

    async with running_gateway(routes) as gateway, gateway.client() as one, gateway.client() as two:
        time = LoopTime(monkeypatch)
        call = {"api": "sample", "key": "room"}
        for _ in range(FREE_PER_CONNECTION):
            with pytest.raises(HubException, match="missing or wrong"):
                await one.invoke("SubscribeToGroup", call)
        guess = asyncio.create_task(one.invoke("SubscribeToGroup", call))
        await two.invoke("SubscribeToGroup", {**call, "receiveKey": "a secret"})
        assert not guess.done()
        time.skip(0.1)
        with pytest.raises(HubException, match="missing or wrong"):
            await guess
