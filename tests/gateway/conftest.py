"""A lab hub and a gateway in front of it, made anew for each test."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator

import pytest

from signalr_gateway.serving.tls import CertificatePair, self_signed_pair

from .lab import Lab, RunningGateway, lab_routes, running_gateway, running_lab


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with running_lab() as lab:
        yield lab


@pytest.fixture
async def gateway(lab: Lab) -> AsyncIterator[RunningGateway]:
    async with running_gateway(lambda orchestrator: lab_routes(orchestrator, lab.url)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def certificate() -> Iterator[CertificatePair]:
    """A self-signed certificate for localhost and 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the program `openssl` on PATH")
    with self_signed_pair() as pair:
        yield pair
