"""Marks, driver processes and chat hubs for all test modules of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pytest_asyncio import is_async_test

from tests.interop.drivers import (
    ClientDriver,
    ProcessDriver,
    dotnet_driver_argv,
    node_driver_argv,
)
from tests.interop.servers import HubProgram, HubServer, aspnetcore_hub, python_hub, running
from tests.interop.versions import CURRENT

HERE = Path(__file__).parent

for module in ("gateway_cell", "hub_cell", "refusal", "scene", "stream_cell"):
    pytest.register_assert_rewrite(f"tests.interop.matrix.{module}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks these tests, and runs them in one event loop, because the processes outlive a test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.timeout(180))  # a first build included
            if is_async_test(item):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def dotnet_driver() -> AsyncIterator[ClientDriver]:
    driver = await ProcessDriver.start(*dotnet_driver_argv(CURRENT))
    yield driver
    await driver.exit()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node_driver() -> AsyncIterator[ClientDriver]:
    driver = await ProcessDriver.start(*node_driver_argv())
    yield driver
    await driver.exit()


@pytest.fixture(params=["dotnet", "javascript"])
def driver(request: pytest.FixtureRequest) -> ClientDriver:
    """An official client, .NET's and JavaScript's in turn."""
    name = "dotnet_driver" if request.param == "dotnet" else "node_driver"
    driver = request.getfixturevalue(name)
    assert isinstance(driver, ClientDriver)
    return driver


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest) -> HubProgram:
    """A chat hub by name, which test modules pass as an indirect parameter."""
    if request.param == "python":
        return python_hub()
    large = aspnetcore_hub(HUB_MAX=str(4 * 1024 * 1024))
    return large if request.param == "newtonsoft" else large.with_environment(HUB_STJ="1")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hub(program: HubProgram) -> AsyncIterator[HubServer]:
    """A hub that every test shares and leaves running."""
    async with running(program) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def own_hub(program: HubProgram) -> AsyncIterator[HubServer]:
    """A hub that the test may stop, kill and start again."""
    async with running(program) as server:
        yield server
