"""The servers of the tests as processes: the chat hub, in C# and in Python, and the gateway.

A server keeps its port when it is killed and started again, so that its clients can reconnect.
"""

import asyncio
import io
import json
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import aiohttp

from signalr_gateway.downstream.clock import Clock
from signalr_gateway.downstream.hub import Downstream
from signalr_gateway.orchestration.limits import DEFAULT_LIMITS, Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.serving.app import create_app
from signalr_gateway.serving.listener import serving
from signalr_gateway.serving.tls import CertificatePair
from tests.interop.builds import dotnet_program, require
from tests.interop.journal import PATIENCE
from tests.interop.processes import LineProcess, free_port
from tests.interop.versions import CURRENT, build_properties


@dataclass(frozen=True)
class HubProgram:
    """A command that starts a hub. All chat hubs have the same output and methods."""

    argv: tuple[str, ...]
    ready: str = "^LISTENING "
    """The line that the hub prints when it serves."""
    environment: Mapping[str, str] = field(default_factory=dict)
    scheme: str = "http"

    def with_environment(self, **environment: str) -> "HubProgram":
        return replace(self, environment={**self.environment, **environment})


def aspnetcore_hub(**environment: str) -> HubProgram:
    """The hub on ASP.NET Core; `dotnet/chat-hub/Program.cs` lists its environment."""
    assembly = dotnet_program("chat-hub", **build_properties(CURRENT))
    return HubProgram((require("dotnet"), str(assembly)), environment=environment)


def token_hub(**environment: str) -> HubProgram:
    """A hub that requires tokens; `dotnet/token-hub/Program.cs` lists its environment."""
    assembly = dotnet_program("token-hub", JwtBearerVersion=CURRENT)
    return HubProgram((require("dotnet"), str(assembly)), environment=environment)


def python_hub() -> HubProgram:
    """The same hub on this library's server."""
    return HubProgram((sys.executable, "-m", "tests.interop.chat_hub"))


def secure_aspnetcore_hub(pair: CertificatePair) -> HubProgram:
    """The hub on ASP.NET Core, on https with this certificate."""
    program = aspnetcore_hub(
        Kestrel__Certificates__Default__Path=str(pair.certificate),
        Kestrel__Certificates__Default__KeyPath=str(pair.key),
    )
    return replace(program, scheme="https")


class HubServer:
    """A chat hub at one address, which may be started several times."""

    def __init__(self, program: HubProgram) -> None:
        self._program = program
        self._address = f"{program.scheme}://127.0.0.1:{free_port()}"
        self._lives: list[LineProcess] = []

    @property
    def url(self) -> str:
        return f"{self._address}/chathub"

    @property
    def values_url(self) -> str:
        """The URL of the hub whose methods return their arguments."""
        return f"{self._address}/valueshub"

    @property
    def stream_url(self) -> str:
        """The URL of the hub that streams."""
        return f"{self._address}/streamhub"

    @property
    def token_url(self) -> str:
        """The URL of the hub that requires tokens."""
        return f"{self._address}/tokenhub"

    async def start(self) -> None:
        """Starts the hub, or starts it again, and waits until it serves."""
        process = await LineProcess.start(
            *self._program.argv, "--urls", self._address, env=self._program.environment
        )
        self._lives.append(process)
        await process.line(self._program.ready)

    async def stop(self) -> None:
        """Sends the hub SIGTERM, and waits until it has ended."""
        await self._lives[-1].interrupt()

    async def kill(self) -> None:
        await self._lives[-1].kill()

    def freeze(self) -> None:
        """Suspends the hub: it sends nothing, and its connections stay open."""
        self._lives[-1].freeze()

    def thaw(self) -> None:
        """Lets the hub continue after `freeze`."""
        self._lives[-1].thaw()

    async def holding(self, name: str) -> None:
        """Waits until the call Hold(name) runs in the hub."""
        await self._lives[-1].line(f"^HOLDING {name}$")

    async def release(self, name: str) -> None:
        """Lets the call Hold(name) continue."""
        await self._post(f"release/{name}")

    async def revoke(self, token: str) -> None:
        """Makes a token invalid from now on."""
        await self._post(f"revoke/{token}")

    def tokens(self) -> set[tuple[str, str, str]]:
        """Each token that was accepted, in the header or the query, and by which HTTP method."""
        found = (line.split(" ")[1:] for line in self.lines("^TOKEN "))
        return {(token, place, method) for token, place, method in found}

    async def _post(self, path: str) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self._address}/{path}") as response,
        ):
            assert response.ok

    async def disconnected(self, connection_id: str) -> None:
        """Waits until the hub has noticed a connection that ended without an error."""
        await self._lives[-1].line(f"^DISCONNECTED {connection_id}$")

    async def gave_up(self, connection_id: str) -> None:
        """Waits until the hub has ended a connection with an error."""
        await self._lives[-1].line(f"^DISCONNECTED {connection_id} in error$")

    async def recorded(self, text: str) -> None:
        """Waits until the call Record(text) has run."""
        await self._lives[-1].line(f"^RECORDED {text}$")

    def lines(self, pattern: str) -> list[str]:
        """The lines of all its runs that match `pattern`."""
        return [found.string for life in self._lives for found in life.matching(pattern)]


@asynccontextmanager
async def running(program: HubProgram) -> AsyncIterator[HubServer]:
    """A hub that serves. It is killed at the end if it still runs."""
    hub = HubServer(program)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.kill()


@dataclass(frozen=True)
class Answer:
    """The answer to a POST to the gateway."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The members of a problem answer."""
        assert self.headers["Content-Type"] == "application/problem+json"
        problem = json.loads(self.body)
        assert isinstance(problem, dict)
        return problem


class GatewayCaller:
    """A caller of the gateway at this address; `trust` is for https."""

    def __init__(self, address: str, trust: ssl.SSLContext | bool = True) -> None:
        self._address = address
        self._trust = trust

    def url(self, path: str) -> str:
        return self._address + path

    async def __aenter__(self) -> Self:
        # no limit, so that all POSTs of a test can be under way at once
        connector = aiohttp.TCPConnector(limit=0, ssl=self._trust)
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def nobody_is_left(self) -> None:
        """Waits until the gateway has noticed the end of all its clients."""
        async with asyncio.timeout(PATIENCE):
            while await self._clients():
                pass

    async def hubs_are(self, state: str) -> None:
        """Waits until the connection to each hub is in this state, as health answers name it."""
        async with asyncio.timeout(PATIENCE):
            while await self._hub_states() != {state}:
                pass

    async def _hub_states(self) -> set[str]:
        async with self._session.get(self.url("/healthz")) as response:
            health = await response.json()
        return {hub["state"] for hub in health["hubs"].values()}

    async def _clients(self) -> int:
        async with self._session.get(self.url("/console/status.json")) as response:
            status = await response.json()
        return int(status["clients"])

    async def post(self, api: str, key: str, body: str) -> Answer:
        """POSTs a JSON text to a route."""
        async with self._session.post(
            self.url(f"/api/Gateway/hub/{api}/{key}"),
            data=io.BytesIO(body.encode()),
            headers={"Content-Type": "application/json"},
        ) as response:
            return Answer(response.status, response.headers, await response.read())


class GatewayServer(GatewayCaller):
    """The gateway as a process, as users run it, and a caller of it."""

    def __init__(
        self, *arguments: str, pair: CertificatePair | None = None, **environment: str
    ) -> None:
        """`arguments` are those of the command line, without the port and without a `pair` for
        https."""
        port = str(free_port())
        if pair is None:
            super().__init__(f"http://127.0.0.1:{port}")
        else:
            trust = ssl.create_default_context(cafile=pair.certificate)
            super().__init__(f"https://127.0.0.1:{port}", trust)
            arguments += ("--certificate", str(pair.certificate), "--key", str(pair.key))
        self._arguments = (*arguments, "--port", port)
        self._environment = environment

    @classmethod
    def before(
        cls, hubs: Mapping[str, HubServer], orchestration: str = "chat", *options: str
    ) -> "GatewayServer":
        """A gateway in front of these hubs, by api key. The function is one of `orchestrations`."""
        urls = {api: hub.url for api, hub in hubs.items()}
        function = f"tests.interop.orchestrations:{orchestration}"
        return cls("run", function, *options, CHAT_HUBS=json.dumps(urls))

    @property
    def output(self) -> list[str]:
        """The lines that the latest run has printed and logged."""
        return self._process.lines.entries

    async def __aenter__(self) -> Self:
        await self._start()
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self.stop()

    async def stop(self) -> None:
        """Sends SIGTERM, and waits for an exit code of 0."""
        assert await self._process.interrupt() == 0, "\n".join(self.output)

    def freeze(self) -> None:
        """Suspends the gateway until ``thaw``; its connections stay open."""
        self._process.freeze()

    def thaw(self) -> None:
        self._process.thaw()

    async def restart(self, *, crash: bool = False) -> None:
        """Stops or kills the gateway, and starts it again."""
        await (self._process.kill() if crash else self.stop())
        await self._start()

    async def _start(self) -> None:
        self._process = await LineProcess.start(
            sys.executable, "-m", "signalr_gateway", *self._arguments, env=self._environment
        )
        await self._process.line(f"^console +{self._address}/")


@asynccontextmanager
async def gateway_of(
    orchestrator: Orchestrator,
    *,
    limits: Limits = DEFAULT_LIMITS,
    clock: Clock | None = None,
) -> AsyncIterator[GatewayCaller]:
    """The gateway of this orchestration, in this process; waits for hubs are timed by `clock`."""
    app = create_app(
        orchestrator,
        limits=limits,
        make_downstream=partial(Downstream, clock=clock),
    )
    async with serving(app, "127.0.0.1", 0) as address, GatewayCaller(address) as gateway:
        yield gateway
