"""``signalr-gateway demo``: the example of the documentation, a ChatHub behind a gateway."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import msgspec
from aiohttp import web

from protocol import (
    EndpointOptions,
    Hub,
    HubConnection,
    HubConnectionBuilder,
    hub_method,
    map_hub,
)
from protocol.relaying import LOOPBACK_HOSTS

from ..config.file import GatewayConfig
from ..config.schema import Listen
from ..config.sources import UsageError
from ..http.addresses import CONSOLE_PAGE, SWAGGER, call_path
from ..orchestration.orchestrator import Orchestrator
from ..orchestration.route import HubRouteInfo
from ..serving.listener import stop_signals, taken
from ..serving.open_files import raise_limit
from ..serving.tls import CertificatePair, self_signed_pair, server_context
from .flags import with_flags
from .running import app_of, pair_of, require_access_rules

CHAT_HUB_PATH = "/chathub"
_SHOWN_CHARACTERS = 200
"""How many characters of an event's arguments the demo prints."""
_SECONDS_PER_COUNT = 0.5
EXAMPLE_BODY = '[{"name":"John","message":"Hello!"}]'


class Request(msgspec.Struct):
    """The argument of a call: ``{"name":"John","message":"Hello!"}``."""

    name: str | None = None
    message: str | None = None


class ChatHub(Hub):
    """Sends each message to all clients, and streams a countdown to its caller."""

    @hub_method
    async def send_message(self, request: Request) -> None:
        await self.clients.all.send("ReceiveMessage", request.name, request.message)

    @hub_method
    async def countdown(self, start: int) -> AsyncIterator[int]:
        """Stream the numbers from `start` to 0."""
        for number in range(start, -1, -1):
            yield number
            if number:
                await asyncio.sleep(_SECONDS_PER_COUNT)


def create_chat_app() -> web.Application:
    """An application that serves the ChatHub at `CHAT_HUB_PATH`."""
    app = web.Application()
    options = EndpointOptions(allowed_hosts=LOOPBACK_HOSTS)
    map_hub(app, CHAT_HUB_PATH, ChatHub, endpoint_options=options)
    return app


def orchestrate(orchestrator: Orchestrator, chat_hub_url: str) -> None:
    """Add the ChatHub at `chat_hub_url` and its routes, as the documentation does."""

    def build_hub_connection(builder: HubConnectionBuilder) -> HubConnection:
        connection = builder.with_url(chat_hub_url).build()
        connection.on("ReceiveMessage", _print_event)
        return connection

    hub = orchestrator.add_hub("chatservice", build_hub_connection)
    hub.add_route(
        "room",
        HubRouteInfo(
            invoke_method="SendMessage",
            receive_method="ReceiveMessage",
            receive_parameter_types=[str, str],
            summary="Send a message to all clients",
            examples=[[{"name": "John", "message": "Hello!"}]],
        ),
    )
    hub.add_route(
        "countdown",
        HubRouteInfo(
            invoke_method="Countdown",
            streams=True,
            returns=int,
            summary="Count down to 0",
            examples=[[3]],
        ),
    )


def _print_event(*arguments: object) -> None:
    """Print an event of the chat hub. Print nothing after the terminal has been closed."""
    text = json.dumps(arguments, ensure_ascii=False)
    if not text.isprintable():  # the terminal would interpret control characters
        text = json.dumps(arguments)
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}…"
    with suppress(OSError):
        print(f"event        ReceiveMessage {text}", flush=True)


# --- the command ---------------------------------------------------------------------------


async def demo(arguments: argparse.Namespace) -> int:
    """Serve the chat hub and a gateway for it until a signal stops them; return the exit code."""
    orchestrator = Orchestrator()
    _log_every_refusal()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # events may have any characters
    raise_limit()
    config = with_flags(GatewayConfig(orchestrator=orchestrator), arguments)
    require_access_rules(config)
    if config.listen.sockets:
        raise UsageError("--listen: the demo listens on an address; use --host and --port")
    with _pair(config.listen, https=arguments.https) as pair, stop_signals() as stopped:
        ssl_context = None if pair is None else server_context(pair)
        listen = config.listen
        async with (
            taken("127.0.0.1", arguments.hub_port, port_option="--hub-port") as chat_address,
            taken(
                listen.hosts,
                listen.port,
                ssl_context,
                limits=config.limits,
                port_option="--port",
            ) as address,
            chat_address.serving(create_chat_app()) as chat_url,
        ):
            orchestrate(orchestrator, chat_url + CHAT_HUB_PATH)
            async with address.serving(app_of(config)) as url:
                print(
                    f"chat hub     {chat_url}{CHAT_HUB_PATH}\n"
                    f"gateway hub  {url}{orchestrator.gateway_hub_path}\n"
                    f"swagger      {url}{SWAGGER}\n"
                    f"console      {url}{CONSOLE_PAGE}   <- open this, then send a message:\n\n"
                    + _call(url, pair if arguments.https else None),
                    flush=True,
                )
                await stopped.wait()
    return 0


def _log_every_refusal() -> None:
    """Log each call that the hub refuses, not only one a minute: users of a demo try many calls."""
    if logging.getLogger().isEnabledFor(logging.WARNING):
        logging.getLogger("protocol.server.refusal_log").setLevel(logging.DEBUG)


@contextmanager
def _pair(listen: Listen, *, https: bool) -> Iterator[CertificatePair | None]:
    pair = pair_of(listen)
    if not https:
        yield pair
    elif pair is not None:
        raise UsageError("--https makes a certificate itself; leave out --certificate and --key")
    else:
        with self_signed_pair() as pair:
            yield pair


def _call(url: str, self_signed: CertificatePair | None) -> str:
    """The curl command to try, and the command that makes clients trust the certificate."""
    trust, hint = "", ""
    if self_signed is not None:
        trust = f" --cacert {self_signed.certificate}"
        hint = (
            "\nClients that use OpenSSL, .NET on Linux among them, trust the certificate with\n\n"
            f"export SSL_CERT_FILE={self_signed.certificate}\n"
        )
    return (
        f"curl{trust} -X POST {url}{call_path('chatservice', 'room')}"
        f" -H 'Content-Type: application/json' -d '{EXAMPLE_BODY}'\n{hint}"
    )
