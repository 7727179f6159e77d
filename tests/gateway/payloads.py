"""Converts payloads from and to JSON text, for tests of code that does not decode payloads."""

from __future__ import annotations

from msgspec import Raw

from protocol import Payload


def json_payload(text: bytes) -> Payload:
    """A value that was written as JSON."""
    return Payload({"json": Raw(text)})


def json_text(payload: Payload | None) -> bytes:
    """The bytes that a JSON client gets; empty for a call without a result."""
    return b"" if payload is None else bytes(payload.form("json"))
