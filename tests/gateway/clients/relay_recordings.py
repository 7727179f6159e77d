"""The recorded connection of a relay of the original to another gateway."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.support.checkout import ROOT

_FILE = ROOT / "spec-fixtures" / "original-gateway" / "relay.json"


@dataclass(frozen=True)
class RelayRecording:
    """One connection, and the events of the hub that the relay has passed on over it."""

    mode: str
    hub_events: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    """The calls of Receive."""
    answers: list[dict[str, Any]]
    """The completions and the events that the other gateway has sent to the relay."""


def relay_recordings() -> list[RelayRecording]:
    return [_recording(content) for content in json.loads(_FILE.read_text("utf-8"))["recordings"]]


def _recording(content: dict[str, Any]) -> RelayRecording:
    sent: dict[str, list[dict[str, Any]]] = {"to_gateway": [], "from_gateway": []}
    for each in content["records"]:
        message = json.loads(each["record"])
        if "type" in message:  # the others are the handshake
            sent[each["dir"]].append(message)
    events = [json.loads(event) for event in content["hub_events"]]
    return RelayRecording(content["mode"], events, sent["to_gateway"], sent["from_gateway"])
