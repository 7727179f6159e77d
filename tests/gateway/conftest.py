"""A lab hub and a gateway in front of it, made anew for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .lab import Lab, RunningGateway, lab_routes, running_gateway, running_lab


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with running_lab() as lab:
        yield lab


@pytest.fixture
async def gateway(lab: Lab) -> AsyncIterator[RunningGateway]:
    async with running_gateway(lambda orchestrator: lab_routes(orchestrator, lab.url)) as gateway:
        yield gateway
