"""Payloads as JSON texts and back, for tests of parts that only pass them on."""

from __future__ import annotations

from msgspec import Raw

from protocol import Payload


def json_payload(text: bytes) -> Payload:
    """A value that was written as JSON."""
    return Payload({"json": Raw(text)})


def json_text(payload: Payload | None) -> bytes:
    """What a JSON client gets of it; nothing for a call without a result."""
    return b"" if payload is None else bytes(payload.form("json"))
