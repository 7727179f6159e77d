"""The client of the gateway's documentation, in every release, connected to our gateway.

Behind the gateway is the real ASP.NET Core hub, once with Newtonsoft's JSON protocol, as in the
documentation, and once with System.Text.Json's. A .NET client of each hub records the events of
that hub. The gateway's clients must receive the same events (GW-14).
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from signalr_gateway.serving.tls import CertificatePair, self_signed_pair
from tests.interop.builds import dotnet_program, require
from tests.interop.drivers import ClientDriver, DrivenConnection
from tests.interop.processes import LineProcess
from tests.interop.servers import (
    GatewayServer,
    aspnetcore_hub,
    running,
    secure_aspnetcore_hub,
)
from tests.interop.versions import CLIENTS, CURRENT, build_properties

TYPES = {
    "newtonsoft": ("Newtonsoft.Json.Linq.JArray", "Newtonsoft.Json.Linq.JObject"),
    "stj": ("System.Text.Json.JsonElement", "System.Text.Json.JsonElement"),
    "messagepack": ("System.Object[]", "System.Object[]"),
}
"""The types of the arguments of the documentation's handler, by hub protocol."""

TRANSPORTS = ("WebSockets", "ServerSentEvents", "LongPolling")

MESSAGES = {
    "chatservice": {"name": "John", "message": "Hello!"},
    "strictservice": {"name": "Zoë", "message": 'to <all> & "everybody" 😀'},
}
"""The text of the message for each hub, by its api key."""


@dataclass
class Scene:
    """The gateway, and a client of each hub behind it, by api key."""

    gateway: GatewayServer
    witnesses: dict[str, DrivenConnection]

    async def say(self, api: str) -> list[str]:
        """POSTs the message of that hub; the JSON texts of the arguments that it broadcasts."""
        witness = self.witnesses[api]
        earlier = len(witness.events.entries)
        answer = await self.gateway.post(api, "room", json.dumps([MESSAGES[api]]))
        assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
        arguments = (await witness.calls("ReceiveMessage", earlier + 1))[earlier]
        texts = [argument.value for argument in arguments]
        assert [json.loads(text) for text in texts] == list(MESSAGES[api].values())
        return texts


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def scene(dotnet_driver: ClientDriver) -> AsyncIterator[Scene]:
    async with (
        running(aspnetcore_hub()) as newtonsoft,
        running(aspnetcore_hub(HUB_STJ="1")) as system_text_json,
    ):
        hubs = {"chatservice": newtonsoft, "strictservice": system_text_json}
        witnesses = {}
        for api, hub in hubs.items():
            witnesses[api] = await dotnet_driver.connect(hub.url)
            await witnesses[api].on("ReceiveMessage", "JsonElement", "JsonElement")
            await witnesses[api].start()
        async with GatewayServer.before(hubs, "documented") as gateway:
            yield Scene(gateway, witnesses)


def expected_lines(protocol: str, api: str, texts: list[str]) -> list[str]:
    """The line that the documented client prints for an event with these JSON texts as
    arguments."""
    arguments, state = TYPES[protocol]
    if protocol == "stj":
        array = f"[{','.join(texts)}]"  # an element keeps its exact text
        return [f"GOT 2 {arguments}={array} {state}={{}} System.Object"]
    name, message = values = list(MESSAGES[api].values())
    if protocol == "messagepack":
        return [f"GOT 2 {arguments}=[{name},{message}] {state}=[] System.Object"]
    array = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return [f"GOT 2 {arguments}={array} {state}={{}} System.Object", f"SAYS {name}: {message}"]


@pytest.mark.parametrize("protocol", ["newtonsoft", "stj"])
@pytest.mark.parametrize("version", CLIENTS)
async def test_it_receives_what_the_hubs_broadcast(
    scene: Scene, version: str, protocol: str
) -> None:
    program = documented_client(version)
    urls = [scene.gateway.url(path) for path in ("/gatewayhub", "/GatewayHub")]
    await receives(
        scene,
        [await LineProcess.start(require("dotnet"), str(program), url, protocol) for url in urls],
        protocol,
    )


def documented_client(version: str) -> Path:
    return dotnet_program("documented-client", **build_properties(version))


async def receives(scene: Scene, clients: list[LineProcess], protocol: str) -> None:
    """Check that these clients print exactly the messages of the hubs."""
    await asyncio.gather(*(client.line("^CONNECTED$") for client in clients))
    expected = ["CONNECTED"]
    for events, api in enumerate(MESSAGES, 1):
        expected += expected_lines(protocol, api, await scene.say(api))
        await asyncio.gather(*(client.line("^GOT ", events) for client in clients))
    for client in clients:
        assert await client.end_input() == 0
        assert client.lines.entries == [*expected, "CLOSED null"]


@pytest.mark.parametrize(
    ("transport", "protocol"),
    [
        *((transport, "newtonsoft") for transport in TRANSPORTS),
        *((transport, "stj") for transport in TRANSPORTS),
        ("WebSockets", "messagepack"),
        ("LongPolling", "messagepack"),
    ],
)
async def test_it_receives_over_each_transport(scene: Scene, transport: str, protocol: str) -> None:
    """GW-13, GW-14: what the original's clients print, whatever they are connected over."""
    argv = (require("dotnet"), str(documented_client(CURRENT)), scene.gateway.url("/GatewayHub"))
    await receives(scene, [await LineProcess.start(*argv, protocol, transport)], protocol)


# --- https, as in the documentation's URLs (GW-5, GW-13) -----------------------------------------

SECURE = """\
gateway_hub_url = "https://localhost:44360/GatewayHub"

[hubs.chatservice]
url = "{url}"
ca_file = "{certificate}"

[hubs.chatservice.routes.room]
invoke_method = "SendMessage"
receive_method = "ReceiveMessage"
receive_parameter_types = ["string", "string"]
"""


@pytest.fixture(scope="module")
def pair() -> Iterator[CertificatePair]:
    require("openssl")
    with self_signed_pair() as pair:
        yield pair


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secure_gateway(
    pair: CertificatePair, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GatewayServer]:
    """The gateway of a TOML file on https, before the real hub on https."""
    async with running(secure_aspnetcore_hub(pair)) as hub:
        assert hub.url.startswith("https://")
        file = tmp_path_factory.mktemp("secure") / "gateway.toml"
        file.write_text(SECURE.format(url=hub.url, certificate=pair.certificate), "utf-8")
        async with GatewayServer("run", str(file), pair=pair) as gateway:
            yield gateway


async def start_client(program: Path, url: str, protocol: str, trusted: object) -> LineProcess:
    """The documented client, unchanged.

    Its environment alone decides which certificates it trusts.
    """
    return await LineProcess.start(
        require("dotnet"), str(program), url, protocol, env={"SSL_CERT_FILE": str(trusted)}
    )


@pytest.mark.parametrize("protocol", ["newtonsoft", "stj"])
@pytest.mark.parametrize("version", CLIENTS)
async def test_it_receives_over_https(
    secure_gateway: GatewayServer, pair: CertificatePair, version: str, protocol: str
) -> None:
    program = documented_client(version)
    by_address = secure_gateway.url("/GatewayHub")
    urls = (by_address, by_address.replace("127.0.0.1", "localhost"))
    clients = [await start_client(program, url, protocol, pair.certificate) for url in urls]
    await asyncio.gather(*(client.line("^CONNECTED$") for client in clients))
    message = json.dumps([MESSAGES["chatservice"]])
    assert (await secure_gateway.post("chatservice", "room", message)).status == 200
    await asyncio.gather(*(client.line("^GOT ") for client in clients))
    expected = expected_lines(protocol, "chatservice", ['"John"', '"Hello!"'])
    for client in clients:
        assert await client.end_input() == 0
        assert client.lines.entries == ["CONNECTED", *expected, "CLOSED null"]


async def test_it_does_not_trust_a_stranger(secure_gateway: GatewayServer) -> None:
    """What it is told to trust in the test above is what lets it in there."""
    program = documented_client(CURRENT)
    client = await start_client(program, secure_gateway.url("/GatewayHub"), "stj", os.devnull)
    await client.line("AuthenticationException")
    await client.kill()
    assert "CONNECTED" not in client.lines.entries
