"""Official clients at a gateway that requires a key or a JSON Web Token, on https.

One process of each client has all its connections.
"""

import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from signalr_gateway.access.api_keys import key_hash, new_key
from signalr_gateway.serving.tls import CertificatePair, self_signed_pair
from tests.interop.builds import require
from tests.interop.drivers import (
    DrivenConnection,
    DriverError,
    ProcessDriver,
    dotnet_driver_argv,
    node_driver_argv,
)
from tests.interop.matrix.cells import TRANSPORTS
from tests.interop.servers import GatewayServer, HubServer, python_hub, running
from tests.interop.versions import CURRENT
from tests.jwt_bearer.tokens import signed

KEY = new_key()
SECRET = b"a secret of the tests with enough bytes for HS256"
FILE = """\
[authentication.jwt]
audience = "us"
issuer = "them"
secret_file = "secret"

[authentication.api_keys.ann]
hash = "{hash}"

[hubs.chatservice]
url = "{url}"

[hubs.chatservice.routes.add]
invoke_method = "Add"

[hubs.chatservice.routes.room]
invoke_method = "SendMessage"
receive_method = "ReceiveMessage"

[hubs.users]
url = "{users_url}"
connection = "per_user"

[hubs.users.routes.tell]
invoke_method = "Tell"
receive_method = "Told"
"""


def call(key: str, *arguments: Any, api: str = "chatservice") -> dict[str, Any]:
    return {"Api": api, "Key": key, "DataArray": list(arguments)}


@pytest.fixture(scope="module")
def pair() -> Iterator[CertificatePair]:
    require("openssl")
    with self_signed_pair() as pair:
        yield pair


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hub() -> AsyncIterator[HubServer]:
    async with running(python_hub()) as hub:
        yield hub


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(
    hub: HubServer, pair: CertificatePair, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GatewayServer]:
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "secret").write_bytes(SECRET)
    file = folder / "gateway.toml"
    values = {"hash": key_hash(KEY), "url": hub.url, "users_url": hub.token_url}
    file.write_text(FILE.format(**values), "utf-8")
    async with GatewayServer("run", str(file), pair=pair) as gateway:
        yield gateway


@dataclass(frozen=True)
class OfficialClient:
    """A client in another language. Its JSON Web Token uses the transport `token_transport`."""

    driver: ProcessDriver
    hub_protocols: Sequence[str]
    token_transport: str


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["dotnet", "node"])
async def client(
    pair: CertificatePair, request: pytest.FixtureRequest
) -> AsyncIterator[OfficialClient]:
    hub_protocols: Sequence[str]
    if request.param == "dotnet":
        trust, argv = "SSL_CERT_FILE", dotnet_driver_argv(CURRENT)
        hub_protocols, transport = ("json", "newtonsoft", "messagepack"), "WebSockets"
    else:
        trust, argv = "NODE_EXTRA_CA_CERTS", node_driver_argv()
        hub_protocols, transport = ("json", "messagepack"), "ServerSentEvents"
    driver = await ProcessDriver.start("/usr/bin/env", f"{trust}={pair.certificate}", *argv)
    yield OfficialClient(driver, hub_protocols, transport)
    await driver.exit()


async def test_a_key_over_https(gateway: GatewayServer, client: OfficialClient) -> None:
    """GW-39, GW-40: with the key a client calls and receives, without it 401."""
    url = gateway.url("/gatewayhub")
    for transport in TRANSPORTS:
        for hub_protocol in client.hub_protocols:
            if (transport, hub_protocol) == ("ServerSentEvents", "messagepack"):
                continue  # it carries text only
            options = {"transports": transport, "protocol": hub_protocol}
            await _use(await client.driver.connect(url, token=KEY, **options), f"{options}")
    for token in (None, KEY[:-1]):
        refused = await client.driver.connect(url, **({} if token is None else {"token": token}))
        with pytest.raises(DriverError, match="401"):
            await refused.start()


def json_web_token(secret: bytes = SECRET, **claims: Any) -> str:
    return signed(secret, **{"exp": int(time.time()) + 600, **claims})


async def test_a_json_web_token_over_https(
    gateway: GatewayServer, hub: HubServer, client: OfficialClient
) -> None:
    """GW-39, GW-55: the hub of `per_user` gets the token of the client, and its event comes back.

    Refused tokens are answered with 401, and do not reach the hub.
    """
    url, options = gateway.url("/gatewayhub"), {"transports": client.token_transport}
    token = json_web_token(sub=client.token_transport)  # a user of its own
    connection = await client.driver.connect(url, token=token, **options)
    await connection.on("Told", "object", "object")
    await connection.start()
    await connection.invoke("InvokeDownstreamHub", call("tell", api="users"))
    [arguments] = await connection.calls("Told", 1)
    received = arguments[0].plain
    user = token.partition(".")[0]  # as the hub knows it
    assert (json.loads(received) if isinstance(received, str) else received) == [user]
    await connection.stop()
    refused_tokens = (
        json_web_token(b"?" * 64),
        json_web_token(aud="others"),
        json_web_token(exp=int(time.time()) - 600),
    )
    for refused in refused_tokens:
        connection = await client.driver.connect(url, token=refused, **options)
        with pytest.raises(DriverError, match="401"):
            await connection.start()
    seen = {each for each, _, _ in hub.tokens()}
    assert token in seen
    assert not seen & set(refused_tokens)


async def _use(client: DrivenConnection, text: str) -> None:
    """Call through the gateway, and receive the event of a call."""
    await client.on("ReceiveMessage", "object", "object")
    await client.start()
    assert (await client.invoke("InvokeDownstreamHub", call("add", 1, 2))).plain == 3
    said = {"Name": "ann", "Message": text}
    await client.invoke("InvokeDownstreamHub", call("room", said))
    [arguments] = await client.calls("ReceiveMessage", 1)
    received = arguments[0].plain
    assert (json.loads(received) if isinstance(received, str) else received) == ["ann", text]
    await client.stop()
