"""Peers that several test modules share: driver processes, and chat hubs that nobody kills.

All of these tests run in one event loop, that of the session, because the processes outlive a test.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.builds import dotnet_program, node_program, require
from tests.interop.drivers import ClientDriver
from tests.interop.servers import HubProgram, HubServer, aspnetcore_hub, python_hub
from tests.interop.versions import CLIENTS, CURRENT


@pytest.fixture(scope="session")
def dotnet_driver_argv() -> tuple[str, ...]:
    """How the .NET driver is started."""
    program = dotnet_program(
        "client-driver", SignalRVersion=CURRENT, NewtonsoftVersion=CLIENTS[CURRENT]
    )
    return require("dotnet"), str(program)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def dotnet_driver(dotnet_driver_argv: tuple[str, ...]) -> AsyncIterator[ClientDriver]:
    driver = await ClientDriver.start(*dotnet_driver_argv)
    yield driver
    await driver.exit()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node_driver() -> AsyncIterator[ClientDriver]:
    driver = await ClientDriver.start(require("node"), str(node_program() / "driver.mjs"))
    yield driver
    await driver.exit()


@pytest.fixture(params=["dotnet", "javascript"])
def driver(request: pytest.FixtureRequest) -> ClientDriver:
    name = "dotnet_driver" if request.param == "dotnet" else "node_driver"
    driver = request.getfixturevalue(name)
    assert isinstance(driver, ClientDriver)
    return driver


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest) -> HubProgram:
    """A chat hub by name; test modules say which by indirect parameters."""
    if request.param == "python":
        return python_hub()
    large = aspnetcore_hub(HUB_MAX=str(4 * 1024 * 1024))
    return large if request.param == "newtonsoft" else large.with_environment(HUB_STJ="1")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hub(program: HubProgram) -> AsyncIterator[HubServer]:
    """A hub that every test shares and leaves running."""
    server = HubServer(program)
    await server.start()
    yield server
    await server.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def own_hub(program: HubProgram) -> AsyncIterator[HubServer]:
    """A hub that the test may stop, kill and start again."""
    server = HubServer(program)
    await server.start()
    yield server
    await server.kill()
