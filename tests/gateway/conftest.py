"""A sample hub and a gateway in front of it, new for each test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

from signalr_gateway.serving.tls import CertificatePair, self_signed_pair

from .running_gateway import RunningGateway, running_gateway
from .sample_hub import RunningHub, running_hub, sample_routes


@pytest.fixture
async def hub() -> AsyncIterator[RunningHub]:
    async with running_hub() as hub:
        yield hub


@pytest.fixture
async def gateway(hub: RunningHub) -> AsyncIterator[RunningGateway]:
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url)
    ) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def certificate() -> Iterator[CertificatePair]:
    """A self-signed certificate for localhost and 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program `openssl` on PATH")
    with self_signed_pair() as pair:
        yield pair
