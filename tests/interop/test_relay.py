"""Two gateways as processes: the first one relays the events of the real hub to the second one."""

import re
from pathlib import Path

import pytest

from signalr_gateway.access.api_keys import key_hash, new_key
from tests.interop.drivers import ClientDriver, DriverError
from tests.interop.servers import GatewayServer, HubServer
from tests.support.checkout import ROOT
from tests.support.documents import code_blocks
from tests.support.waiting import until

HELLO = '[{"name":"John","message":"Hello!"}]'


@pytest.mark.parametrize("program", ["newtonsoft"], indirect=True)
async def test_a_dotnet_client_behind_the_second_gateway(
    dotnet_driver: ClientDriver, hub: HubServer, tmp_path: Path
) -> None:
    """GW-56, GW-57: it gets the events of the hub, and those that a .NET client relays.

    The files of the gateways are those of the documentation.
    """
    key = new_key()
    second, first = code_blocks(ROOT / "docs" / "relay.md", "toml")
    (tmp_path / "relay.key").write_text(key)
    (tmp_path / "second.toml").write_text(re.sub("sha256:0+", key_hash(key), second))
    async with GatewayServer("run", str(tmp_path / "second.toml")) as clients:
        first = first.replace("https://gateway.example", clients.url(""))
        first = first.replace("http://127.0.0.1:8081/chathub", hub.url)
        (tmp_path / "first.toml").write_text(first)
        async with GatewayServer("run", str(tmp_path / "first.toml")) as relay:
            await until(lambda: any("relay: connected" in line for line in relay.output))
            client = await dotnet_driver.connect(clients.url("/GatewayHub"))
            await client.on("ReceiveMessage", "object", "object")
            await client.start()
            for _ in range(2):
                assert (await relay.post("chatservice", "room", HELLO)).status == 200

            # A gateway of the original has the key in its URL, and sends the same arguments.
            original = await dotnet_driver.connect(clients.url(f"/GatewayHub?access_token={key}"))
            await original.start()
            route = {"api": "chatservice", "key": "room", "receiveKey": None}
            receive = ("Receive", route, {"receiveMethod": "Spoofed", "broadcastType": 0})
            await original.invoke(*receive, ["John", "Bye!"], {})
            with pytest.raises(DriverError, match="unauthorized"):
                await client.invoke(*receive, ["John", "Spoofed!"], {})

            calls = await client.calls("ReceiveMessage", 3)
            assert [[argument.plain for argument in arguments] for arguments in calls] == [
                [["John", "Hello!"], {}],
                [["John", "Hello!"], {}],
                [["John", "Bye!"], {}],
            ]
            await original.stop()
            await client.stop()
        output = "\n".join(relay.output + clients.output)
    for secret in (key, "Hello!", "Spoofed!"):
        assert secret not in output
