"""N-2, N-18: requests reach the host of the URL, whatever its path looks like."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from protocol import HttpTransportType, HubConnectionBuilder, NegotiationError

SECRET = "hush"


class Listener:
    """Records the head of each request, and answers with the next of ``answers``, then with 404."""

    def __init__(self, answers: list[str]) -> None:
        self.heads: list[str] = []
        self.port = 0
        self.location = ""
        """Where it redirects each request to."""
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        except asyncio.IncompleteReadError:
            self.heads.append("")
        body = self._answers.pop(0) if self._answers else ""
        status = "200 OK" if body else "404 Not Found"
        if self.location:
            status = f"307 Temporary Redirect\r\nLocation: {self.location}"
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            f"{body}".encode()
        )
        writer.close()
        await writer.wait_closed()

    @property
    def targets(self) -> list[str]:
        return [head.split(" ")[1] for head in self.heads]


@asynccontextmanager
async def listening(answers: list[str]) -> AsyncIterator[Listener]:
    listener = Listener(answers)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


def builder(url: str, **options: object) -> HubConnectionBuilder:
    return HubConnectionBuilder().with_url(
        url,
        headers={"X-Key": SECRET},
        access_token_factory=lambda: SECRET,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("path", ["//{}/hub", "///{}/hub", "/a//{}/hub", "//u:p@{}/hub"])
@pytest.mark.parametrize("skips", [False, True])
async def test_a_path_is_not_taken_for_a_host(path: str, skips: bool) -> None:
    """The other host gets no request, no token and none of the user's headers."""
    options: dict[str, object] = {}
    if skips:
        options = {"skip_negotiation": True, "transports": HttpTransportType.WEB_SOCKETS}
    async with listening([]) as meant, listening([]) as other:
        path = path.format(f"127.0.0.1:{other.port}")
        connection = builder(f"http://127.0.0.1:{meant.port}{path}", **options).build()
        with pytest.raises(NegotiationError):
            await connection.start()
    assert other.heads == []
    assert meant.targets == [path if skips else f"{path}/negotiate?negotiateVersion=1"]
    assert f"Bearer {SECRET}" in meant.heads[0]


@pytest.mark.parametrize("transport", list(HttpTransportType.ALL))
async def test_neither_is_that_of_a_redirect(transport: HttpTransportType) -> None:
    """Negotiate redirects to such a path: negotiate there, and the transport, go to its host."""
    name = {
        HttpTransportType.WEB_SOCKETS: "WebSockets",
        HttpTransportType.SERVER_SENT_EVENTS: "ServerSentEvents",
        HttpTransportType.LONG_POLLING: "LongPolling",
    }[transport]
    offer = json.dumps(
        {
            "connectionId": "c",
            "connectionToken": "t",
            "negotiateVersion": 1,
            "availableTransports": [{"transport": name, "transferFormats": ["Text", "Binary"]}],
        }
    )
    async with listening([offer]) as meant, listening([]) as other:
        path = f"//127.0.0.1:{other.port}/hub"
        redirect = json.dumps({"url": f"http://127.0.0.1:{meant.port}{path}"})
        async with listening([redirect]) as first:
            connection = builder(f"http://127.0.0.1:{first.port}/hub", transports=transport).build()
            with pytest.raises(NegotiationError):
                await connection.start()
    assert other.heads == []
    assert meant.targets == [f"{path}/negotiate?negotiateVersion=1", f"{path}?id=t"]


@pytest.mark.parametrize("way", ["negotiate", "HTTP"])
async def test_the_host_of_a_redirect_stays_out_of_the_summary(way: str) -> None:
    """The server chooses this host, in either kind of redirect."""
    target = "http://127.0.0.2:1/hub"  # where no program listens
    async with listening([json.dumps({"url": target})]) as first:
        first.location = target if way == "HTTP" else ""
        with pytest.raises(NegotiationError, match=r"127\.0\.0\.2:1") as caught:
            await builder(f"http://127.0.0.1:{first.port}/hub").build().start()
    text = "Negotiate failed: cannot connect to the host of a redirect: "
    assert caught.value.summary.startswith(text)
    assert "127.0.0.2" not in caught.value.summary
    assert caught.value.public_summary.startswith("Negotiate failed: cannot connect: ")


async def test_the_configured_host_is_part_of_the_summary() -> None:
    with pytest.raises(NegotiationError) as caught:
        await builder("http://LocalHost:1/hub").build().start()
    assert "cannot connect to localhost:1: " in caught.value.summary
    assert caught.value.public_summary == "Negotiate failed: cannot connect: Connection refused"


async def test_a_slash_too_many_reaches_the_host() -> None:
    """As when a base URL that ends with a slash is put before a path."""
    async with listening([]) as meant:
        with pytest.raises(NegotiationError, match="404"):
            await builder(f"http://127.0.0.1:{meant.port}/" + "/hub").build().start()
    assert meant.targets == ["//hub/negotiate?negotiateVersion=1"]


@pytest.mark.parametrize(
    "url", ["//host/hub", "http:///hub", "http://a\\@b/hub", "http://a\\b/hub"]
)
def test_hosts_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="The URL of a hub"):
        HubConnectionBuilder().with_url(url)


@pytest.mark.parametrize("url", ["http://a\\@127.0.0.1:9/hub", "http://127.0.0.1:9/h\tub"])
async def test_a_redirect_to_a_host_that_is_none(url: str) -> None:
    async with listening([json.dumps({"url": url})]) as first:
        with pytest.raises(NegotiationError, match="not an absolute HTTP URL"):
            await builder(f"http://127.0.0.1:{first.port}/hub").build().start()
