"""The HTTP of a connection: its User-Agent, and which redirects it follows (C-2, N-21)."""

import tomllib
from typing import Any, cast

import aiohttp
import pytest
from yarl import URL

from protocol.transports.client import http_client
from tests.support.checkout import ROOT


def test_user_agent() -> None:
    """C-2: the form of all SignalR clients, with this project's version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    short = version.rpartition(".")[0]
    assert http_client.USER_AGENT.startswith(f"Microsoft SignalR/{short} ({version}; ")
    assert http_client.USER_AGENT.count("; ") == 3


class Answer:
    """Of a request to ``url``; as much of aiohttp's as is looked at."""

    def __init__(self, url: str, status: int, location: str | None) -> None:
        self.url = URL(url)
        self.status = status
        self.reason = "Moved"
        self.headers = {} if location is None else {"Location": location}
        self.request_info = None
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("url", "status", "location", "is_followed"),
    [
        ("https://h/hub", 307, "http://h/hub", False),
        ("wss://h/hub", 301, "HTTP://other/hub", False),
        ("https://h/hub", 307, "https://h/hub", True),
        ("https://h/hub", 307, "//other/hub", True),
        ("https://h/hub", 308, "/other", True),
        ("http://h/hub", 302, "http://h/other", True),
        ("http://h/hub", 302, "https://h/hub", True),
        ("https://h/hub", 200, "http://h/hub", True),
        ("https://h/hub", 304, None, True),
    ],
)
async def test_no_redirect_leaves_https(
    url: str, status: int, location: str | None, is_followed: bool
) -> None:
    """Like .NET's client: tokens and cookies would be sent unencrypted."""
    answer = Answer(url, status, location)

    async def handler(_: Any) -> Any:
        return answer

    asking = http_client._refuse_downgrade(cast("aiohttp.ClientRequest", answer), handler)
    if is_followed:
        assert await asking is cast("Any", answer)
    else:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await asking
        assert (caught.value.status, caught.value.message) == (status, "Moved")
    assert answer.is_closed is not is_followed
