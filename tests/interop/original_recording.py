"""The recordings of the original C# gateway, as steps and their outcomes.

A step is an action of a caller, a client or the hub: a request, a record, a closed connection.
Everything else in a recording is the outcome of the step before it. `original_replay` repeats the
steps with our gateway.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.checkout import ROOT

RECORDINGS = ROOT / "spec-fixtures" / "original-gateway"
SEPARATOR = "\x1e"
PING = '{"type":6}'

Outcome = dict[str, Any]
"""`http`: the answer; `frames`: what each client received; `to_hub`: what each hub was sent."""

LONGEST_BODY = 2000
LONGEST_TO_HUB = 150
COMPARED_HEADERS = ("allow", "location", "retry-after")


@dataclass(frozen=True)
class Step:
    """One action, and its outcome when it was recorded."""

    id: str
    """Scenario and number in its recording: ``A3/4``."""
    content: Mapping[str, Any]
    outcome: Outcome


@dataclass(frozen=True)
class Scenario:
    name: str
    mode: str
    hub_leg: bool
    """Whether the recording has the records to the hub."""
    clients: frozenset[str]
    """The clients whose frames the recording has."""
    steps: list[Step] = field(default_factory=list)


def _contents() -> dict[str, dict[str, Any]]:
    text = (RECORDINGS / "scenarios.json").read_text("utf-8")
    return {_short(scenario): scenario for scenario in json.loads(text)["scenarios"]}


def _short(scenario: Mapping[str, Any]) -> str:
    """``A3`` of ``A3 hub methods on an All route``, ``F-notypes`` of ``F notypes``."""
    first, second = scenario["name"].split(" ")[:2]
    return f"F-{second}" if first == "F" else str(first)


def modes() -> dict[str, list[dict[str, Any]]]:
    """The orchestration of each mode."""
    content = json.loads((RECORDINGS / "modes.json").read_text("utf-8"))
    assert isinstance(content, dict)
    return content


def scenarios() -> dict[str, Scenario]:
    return {name: _scenario(name, content) for name, content in _contents().items()}


def _scenario(name: str, content: Mapping[str, Any]) -> Scenario:
    hub_leg = any(step["kind"] == "hub_leg" for step in content["steps"])
    clients = frozenset(step["client"] for step in content["steps"] if step["kind"] == "ws")
    scenario = Scenario(name, content["mode"], hub_leg, clients)
    outcome: Outcome = {}
    if hub_leg and name in STARTS:
        scenario.steps.append(Step(f"{name}/start", {"kind": "start"}, outcome))
    for step in content["steps"]:
        if _is_action(step, outcome):
            outcome = {}
            scenario.steps.append(Step(f"{name}/{step['n']}", step, outcome))
        _add_consequence(step, outcome)
    for step in scenario.steps:
        tidy(step.outcome)
    return scenario


STARTS = ("A1", "E1")
"""Scenarios whose recording of the hub's side begins before the gateway starts."""


def _is_action(step: Mapping[str, Any], outcome: Outcome) -> bool:
    match step:
        case {"kind": "http" | "exit" | "hub_event" | "dotnet_client"} | {
            "kind": "ws",
            "dir": "sent",
        }:
            return True
        case {"kind": "ws", "dir": "closed", "client": client}:
            # After a refused handshake or a Close it was the gateway that closed.
            received = outcome.get("frames", {}).get(client, [])
            return not any('"type":7' in text or text.startswith('{"error"') for text in received)
        case _:
            return False


def _add_consequence(step: Mapping[str, Any], outcome: Outcome) -> None:
    match step:
        case {"kind": "http", "status_line": str()}:
            split = [line.split(": ", 1) for line in step["headers"]]
            headers = {name.lower(): value for name, value in split}
            status = int(step["status_line"].split(" ")[1])
            outcome["http"] = answer(status, headers, step["response_body"])
        case {"kind": "dotnet_client", "output": [*lines, "CLOSED null"]}:
            outcome["output"] = client_output(lines)
        case {"kind": "exit", "code": code}:
            outcome["runs"] = code is None
        case {"kind": "ws", "dir": "received", "client": client, "text": text}:
            received = outcome.setdefault("frames", {}).setdefault(client, [])
            received += [shortened(record) for record in records(text)]
        case {"kind": "ws", "dir": "closed", "client": client, "code": code} if outcome:
            outcome.setdefault("frames", {}).setdefault(client, []).append(f"CLOSED {code}")
        case {"kind": "hub_leg", "dir": "to_hub", "text": text}:
            sent = outcome.setdefault("to_hub", [])
            leg = step.get("leg")
            sent += [hub_record(record, leg) for record in records(text) if record != PING]
        case {"kind": "hub_leg", "dir": "http", "path": path}:
            outcome.setdefault("to_hub", []).append(f"negotiate {path}")
        case _:
            pass  # what the hub sends arrives at the clients


def records(text: str) -> Iterator[str]:
    """The records of a text of one frame."""
    for record in text.split(SEPARATOR):
        if record:
            yield record


def shortened(record: str) -> str:
    """As the recording has records of more than 300 characters, the separator counted."""
    if len(record) + 1 <= 300 or re.search(r"…\(\d+ chars\)$", record):
        return record
    return f"{record[:300]}…({len(record) + 1} chars)"


_CALL_HEADERS = re.compile(
    r'"headers":\{"traceparent":"00-[0-9a-f]{32}-[0-9a-f]{16}-00","X-Request-Id":"[^"]+"\},'
)


def hub_record(record: str, leg: str | None) -> str:
    """A record to the hub without its number, and without the headers of a POST's call (GW-38).

    A long record is given by its beginning and its length.
    """
    cut = re.search(r"…\((\d+) chars\)$", record)  # as the recording has it, with its separator
    length = len(record) if cut is None else int(cut[1]) - 1
    bare = re.sub(r',"invocationId":"\d+"', "", record, count=1)
    bare = _CALL_HEADERS.sub("", bare, count=1)
    length -= len(record) - len(bare)
    if length > LONGEST_TO_HUB:
        bare = f"{bare[:LONGEST_TO_HUB]}…({length} chars)"
    return bare if leg is None else f"{leg}: {bare}"


def answer(status: int, headers: Mapping[str, str], body: str) -> Outcome:
    """The compared parts of an HTTP answer."""
    compared: Outcome = {"status": status}
    if body:
        compared["media_type"] = headers["content-type"].partition(";")[0]
    for name in COMPARED_HEADERS:
        if name in headers:
            compared[name] = headers[name]
    if body.startswith(("Invalid method", f"{status}: ")):
        return compared  # a text of aiohttp, which may change
    if compared.get("media_type") == "application/problem+json" or '"negotiateVersion"' in body:
        return compared | {"body": _without_accidents(json.loads(body))}
    if len(body) > LONGEST_BODY:
        body = f"{body[:100]}…({len(body)} chars)"
    return compared | ({"body": body} if body else {})


def _without_accidents(body: dict[str, Any]) -> dict[str, Any]:
    """The value without parts that differ from run to run."""
    accidents = {"traceId", "requestId", "connectionId", "connectionToken"}
    if body.get("code") == "invalid-json":
        accidents |= {"detail", "error"}  # a text of msgspec
    return {name: value for name, value in body.items() if name not in accidents}


def client_output(lines: list[str]) -> list[str]:
    """The lines that a .NET client printed, without connection ids; calls before events, as in
    `tidy`."""
    told = [re.sub("^CONNECTED .*", "CONNECTED", line) for line in lines]
    return sorted(told, key=lambda line: not line.startswith(("CONNECTED", "INVOKED")))


def tidy(outcome: Outcome) -> Outcome:
    """Completions before events: between them there is no fixed order (GW-14)."""
    for received in outcome.get("frames", {}).values():
        received.sort(key=lambda record: record.startswith('{"type":1,'))
    if not outcome.get("to_hub"):
        outcome.pop("to_hub", None)
    return outcome


def body_of(step: Mapping[str, Any]) -> bytes | None:
    """The body of a request. A body that was too long to record is made from its size."""
    if "body_hex" in step:
        return bytes.fromhex(str(step["body_hex"]))
    body: str | None = step["body"]
    if body is None:
        return None
    head, gap, tail = body.partition("…")
    filling = int(step["body_bytes"]) - len(head + tail) if gap else 0
    return (head + "x" * filling + tail).encode()


def text_of(step: Mapping[str, Any]) -> str:
    """The records that a client sent; the end of the one long record is known from its kind."""
    text: str = step["text"]
    if (cut := re.fullmatch(r"(.*x)…\((\d+) chars\)", text)) is None:
        return text
    tail = '"}}]}' + SEPARATOR
    return cut[1] + "x" * (int(cut[2]) - len(cut[1] + tail)) + tail
