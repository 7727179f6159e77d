"""A property: no redirect makes a client send a token to an origin that it is not for."""

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import NegotiationError
from tests.transports.raw_server import OFFER, RawServer

from .builders import builder

SERVERS = st.integers(0, 2)  # the hub of the client is the first one


@dataclass(frozen=True)
class Redirect:
    """One redirect of a negotiate request: by its answer, or by HTTP with status 307."""

    target: int
    is_answer: bool
    gives_token: bool


REDIRECTS = st.lists(st.builds(Redirect, SERVERS, st.booleans(), st.booleans()), max_size=6)


def script(servers: list[RawServer], redirects: list[Redirect], *, offers_token: bool) -> None:
    """Queues the answers. A token that a server gives is named after the server that it is for."""
    asked = hub = 0
    for redirect in redirects:
        target = servers[redirect.target]
        if redirect.is_answer:
            more: dict[str, Any] = (
                {"accessToken": str(redirect.target)} if redirect.gives_token else {}
            )
            servers[asked].reply(url=target.url, **more)
            hub = redirect.target
        else:
            location = f"{target.url}/negotiate?negotiateVersion=1"
            servers[asked].reply(307, ("Location", location))
        asked = redirect.target
    token = {"accessToken": str(hub)} if offers_token else {}
    servers[asked].reply(**{**OFFER, **token})


@settings(max_examples=60)
@given(REDIRECTS, st.none() | st.sets(SERVERS), st.booleans())
def test_no_token_goes_to_another_origin(
    redirects: list[Redirect], listed: set[int] | None, offers_token: bool
) -> None:
    """A-5, N-18, N-19, N-21: the factory's token is for the hub's origin and for listed ones, a
    given one for the origin of its URL as well."""

    async def play() -> None:
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(RawServer()) for _ in range(3)]
            script(servers, redirects, offers_token=offers_token)
            connecting = builder(servers[0].url, access_token_factory=lambda: "factory")
            if listed is not None:
                origins = [servers[number].url.removesuffix("/hub") for number in listed]
                connecting.with_redirects(origins)
            connection = connecting.build()
            with suppress(NegotiationError):  # a redirect to an origin that is not listed
                await connection.start()
            await connection.stop()
            trusted = {0, *(listed or ())}
            for number, server in enumerate(servers):
                allowed = {None, f"Bearer {number}"}
                if number in trusted:
                    allowed |= {"Bearer factory", *(f"Bearer {each}" for each in range(3))}
                assert {request.token for request in server.requests} <= allowed
            assert servers[0].requests[0].token == "Bearer factory"

    asyncio.run(play())
