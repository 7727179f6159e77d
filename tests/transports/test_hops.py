"""The steps of a call from the socket to the method are those in docs/architecture.md."""

import re
import sys
from types import FrameType
from typing import Any, Final

import pytest

from tests.support.checkout import ROOT
from tests.support.hub_messages import call, result

from .end_host import EndHost
from .raw_web_socket import RawWebSocket

DRAWN: Final = re.findall(
    r"^ +\d  (\w+\.\w+) +(\w+\.py)", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE
)


async def test_a_call_takes_the_drawn_steps(
    end_host: EndHost, client: RawWebSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.send_records(call("Echo", "first"))  # starts the worker
    assert await client.record() == result("first")
    steps = [(name, file) for name, file in DRAWN]
    taken: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        step = (frame.f_code.co_qualname, frame.f_code.co_filename.rpartition("/")[2])
        if step in steps and step not in taken:
            taken.append(step)
        if frame.f_code.co_name == "echo" and event == "call":
            sys.setprofile(None)

    client.send_records(call("Echo", "second"))
    sys.setprofile(note)
    try:
        assert await client.record() == result("second")
    finally:
        sys.setprofile(None)
    assert taken == steps
    assert 0 < len(steps) <= 9
