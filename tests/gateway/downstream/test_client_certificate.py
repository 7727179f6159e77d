"""A hub that demands a certificate of its client, and files that cannot be used for it."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from aiohttp import web

from protocol import Hub, NegotiationError, hub_method, map_hub
from signalr_gateway.config.file import ConfigError, load_config
from signalr_gateway.downstream.building import build_connection
from signalr_gateway.serving.listener import serving
from signalr_gateway.serving.tls import CertificatePair, server_context


class EchoHub(Hub):
    @hub_method
    def echo(self, value: int) -> int:
        return value


@pytest.fixture(scope="module")
def client_pair(
    certificate: CertificatePair, tmp_path_factory: pytest.TempPathFactory
) -> CertificatePair:
    """A pair of the gateway; `certificate` is that of the hub, and finds out about openssl."""
    folder = tmp_path_factory.mktemp("client")
    pair = CertificatePair(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=gateway"),
            *("-keyout", str(pair.key), "-out", str(pair.certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return pair


def written(folder: Path, url: str, lines: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(f'[hubs.echo]\nurl = "{url}"\n{lines}', encoding="utf-8")
    return path


@pytest.mark.parametrize("verification", ["ca_file", "verify_tls"])
async def test_the_gateway_shows_its_certificate(
    tmp_path: Path, certificate: CertificatePair, client_pair: CertificatePair, verification: str
) -> None:
    context = server_context(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client_pair.certificate)
    app = web.Application()
    map_hub(app, "/echo", EchoHub)
    trust = {
        "ca_file": f"ca_file = '{certificate.certificate}'\n",
        "verify_tls": "verify_tls = false\n",
    }[verification]
    pair = f"client_certificate = '{client_pair.certificate}'\nclient_key = '{client_pair.key}'\n"
    async with serving(app, "127.0.0.1", 0, context) as url:
        config = load_config(written(tmp_path, f"{url}/echo", trust + pair))
        async with build_connection(config.orchestrator.hubs["echo"]) as connection:
            assert await connection.invoke("Echo", 5) == 5
        config = load_config(written(tmp_path, f"{url}/echo", trust))
        with pytest.raises(NegotiationError):
            await build_connection(config.orchestrator.hubs["echo"]).start()


def test_files_that_cannot_be_used(tmp_path: Path, certificate: CertificatePair) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate", encoding="utf-8")
    cases = [
        (certificate.certificate, None, "client_certificate: needs client_key as well"),
        (None, certificate.key, "client_key: needs client_certificate as well"),
        (tmp_path / "no", certificate.key, "client_certificate: cannot be read: No such file"),
        (certificate.certificate, tmp_path / "no", "client_key: cannot be read: No such file"),
        (text, certificate.key, "client_certificate: must be a certificate in PEM format"),
        (certificate.certificate, text, "client_certificate: must be a certificate in PEM"),
    ]
    for pem, key, problem in cases:
        lines = "" if pem is None else f"client_certificate = '{pem}'\n"
        lines += "" if key is None else f"client_key = '{key}'\n"
        with pytest.raises(ConfigError) as caught:
            load_config(written(tmp_path, "https://h/hub", lines))
        assert problem in str(caught.value)
