"""The cells of the matrix: which client, server, transport and hub protocol are combined.

This module decides the name of a combination, its place in the table, and why some combinations are
impossible. `run` runs the cells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.interop.versions import CURRENT, RELEASES

NODE: Final = "Node"
CHROMIUM: Final = "Chromium"
PYTHON: Final = "Python (ours)"
DOTNET: Final = {f".NET {version}": version for version in RELEASES}
"""The rows of the .NET client, with the release of each."""
CLIENTS: Final = (NODE, CHROMIUM, *DOTNET, PYTHON)

TRANSPORTS: Final = ("WebSockets", "ServerSentEvents", "LongPolling")
HUB_PROTOCOLS: Final = ("json", "newtonsoft", "messagepack")

ASPNETCORE: Final = "ASP.NET Core hub"
ASPNETCORE_NEWTONSOFT: Final = "ASP.NET Core hub with Newtonsoft.Json"
HUB: Final = "our hub server"
GATEWAY: Final = "our gateway"
HUB_BEHIND_NGINX: Final = "our hub server behind nginx"
GATEWAY_BEHIND_NGINX: Final = "our gateway behind nginx"
BEHIND_NGINX: Final = {HUB_BEHIND_NGINX: HUB, GATEWAY_BEHIND_NGINX: GATEWAY}
"""What stands behind it: for WebSockets as documented, for the others as Debian has it."""
_THROUGH_NGINX: Final = (NODE, CHROMIUM, f".NET {CURRENT}", ".NET 1.2.14", PYTHON)
TARGETS: Final = {
    ASPNETCORE: CLIENTS,
    ASPNETCORE_NEWTONSOFT: (PYTHON,),
    HUB: CLIENTS,
    GATEWAY: CLIENTS,
    HUB_BEHIND_NGINX: _THROUGH_NGINX,
    GATEWAY_BEHIND_NGINX: _THROUGH_NGINX,
}
"""Each target with its clients. The first target is the reference for the others."""

NO_PROTOCOL: Final = "the client has no such protocol and refuses it"
NEWTONSOFT_INSIDE: Final = "the client's one JSON protocol is Newtonsoft's"
TEXT_ONLY: Final = "Server-Sent Events carry text; the client refuses to start"
MISFIT: Final = "no package of the protocol fits this release: the newest fails at the first event"
IMPOSSIBLE: Final = (NO_PROTOCOL, NEWTONSOFT_INSIDE, TEXT_ONLY, MISFIT)
"""The reasons why combinations are impossible.

A test of each such combination checks the reason.
"""


@dataclass(frozen=True)
class Cell:
    """One combination. Its text is its name among the tests."""

    target: str
    client: str
    transport: str
    hub_protocol: str

    def __str__(self) -> str:
        return " / ".join((self.target, self.client, self.transport, self.hub_protocol))

    @property
    def impossible(self) -> str | None:
        """The reason in IMPOSSIBLE why the cell is impossible; None if it must work."""
        if self.hub_protocol == "json" and self._is_aspnetcore_2:
            return NEWTONSOFT_INSIDE
        if self.hub_protocol not in _hub_protocols(self.client):
            return NO_PROTOCOL
        if self.hub_protocol == "messagepack" and self.transport == "ServerSentEvents":
            return TEXT_ONLY
        if (self.client, self.hub_protocol) == (".NET 11.0.0", "messagepack"):
            return MISFIT
        return None

    @property
    def build_options(self) -> dict[str, str]:
        """The options with which a driver uses this transport and hub protocol only."""
        hub_protocol = self.hub_protocol
        if hub_protocol == "newtonsoft" and self._is_aspnetcore_2:
            hub_protocol = "json"
        return {"transports": self.transport, "protocol": hub_protocol}

    @property
    def reconnects(self) -> bool:
        """Whether the client reconnects by itself; the client of ASP.NET Core 2 does not."""
        return not self._is_aspnetcore_2

    @property
    def uploads_and_answers(self) -> bool:
        """Whether the client sends streams and answers client results; the client of ASP.NET Core 2
        does not."""
        return not self._is_aspnetcore_2

    @property
    def error_of_an_abort(self) -> str | None:
        """The error that the client reports when the server ends the connection without an
        error."""
        if self.client == PYTHON:
            return "ConnectionClosed: The server closed the connection."
        return None

    @property
    def json_type(self) -> str | None:
        """The .NET type of a JSON object that was asked for as an object; None: not of .NET."""
        if self.client not in DOTNET or self.hub_protocol == "messagepack":
            return None
        is_newtonsoft = self.hub_protocol == "newtonsoft" or self._is_aspnetcore_2
        return "JObject" if is_newtonsoft else "JsonElement"

    @property
    def _is_aspnetcore_2(self) -> bool:
        return DOTNET.get(self.client, "").startswith("1.")


def _hub_protocols(client: str) -> tuple[str, ...]:
    if client not in DOTNET:
        return ("json", "messagepack")
    release = RELEASES[DOTNET[client]]
    if release.newtonsoft is None:
        return ("newtonsoft",)
    return HUB_PROTOCOLS if release.messagepack is not None else ("json", "newtonsoft")


def all_cells() -> Iterator[Cell]:
    """By target, client, transport and hub protocol."""
    for target, clients in TARGETS.items():
        for client in clients:
            for transport in TRANSPORTS:
                for hub_protocol in HUB_PROTOCOLS:
                    yield Cell(target, client, transport, hub_protocol)
