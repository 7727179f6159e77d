"""A file that an option names must exist: `check` and `run` refuse the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from signalr_gateway.cli import main
from signalr_gateway.config.options import Option, options_of
from signalr_gateway.config.schema import File, HubTable

JWT = '[authentication.jwt]\nissuer = "i"\naudience = "a"\n'
OTHER = 'relay = true\ngateway_hub_url = "https://gateway.example/gatewayhub"\n[other_gateway]\n'
FILES = {
    "listen.certificate": '[listen]\ncertificate = "absent"\nkey = "{here}"\n',
    "listen.key": '[listen]\ncertificate = "{here}"\nkey = "absent"\n',
    "authentication.jwt.jwks_file": f'{JWT}jwks_file = "absent"\n',
    "authentication.jwt.secret_file": f'{JWT}secret_file = "absent"\n',
    "authentication.jwt.public_keys": f'{JWT}public_keys = ["absent"]\n',
    "other_gateway.key_file": f'{OTHER}key_file = "absent"\n',
    "other_gateway.ca_file": f'{OTHER}ca_file = "absent"\n',
    "hub.access_token_file": 'access_token_file = "absent"\n',
    "hub.receive_key_file": 'receive_key_file = "absent"\n',
    "hub.ca_file": 'ca_file = "absent"\n',
    "hub.client_certificate": 'client_certificate = "absent"\nclient_key = "absent"\n',
    "hub.client_key": 'client_certificate = "{here}"\nclient_key = "absent"\n',
}
HUB = '[hubs.h]\nurl = "https://hub.example/h"\n'


def paths_of(options: Iterable[Option], prefix: str = "") -> Iterator[str]:
    """The names of the options whose values are paths of files."""
    for option in options:
        name = f"{prefix}{option.name}"
        yield from paths_of(option.options, f"{name}.")
        if any((kind.item or kind).noun == "a path" for kind in option.kinds):
            yield name


def test_every_option_that_names_a_file() -> None:
    """Each has a case below."""
    found = {*paths_of(options_of(File)), *paths_of(options_of(HubTable), "hub.")}
    assert found == set(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_file_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, command: str
) -> None:
    """The error names the option and says why its file cannot be used."""
    path = tmp_path / "gateway.toml"
    lines = FILES[name].format(here=path)
    path.write_text(HUB + lines if name.startswith("hub.") else lines + HUB, encoding="utf-8")
    assert main([command, str(path)]) == 2
    error = capsys.readouterr().err
    assert name.rpartition(".")[2] in error
    assert "o such file" in error


@pytest.mark.parametrize(
    ("content", "reason"), [("", "it is not JSON"), ('{"keys": []}', "it has no key that verifies")]
)
def test_a_key_set_without_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, reason: str
) -> None:
    """GW-39: no token could be accepted."""
    (tmp_path / "keys.json").write_text(content, encoding="utf-8")
    path = tmp_path / "gateway.toml"
    path.write_text(f'{JWT}jwks_file = "keys.json"\n{HUB}', encoding="utf-8")
    assert main(["check", str(path)]) == 2
    assert reason in capsys.readouterr().err
