"""docs/compatibility.md names the releases that the tests use."""

import json
from typing import Final

from tests.interop.versions import CLIENTS
from tests.support.checkout import ROOT

TEXT: Final = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")


def test_dotnet_clients() -> None:
    *releases, last = CLIENTS
    assert f"the .NET client {', '.join(releases)} and {last}," in TEXT


def test_python_clients() -> None:
    locked = dict(
        line.split("==") for line in (ROOT / ".ci/constraints.txt").read_text().splitlines()[1:]
    )
    names = ("pysignalr", "signalrcore", "aiosignalr")
    first, second, last = (f"{name} {locked[name]}" for name in names)
    assert f"the Python clients {first}, {second} and {last}," in TEXT


def test_the_javascript_client() -> None:
    package = json.loads((ROOT / "tests/interop/node/package.json").read_text())
    assert f"`@microsoft/signalr` {package['dependencies']['@microsoft/signalr']} in" in TEXT
