"""No order of requests by several users crosses their connections (A-6, A-9)."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from protocol import EndpointOptions, HttpRequestData, Principal
from protocol.hosting.http_answer import HttpAnswer
from protocol.hosting.http_connections import HttpConnection, HttpConnectionManager
from protocol.hosting.hub_endpoint import Action, HubEndpoint

from .plain_requests import request

PATHS = ("/one", "/two")
OPENING = {Action.OPEN_WEB_SOCKET, Action.OPEN_EVENT_STREAM, Action.START_LONG_POLLING}

Owner = tuple[str, str | None]
"""A path, and the id of one of its users. Users of two paths are different ones."""


@dataclass(frozen=True)
class Request:
    """One request of a user, with the token of any connection, and when it is authenticated."""

    kind: str
    user: str | None
    path: str
    connection: int
    authenticated: int  # requests with a lower number are authenticated before


REQUESTS = st.lists(
    st.builds(
        Request,
        st.sampled_from(["poll", "web socket", "events", "post", "delete", "end"]),
        st.sampled_from(["ann", "bob", None]),
        st.sampled_from(PATHS),
        st.integers(0, 1),
        st.integers(0, 5),
    ),
    max_size=20,
)


class Host:
    """Carries out what endpoints decide, and notes which users each connection has served."""

    def __init__(self) -> None:
        self.gates: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.connections = HttpConnectionManager(HttpConnection)
        self.endpoints = {
            path: HubEndpoint(
                self.connections,
                path,
                EndpointOptions(authenticate=self.authenticate),
                lambda: 0.0,
                wall_clock=lambda: 0.0,
            )
            for path in PATHS
        }
        self.negotiated = [self.connections.create(path, 1, 0.0, 15.0) for path in PATHS]
        self.before = self.negotiated
        self.served: dict[str, list[tuple[Action, Owner]]] = defaultdict(list)

    async def authenticate(self, asked: HttpRequestData) -> Principal | None:
        await self.gates[int(asked.headers["Gate"])].wait()
        # The decision follows in the same turn of the event loop.
        self.before = [replace(each) for each in self.negotiated]
        user = asked.headers.get("User")
        # Equal credentials are not the same object, and may be newer.
        return None if user is None else Principal(user, claims={"iat": object()})

    async def handle(self, asked: Request) -> None:
        connection = self.negotiated[asked.connection]
        if asked.kind == "end":
            self.connections.remove(connection)
            return
        method = {"post": "POST", "delete": "DELETE"}.get(asked.kind, "GET")
        headers = {"Gate": str(asked.authenticated)}
        if asked.user is not None:
            headers["User"] = asked.user
        decision = await self.endpoints[asked.path].dispatch(
            request(method, f"id={connection.token}", **headers),
            ["text/event-stream" if asked.kind == "events" else "*/*"],
            is_upgrade=asked.kind == "web socket",
        )
        if isinstance(decision, HttpAnswer):
            assert self.negotiated == self.before, "a request that is refused changes nothing"
            return
        owner = (asked.path, None if decision.user is None else decision.user.user_id)
        assert owner == (asked.path, asked.user)
        self.served[decision.connection.token].append((decision.action, owner))


@given(REQUESTS)
def test_no_order_of_requests_crosses_users(requests: list[Request]) -> None:
    """A-6, A-9: all that a connection serves belongs to the user who has opened it."""

    async def play() -> Host:
        host = Host()
        tasks = [asyncio.create_task(host.handle(each)) for each in requests]
        for number in range(6):
            host.gates[number].set()
            for _ in range(3):
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return host

    host = asyncio.run(play())
    for served in host.served.values():
        assert len({owner for _, owner in served}) == 1
        assert sum(action in OPENING for action, _ in served) <= 1
