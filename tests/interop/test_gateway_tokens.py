"""Official clients at a gateway that requires a key, on https: each transport and hub protocol.

One process of each client has all its connections.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
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
from tests.interop.servers import GatewayServer, python_hub, running
from tests.interop.versions import CURRENT

KEY = new_key()
FILE = """\
[authentication.api_keys.ann]
hash = "{hash}"

[hubs.chatservice]
url = "{url}"

[hubs.chatservice.routes.add]
invoke_method = "Add"

[hubs.chatservice.routes.room]
invoke_method = "SendMessage"
receive_method = "ReceiveMessage"
"""


def call(key: str, *arguments: Any) -> dict[str, Any]:
    return {"Api": "chatservice", "Key": key, "DataArray": list(arguments)}


@pytest.fixture(scope="module")
def pair() -> Iterator[CertificatePair]:
    require("openssl")
    with self_signed_pair() as pair:
        yield pair


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(
    pair: CertificatePair, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GatewayServer]:
    async with running(python_hub()) as hub:
        file = tmp_path_factory.mktemp("tokens") / "gateway.toml"
        file.write_text(FILE.format(hash=key_hash(KEY), url=hub.url), "utf-8")
        async with GatewayServer("run", str(file), pair=pair) as gateway:
            yield gateway


@pytest.mark.parametrize(
    ("argv", "trust", "hub_protocols"),
    [
        (
            lambda: dotnet_driver_argv(CURRENT),
            "SSL_CERT_FILE",
            ("json", "newtonsoft", "messagepack"),
        ),
        (node_driver_argv, "NODE_EXTRA_CA_CERTS", ("json", "messagepack")),
    ],
    ids=["dotnet", "node"],
)
async def test_a_key_over_https(
    gateway: GatewayServer,
    pair: CertificatePair,
    argv: Callable[[], tuple[str, ...]],
    trust: str,
    hub_protocols: tuple[str, ...],
) -> None:
    """GW-39, GW-40: with the key a client calls and receives, without it 401."""
    url = gateway.url("/gatewayhub")
    driver = await ProcessDriver.start("/usr/bin/env", f"{trust}={pair.certificate}", *argv())
    try:
        for transport in TRANSPORTS:
            for hub_protocol in hub_protocols:
                if (transport, hub_protocol) == ("ServerSentEvents", "messagepack"):
                    continue  # it carries text only
                options = {"transports": transport, "protocol": hub_protocol}
                await _use(await driver.connect(url, token=KEY, **options), f"{options}")
        for token in (None, KEY[:-1]):
            refused = await driver.connect(url, **({} if token is None else {"token": token}))
            with pytest.raises(DriverError, match="401"):
                await refused.start()
    finally:
        await driver.exit()


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
