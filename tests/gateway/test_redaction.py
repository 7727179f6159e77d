"""GW-28: what is shown of an error keeps no token and no query string."""

from __future__ import annotations

import pytest

from signalr_gateway.redaction import MAXIMUM_LENGTH, describe_error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Cannot connect to host 127.0.0.1:9", "Cannot connect to host 127.0.0.1:9"),
        (
            "503, message='Invalid response status', url='ws://h:1/chathub?id=HUSH&access_token=HUSH'",
            "503, message='Invalid response status', url='ws://h:1/chathub'",
        ),
        ("GET http://user:HUSH@h/x failed", "GET http://h/x failed"),
        ("GET /chathub?HUSH failed", "GET /chathub failed"),
        ("at http://h/x#HUSH", "at http://h/x"),
        ("access_token=HUSH was refused", "access_token=… was refused"),
        ("Authorization: Bearer HUSH.HUSH.HUSH", "Authorization: Bearer …"),
        ("two\r\nlines\x00", "two lines"),
        ("", "RuntimeError"),
        ("  ", "RuntimeError"),
    ],
)
def test_shows_the_sense_without_the_secret(text: str, shown: str) -> None:
    assert describe_error(RuntimeError(text)) == shown


def test_is_short() -> None:
    shown = describe_error(RuntimeError("x" * 5000))
    assert len(shown) == MAXIMUM_LENGTH
    assert shown.endswith("…")
