"""Which transport a client chooses, and what follows if a transport fails (N-14, N-24, N-25)."""

from typing import Any

import pytest
from aiohttp import web

from protocol import HttpTransportType, HubConnectionBuilder, HubConnectionState
from tests.transports.http_hub import HttpHub

from .builders import builder, refused
from .test_tokens import Tokens

ALL = ("WebSockets", "ServerSentEvents", "LongPolling")
POLLS = ["negotiate", "poll"]
EVENTS = ["negotiate", "events"]


@pytest.mark.parametrize(
    ("listed", "allowed", "begins"),
    [
        (ALL, HttpTransportType.ALL, ["negotiate", "web socket", *EVENTS]),
        (ALL[::-1], HttpTransportType.ALL, POLLS),
        (ALL[1:], HttpTransportType.ALL, EVENTS),
        (ALL, HttpTransportType.LONG_POLLING, POLLS),
        (ALL, ~HttpTransportType.WEB_SOCKETS, EVENTS),
        (ALL, ~HttpTransportType.SERVER_SENT_EVENTS, ["negotiate", "web socket", *POLLS]),
    ],
)
async def test_in_the_order_listed(
    http_hub: HttpHub, listed: tuple[str, ...], allowed: HttpTransportType, begins: list[str]
) -> None:
    """The first that is allowed and works; after a failure negotiate is repeated."""
    http_hub.transports = listed
    async with builder(http_hub.url, transports=allowed).build() as connection:
        assert connection.state is HubConnectionState.CONNECTED
        assert connection.connection_id == f"id-{begins.count('negotiate')}"
    assert http_hub.kinds[: len(begins)] == begins
    assert http_hub.of("post")[0].target.endswith(f"id=token-{begins.count('negotiate')}")


async def test_none_works(http_hub: HttpHub) -> None:
    """N-25: the error contains the reason for each of them."""
    http_hub.transports = (*ALL, "Pigeon")
    for kind in ("web socket", "events", "poll"):
        http_hub.answer(kind, web.Response(status=403, reason="No"))
    error = await refused(builder(http_hub.url).build())
    assert str(error) == (
        "Unable to connect to the server with any of the available transports. "
        "(WebSockets failed: The server returned status code '403' when status code '101' was "
        "expected.) "
        "(ServerSentEvents failed: Response status code does not indicate success: 403 (No).) "
        "(LongPolling failed: Response status code does not indicate success: 403 (No).) "
        "(Pigeon failed: The transport is not supported by the client.)"
    )
    assert error.status == 403
    assert http_hub.kinds == ["negotiate", "web socket", *EVENTS, *POLLS]


async def test_a_list_without_end(http_hub: HttpHub) -> None:
    """N-24: the number of attempts is limited, and long names are shortened."""
    http_hub.transports = ("LongPolling",) * 3 + ("x" * 100,) * 1000
    http_hub.answer("poll", 500, 500, 500)
    error = await refused(builder(http_hub.url).build())
    assert http_hub.kinds == POLLS * 3
    assert len(str(error)) < 2500


async def test_a_renegotiation_that_fails(http_hub: HttpHub) -> None:
    """N-24: the transport has failed; negotiate is repeated for the next one."""
    http_hub.transports = ALL
    http_hub.answer("negotiate", None, 500)
    async with builder(http_hub.url).build() as connection:
        assert connection.connection_id == "id-2"
    begins = ["negotiate", "web socket", "negotiate", *POLLS]
    assert http_hub.kinds[: len(begins)] == begins


async def test_renegotiation_is_where_the_offer_was(http_hub: HttpHub) -> None:
    """N-18, N-24: behind a redirect, with the token that it gave."""
    http_hub.transports = ALL
    there: dict[str, Any] = {"url": f"{http_hub.url}?there=1", "accessToken": "given"}
    http_hub.answer("negotiate", web.json_response(there))
    tokens = Tokens()
    async with builder(f"{http_hub.url}?here=1", access_token_factory=tokens.plain).build():
        pass
    assert [(it.target, it.token) for it in http_hub.of("negotiate")] == [
        ("/hub/negotiate?here=1&negotiateVersion=1", "Bearer token-1"),
        ("/hub/negotiate?there=1&negotiateVersion=1", "Bearer given"),
        ("/hub/negotiate?there=1&negotiateVersion=1", "Bearer given"),
    ]
    assert {it.token for it in http_hub.asked[1:]} == {"Bearer given"}
    assert {it.target for it in http_hub.of("events", "post")} == {"/hub?there=1&id=token-2"}


async def test_nothing_is_listed(http_hub: HttpHub) -> None:
    """N-25."""
    http_hub.transports = ()
    assert str(await refused(builder(http_hub.url).build())) == (
        "None of the transports supported by the client are supported by the server."
    )


@pytest.mark.parametrize("transports", [HttpTransportType.ALL, HttpTransportType.LONG_POLLING])
def test_only_web_sockets_need_no_negotiation(transports: HttpTransportType) -> None:
    """N-26."""
    with pytest.raises(ValueError, match="Negotiation can only be skipped when using"):
        HubConnectionBuilder().with_url(
            "http://h/hub", transports=transports, skip_negotiation=True
        )
