"""Runs scenarios of ``spec-fixtures/recorded-client`` with our client, and returns the outcomes.

The scenarios and their server are the same as in the recordings of the .NET client.
"""

import asyncio
import importlib
import json
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, Final

from tests.support.checkout import ROOT

from .comparison import Step, differences
from .session import Session

FIXTURES: Final = ROOT / "spec-fixtures" / "recorded-client"
RECORDINGS: Final = FIXTURES / "dotnet-10.0.15"
NEWER: Final = FIXTURES / "dotnet-11.0.0"
"""Recordings of features that an older client does not have."""
OURS: Final = FIXTURES / "ours"
_SECONDS: Final = 150  # for one scenario
_TRIES: Final = 2  # a busy machine is late at times


def recorded_names() -> list[str]:
    """All scenarios that there are recordings of, if only of our client."""
    return sorted(
        {path.stem for folder in (RECORDINGS, NEWER, OURS) for path in folder.glob("*.json")}
    )


def recording(name: str, *folders: Path) -> list[Step]:
    """What a client sent, and what it was answered. Empty if it was not recorded."""
    for folder in folders:
        path = folder / f"{name}.json"
        if path.exists():
            steps: list[Step] = json.loads(path.read_bytes())["wire"]
            return steps
    return []


async def outcome(name: str) -> dict[str, Any]:
    """``differences`` from the recording, ``missing`` features that it asked for, ``ours``: what
    our client sent; where there is a file of that in ``ours``, ``differences_from_ours`` too.
    """
    result: dict[str, Any] = {}
    for _ in range(_TRIES):
        steps, missing, problem = await _play(name)
        result = {
            "name": name,
            "missing": missing,
            "ours": steps,
            "differences": [*problem, *differences(recording(name, NEWER, RECORDINGS), steps)],
        }
        kept = result["differences"]
        if (OURS / f"{name}.json").exists():
            kept = [*problem, *differences(recording(name, OURS), steps)]
            result["differences_from_ours"] = kept
        if missing or not kept:
            break
    return result


async def _play(name: str) -> tuple[list[Step], list[str], list[str]]:
    """The wire, the missing features, and the exception that the scenario ended with, if it did."""
    if str(FIXTURES) not in sys.path:
        sys.path.insert(0, str(FIXTURES))
    scenarios = importlib.import_module("scenarios").SCENARIOS
    scripted_server: Any = importlib.import_module("scripted_server")
    function, _, needs = scenarios[name]
    async with scripted_server.ScriptedServer(_free_port()) as server, Session() as session:
        if lacking := [need for need in needs if need not in session.info["features"]]:
            return [], lacking, [f"needs {', '.join(lacking)}"]
        problem = []
        try:
            await asyncio.wait_for(function(server, session), _SECONDS)
        except Exception as error:
            problem = ["".join(traceback.format_exception(error)[-2:])]
        steps = scripted_server.recording(server, name)["steps"]
        return steps, sorted(session.missing), problem


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
