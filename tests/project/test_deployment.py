"""The configurations in docs/deployment.md fit the gateway."""

import re
from configparser import ConfigParser
from typing import Final

import pytest

from signalr_gateway.downstream.hub import DISCONNECT_TIMEOUT
from signalr_gateway.orchestration.limits import DEFAULT_LIMITS
from signalr_gateway.serving.open_files import RESERVE
from signalr_gateway.serving.stopping import STOP_TIMEOUT
from tests.support.checkout import ROOT
from tests.support.documents import code_blocks, prose

DEPLOYMENT: Final = ROOT / "docs" / "deployment.md"
OPERATING: Final = ROOT / "docs" / "operating.md"
LONGEST_STOP: Final = 13.0


def test_a_stop_takes_no_longer_than_documented() -> None:
    assert STOP_TIMEOUT + DISCONNECT_TIMEOUT < LONGEST_STOP
    assert f"ends within {LONGEST_STOP:g} seconds" in prose(OPERATING)
    assert f"takes up to {LONGEST_STOP:g} seconds" in DEPLOYMENT.read_text(encoding="utf-8")


def test_the_unit_of_systemd() -> None:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    unit, _ = code_blocks(DEPLOYMENT, "ini")
    parser.read_string(unit)
    service = parser["Service"]
    assert float(service["TimeoutStopSec"]) > LONGEST_STOP
    assert int(service["LimitNOFILE"]) >= DEFAULT_LIMITS.maximum_connections + RESERVE
    assert service["RestartPreventExitStatus"] == "2"


def test_the_socket_unit_of_systemd() -> None:
    """It passes one socket that takes connections; systemd would otherwise accept them itself."""
    _, unit = code_blocks(DEPLOYMENT, "ini")
    parser = ConfigParser()
    parser.read_string(unit)
    assert parser["Socket"]["ListenStream"].startswith("/")
    assert parser["Socket"].get("Accept", "no") == "no"


def test_a_container_is_not_killed_while_it_stops() -> None:
    times = re.findall(r"(?:--time |stop_grace_period: )(\d+)", prose(DEPLOYMENT))
    assert [int(each) > LONGEST_STOP for each in times] == [True, True]


def test_the_container_runs_the_command() -> None:
    [source] = code_blocks(DEPLOYMENT, "dockerfile")
    assert 'ENTRYPOINT ["signalr-gateway"]' in source
    assert 'CMD ["run", ' in source


@pytest.mark.parametrize(
    ("status", "is_in_rotation"), [("ok", True), ("degraded", True), ("draining", False)]
)
def test_the_health_check_of_haproxy(status: str, is_in_rotation: bool) -> None:
    [source] = code_blocks(DEPLOYMENT, "haproxy")
    found = re.search(r"expect rstring (\S+)$", source, re.MULTILINE)
    assert found is not None
    pattern = found[1].replace("\\", "")
    body = f'{{"status":"{status}","hubs":{{}}}}'
    assert bool(re.search(pattern, body)) is is_in_rotation


def test_the_pod_of_kubernetes() -> None:
    [source] = code_blocks(DEPLOYMENT, "yaml")
    [grace] = re.findall(r"terminationGracePeriodSeconds: (\d+)", source)
    [pause] = re.findall(r'\[sleep, "(\d+)"\]', source)
    assert int(grace) > LONGEST_STOP + int(pause)
    [port] = re.findall(r"containerPort: (\d+)", source)
    assert re.findall(r"httpGet: (.*)", source) == [f"{{ path: /healthz, port: {port} }}"] * 2
