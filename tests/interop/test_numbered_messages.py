"""10 000 numbered messages each way through 100 cuts of the link, with stateful reconnect."""

import asyncio
import random
from typing import Final

from protocol import HubConnectionBuilder
from protocol.testing import TcpLink
from tests.interop.drivers import (
    DrivenConnection,
    ProcessDriver,
    dotnet_driver_argv,
    node_driver_argv,
)
from tests.interop.journal import PATIENCE
from tests.interop.python_client import Diary
from tests.interop.servers import HubServer, aspnetcore_hub, python_hub, running
from tests.interop.versions import CLIENTS
from tests.support.waiting import until

CUTS: Final = 100
MESSAGES: Final = 100
"""The number of messages each way for each cut."""
BUFFER: Final = 4_000_000
"""Bytes. Acks come once per second, so a small buffer would limit the rate of messages."""
LAST_BYTE: Final = 4000
"""The link is cut within this number of bytes; a hundred messages are more."""


async def talk(
    connection: DrivenConnection, link: TcpLink, dice: random.Random, *, cuts_events: bool
) -> None:
    """Sends numbers both ways, and cuts the link at a random byte for each hundred of them.

    Without ``cuts_events``, the byte is one to the server. If a message to a .NET client is cut,
    this client reads the next socket as its continuation, and fails, also with a server of ASP.NET
    Core. The JavaScript client drops the cut message.
    """
    directions = [link.to_server, link.to_client] if cuts_events else [link.to_server]
    for first in range(0, CUTS * MESSAGES, MESSAGES):
        await connection.invoke("Nothing")  # the last cut is over: clients try only once to resume
        opened = link.opened
        dice.choice(directions).cut_after(dice.randrange(1, LAST_BYTE))
        await asyncio.gather(
            connection.send_numbers("Note", first, MESSAGES),
            connection.invoke("SendNumbers", first, MESSAGES),
        )
        await reopened(link, opened)


async def reopened(link: TcpLink, opened: int) -> None:
    """Waits until more than this number of connections were opened."""
    async with asyncio.timeout(PATIENCE):
        await until(lambda: link.opened > opened, interval=0.001)


async def check(argv: tuple[str, ...], hub: HubServer, seed: int) -> None:
    driver = await ProcessDriver.start(*argv)
    async with TcpLink(hub.url) as link:
        connection = await driver.connect(link.url, transports="WebSockets", stateful=BUFFER)
        await connection.tally("ReceiveNumber", CUTS * MESSAGES)
        connection_id = await connection.start()
        await talk(connection, link, random.Random(seed), cuts_events=argv == node_driver_argv())
        assert await connection.tallied() == (CUTS * MESSAGES, [])
        noted = await connection.invoke("Noted")
        assert noted.plain == [CUTS * MESSAGES]
        assert (await connection.invoke("ConnectionId")).plain == connection_id
        assert connection.kinds() == ["tallied"]
    await driver.exit()


async def test_foreign_clients_and_our_server() -> None:
    """SR-4, SR-5, SR-13, SR-17: no number is lost, none arrives twice, and all are in order."""
    programs = [node_driver_argv(), *(dotnet_driver_argv(version) for version in CLIENTS)]
    program = python_hub().with_environment(HUB_STATEFUL=str(BUFFER))
    async with running(program) as hub, asyncio.TaskGroup() as group:
        for seed, argv in enumerate(programs):
            group.create_task(check(argv, hub, seed))


async def test_our_client_and_aspnetcore() -> None:
    """SR-4, SR-5, SR-13, SR-17: no number is lost, none arrives twice, and all are in order.

    The link is cut at a byte of either direction, also within a message. The test makes exceptions
    for two properties of this hub:

    - If a cut falls into the messages that the client sends again, the hub may read the next socket
      as the continuation of the cut message, and ends the connection. So the test waits for the end
      of the last cut.
    - While its buffer is full, the hub waits for Acks (SR-8). So its buffer is larger than the
      default.
    """
    dice = random.Random(0)
    program = aspnetcore_hub(HUB_STATEFUL=str(BUFFER))
    async with running(program) as hub, TcpLink(hub.url) as link:
        builder = HubConnectionBuilder().with_url(link.url)
        connection = builder.with_stateful_reconnect(buffer_size=BUFFER).build()
        received: list[int] = []
        connection.on("ReceiveNumber")(received.append)
        diary = Diary(connection)
        async with connection:
            connection_id = connection.connection_id
            for first in range(0, CUTS * MESSAGES, MESSAGES):
                await connection.invoke("Nothing")  # the last cut is over
                opened = link.opened
                direction = dice.choice([link.to_server, link.to_client])
                direction.cut_after(dice.randrange(1, LAST_BYTE))
                answer = asyncio.create_task(connection.invoke("SendNumbers", first, MESSAGES))
                for number in range(first, first + MESSAGES):
                    await connection.send("Note", number)
                await answer
                await reopened(link, opened)
            assert await connection.invoke("Noted") == [CUTS * MESSAGES]
            assert await connection.invoke("ConnectionId") == connection_id
            assert received == [*range(CUTS * MESSAGES)]
            assert diary.changes.entries == []
            assert link.opened > CUTS
