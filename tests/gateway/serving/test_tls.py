"""GW-5: https with a certificate and a key, for callers and clients, and to hubs."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from protocol import (
    HttpTransportType,
    Hub,
    HubConnection,
    HubConnectionBuilder,
    hub_method,
    map_hub,
)
from protocol.http_transport_type import TRANSPORT_NAMES
from signalr_gateway.config.file import load_config
from signalr_gateway.downstream.connection import HubState
from signalr_gateway.serving.app import GATEWAY, create_app
from signalr_gateway.serving.listener import serving
from signalr_gateway.serving.tls import (
    CertificatePair,
    UnusableCertificate,
    self_signed_pair,
    server_context,
)
from tests.gateway.gateway_clients import Inbox
from tests.support.waiting import until


class SecureHub(Hub):
    @hub_method
    async def say(self, text: str) -> str:
        await self.clients.all.send("Said", text)
        return text


def trusting(pair: CertificatePair) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=pair.certificate)


@dataclass
class SecureGateway:
    """A gateway on https in front of a hub on https."""

    url: str
    trust: ssl.SSLContext
    app: web.Application

    def client(self, host: str = "127.0.0.1", **more: Any) -> HubConnection:
        url = f"{self.url}/gatewayhub".replace("127.0.0.1", host)
        return HubConnectionBuilder().with_url(url, ssl=self.trust, **more).build()

    async def post(self, body: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{self.url}/api/Gateway/hub/secure/say",
                data=body,
                headers={"Content-Type": "application/json"},
                ssl=self.trust,
            ) as answer,
        ):
            return answer.status, await answer.text()


def content(url: str, lines: str) -> str:
    return (
        f'[hubs.secure]\nurl = "{url}/hub"\n{lines}\n'
        '[hubs.secure.routes.say]\ninvoke_method = "Say"\nreceive_method = "Said"\n'
    )


@asynccontextmanager
async def secure_gateway(
    folder: Path, pair: CertificatePair, lines: str
) -> AsyncIterator[SecureGateway]:
    """`lines` are those of the hub's table beside its URL."""
    hub_app = web.Application()
    map_hub(hub_app, "/hub", SecureHub)
    async with serving(hub_app, "127.0.0.1", 0, server_context(pair)) as hub_url:
        assert hub_url.startswith("https://127.0.0.1:")
        file = folder / "gateway.toml"
        file.write_text(content(hub_url, lines), encoding="utf-8")
        app = create_app(load_config(file).orchestrator)
        async with serving(app, "127.0.0.1", 0, server_context(pair)) as url:
            yield SecureGateway(url, trusting(pair), app)


@pytest.mark.parametrize("trust", ["ca_file", "verify_tls"])
async def test_https_on_both_sides(
    tmp_path: Path, certificate: CertificatePair, trust: str
) -> None:
    """A hub behind its own CA, or one that is not verified; clients by name and by address."""
    lines = {
        "ca_file": f"ca_file = '{certificate.certificate}'",
        "verify_tls": "verify_tls = false",
    }[trust]
    async with secure_gateway(tmp_path, certificate, lines) as gateway:
        clients = [gateway.client(host) for host in ("127.0.0.1", "localhost")]
        inboxes = [Inbox(client) for client in clients]
        async with clients[0], clients[1]:
            assert await gateway.post('["Hello!"]') == (200, '"Hello!"')
            for inbox in inboxes:
                assert await inbox.take() == ("Said", b'[["Hello!"],{}]')


@pytest.mark.parametrize(
    "transport", [pytest.param(it, id=name) for it, name in TRANSPORT_NAMES.items()]
)
async def test_large_events_pass_over_tls(
    tmp_path: Path, certificate: CertificatePair, transport: HttpTransportType
) -> None:
    """More than the buffers of TLS and sockets hold, in order, over each transport."""
    lines = f"ca_file = '{certificate.certificate}'"
    async with secure_gateway(tmp_path, certificate, lines) as gateway:
        client = gateway.client(transports=transport)
        inbox = Inbox(client)
        async with client:
            texts = [str(number) * 20_000 for number in range(10)]
            for text in texts:
                assert (await gateway.post(f'["{text}"]'))[0] == 200
            for text in texts:
                assert await inbox.take() == ("Said", f'[["{text}"],{{}}]'.encode())


async def test_a_slow_client_is_closed_over_tls_too(
    tmp_path: Path, certificate: CertificatePair
) -> None:
    """GW-24: what waits in the buffers of TLS counts as well."""
    async with (
        secure_gateway(tmp_path, certificate, "verify_tls = false") as gateway,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{gateway.url}/gatewayhub", ssl=gateway.trust) as slow,
    ):
        hub = gateway.app[GATEWAY].hub
        assert hub is not None
        await slow.send_str('{"protocol":"json","version":1}\x1e')
        await until(lambda: hub.context.connection_count == 1)
        said = 0
        while hub.context.connection_count == 1:  # the slow client does not read
            assert (await gateway.post(f'["{"x" * 30_000}"]'))[0] == 200
            said += 1
            assert said < 1000


async def test_a_hub_whose_certificate_is_not_trusted_is_not_connected(
    tmp_path: Path, certificate: CertificatePair
) -> None:
    async with secure_gateway(tmp_path, certificate, "") as gateway:
        downstream = gateway.app[GATEWAY].downstreams["secure"]
        await until(lambda: downstream.status.last_error is not None)
        assert downstream.status.state is HubState.CONNECTING
        assert "certificate" in (downstream.status.last_error or "").lower()


async def test_who_does_not_trust_the_certificate_does_not_get_in(
    tmp_path: Path, certificate: CertificatePair
) -> None:
    async with (
        secure_gateway(tmp_path, certificate, "verify_tls = false") as gateway,
        aiohttp.ClientSession() as session,
    ):
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{gateway.url}/healthz")
        host, port = gateway.url.removeprefix("https://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")  # no TLS
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert (await gateway.post('["x"]'))[0] == 200


async def test_stopping_closes_secure_connections_in_good_order(
    tmp_path: Path, certificate: CertificatePair
) -> None:
    closed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    async with secure_gateway(tmp_path, certificate, "verify_tls = false") as gateway:
        client = gateway.client()
        client.on_closed(closed.set_result)
        await client.start()
    assert str(await closed) == "The server closed the connection."


# --- pairs that cannot be used -------------------------------------------------------------------


@pytest.fixture(scope="session")
def other_key() -> Any:
    if shutil.which("openssl") is None:
        pytest.skip("needs the program `openssl` on PATH")
    with self_signed_pair() as pair:
        yield pair.key


def encrypted(key: Path, target: Path) -> Path:
    openssl = shutil.which("openssl")
    assert openssl is not None
    subprocess.run(
        [
            *(openssl, "rsa", "-aes128", "-passout", "pass:hush-hush"),
            *("-in", str(key), "-out", str(target)),
        ],
        check=True,
        capture_output=True,
    )
    return target


def test_a_pair_that_does_not_fit(
    tmp_path: Path, certificate: CertificatePair, other_key: Path
) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate\n", encoding="utf-8")
    missing = tmp_path / "missing.pem"
    locked = encrypted(certificate.key, tmp_path / "locked.pem")
    good, key = certificate.certificate, certificate.key
    for pair, reason in (
        (CertificatePair(missing, key), f"cannot read the certificate '{missing}': No such file"),
        (CertificatePair(good, missing), f"cannot read the key '{missing}': No such file"),
        (CertificatePair(tmp_path, key), f"cannot read the certificate '{tmp_path}': Is a direc"),
        (CertificatePair(text, key), f"the certificate '{text}' is not a certificate in PEM f"),
        (CertificatePair(key, key), f"the certificate '{key}' is not a certificate in PEM f"),
        (CertificatePair(good, text), f"the key '{text}' is not a private key in PEM format"),
        (CertificatePair(good, good), f"the key '{good}' is not a private key in PEM format"),
        (CertificatePair(good, other_key), f"the key '{other_key}' does not belong to the cert"),
        (CertificatePair(good, locked), f"the key '{locked}' is encrypted; the gateway needs one"),
    ):
        with pytest.raises(UnusableCertificate) as caught:
            server_context(pair)
        assert str(caught.value).startswith(reason)
        assert "\n" not in str(caught.value)


# --- the self-signed pair ------------------------------------------------------------------------


def test_the_self_signed_pair_is_private_and_deleted() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the program `openssl` on PATH")
    with self_signed_pair() as pair:
        folder = pair.certificate.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert pair.key.stat().st_mode & 0o077 == 0
    assert not folder.exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_self_signed_pair_is_trusted_by_the_strict(
    certificate: CertificatePair, host: str
) -> None:
    """Newer releases of Python and OpenSSL ask for all that RFC 5280 asks for."""
    context = trusting(certificate)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        ends = (
            server_context(certificate).wrap_socket(
                left, server_side=True, do_handshake_on_connect=False
            ),
            context.wrap_socket(right, server_hostname=host, do_handshake_on_connect=False),
        )
        with ends[0], ends[1]:
            waiting = list(ends)
            while waiting:
                waiting = [end for end in waiting if not shaken(end)]
            names = ends[1].getpeercert() or {}
            assert names["subjectAltName"] == (
                ("DNS", "localhost"),
                ("IP Address", "127.0.0.1"),
            )


def shaken(end: ssl.SSLSocket) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def test_without_openssl_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UnusableCertificate, match=r"openssl, which is not on PATH; install it"):
        self_signed_pair().__enter__()


def test_an_openssl_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "openssl"
    fake.write_text("#!/bin/sh\necho unknown option -x509 >&2\necho >&2\nexit 1\n", "utf-8")
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(UnusableCertificate, match=r"a certificate: unknown option -x509$"):
        self_signed_pair().__enter__()
