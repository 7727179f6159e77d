"""The command line: ``signalr-gateway`` ``demo``, ``run`` and ``check``.

Exit codes: 0 after Ctrl-C or SIGTERM, 1 when an address cannot be bound or ``check --connect`` does
not reach a hub, 2 when the command, the orchestration or a certificate is wrong. What goes wrong is
one line on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from protocol import HubOptions

from . import __version__
from .check import reach_hubs, routes_table
from .config import ConfigError, GatewayConfig, Limits, Listen
from .demo import CHAT_HUB_PATH, create_chat_app, orchestrate
from .downstream.building import build_connections
from .http.api import DEFAULT_MAXIMUM_BODY_SIZE
from .http.swagger_page import SWAGGER_PATH
from .logs.foreign import ForeignLogFilter
from .orchestration.checks import OrchestrationError
from .orchestration.orchestrator import Orchestrator
from .serving.app import create_app
from .serving.listener import CannotListen, serving, stop_signals, taken
from .serving.open_files import check_limit, raise_limit
from .serving.tls import CertificatePair, UnusableCertificate, self_signed_pair, server_context
from .sources import UsageError, load_orchestration

PROGRAM = "signalr-gateway"
EXAMPLE_BODY = '[{"name":"John","message":"Hello!"}]'


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.addFilter(ForeignLogFilter())
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)-7s %(message)s",
        handlers=[handler],
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory(options.uvloop)) as runner:
            exit_code: int = runner.run(options.command(options))
    except KeyboardInterrupt:
        return 0
    except CannotListen as exc:
        return _fail(1, exc)
    except (UsageError, OrchestrationError, ConfigError, UnusableCertificate) as exc:
        return _fail(2, exc)
    return exit_code


def _fail(exit_code: int, error: Exception) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return exit_code


# --- options -------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="An API gateway for SignalR hubs.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common, serve = _common_options(), _serve_options()

    demo = commands.add_parser(
        "demo", parents=[serve, common], help="run the documentation's chat behind a gateway"
    )
    demo.add_argument(
        "--hub-port",
        type=_whole_number(0, 65535),
        default=8081,
        help="where the chat hub listens (%(default)s)",
    )
    demo.add_argument(
        "--https", action="store_true", help="serve https with a certificate made for it by openssl"
    )
    demo.set_defaults(command=_demo)

    run = commands.add_parser(
        "run",
        parents=[serve, common],
        help="run a gateway of your own",
        description="Runs the gateway of a TOML file, or of a Python function: imports the module"
        " (the current folder counts) and calls function(orchestrator), which may be async."
        " Options given here win over the file.",
    )
    _add_orchestration(run)
    run.set_defaults(command=_run)

    check = commands.add_parser(
        "check",
        parents=[common],
        help="validate an orchestration and show its routes",
        description="Validates an orchestration and shows its routes, without serving anything.",
    )
    check.add_argument(
        "--connect", action="store_true", help="try all hubs; exit code 1 when one is out of reach"
    )
    _add_orchestration(check)
    check.set_defaults(command=_check)
    return parser


def _add_orchestration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "orchestration", metavar="FILE.toml|module:function", help="hubs and routes"
    )


def _common_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--uvloop", action="store_true", help="run on uvloop, which is faster")
    options.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="info",
        help="what is logged to standard error (%(default)s)",
    )
    return options


def _serve_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--host", help=f"where to listen ({Listen().host})")
    options.add_argument(
        "--port", type=_whole_number(0, 65535), help=f"0 takes a free one ({Listen().port})"
    )
    options.add_argument(
        "--certificate", type=Path, metavar="PEM", help="serve https with this certificate"
    )
    options.add_argument("--key", type=Path, metavar="PEM", help="the certificate's private key")
    options.add_argument(
        "--allowed-origin",
        action="append",
        metavar="ORIGIN",
        help="web pages of this origin may use the gateway; may be given several times",
    )
    options.add_argument(
        "--maximum-body-size",
        type=_whole_number(1),
        metavar="BYTES",
        help=f"the largest body of a POST ({DEFAULT_MAXIMUM_BODY_SIZE})",
    )
    return options


def _whole_number(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    def read(text: str) -> int:
        with suppress(ValueError):
            number = int(text)
            if lowest <= number and (highest is None or number <= highest):
                return number
        limit = f"from {lowest} to {highest}" if highest is not None else f"from {lowest} on"
        raise argparse.ArgumentTypeError(f"must be a whole number {limit}, not {text!r}")

    return read


def _loop_factory(uvloop: bool) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if not uvloop:
        return None
    try:
        module = importlib.import_module("uvloop")
    except ImportError as exc:
        raise UsageError(
            f'--uvloop needs the package uvloop: pip install "{PROGRAM}[uvloop]"'
        ) from exc
    factory: Callable[[], asyncio.AbstractEventLoop] = module.new_event_loop
    return factory


def _with_options(config: GatewayConfig, options: argparse.Namespace) -> GatewayConfig:
    """The configuration with what the command line says instead."""
    given = {"host": options.host, "port": options.port, "pair": _given_pair(options)}
    listen = replace(
        config.listen, **{name: value for name, value in given.items() if value is not None}
    )
    if options.allowed_origin is not None:
        config.orchestrator.allowed_origins = options.allowed_origin
    limits = config.limits
    if options.maximum_body_size is not None:
        limits = replace(limits, maximum_body_size=options.maximum_body_size)
    return replace(config, listen=listen, limits=limits)


def _given_pair(options: argparse.Namespace) -> CertificatePair | None:
    if (options.certificate is None) != (options.key is None):
        raise UsageError("--certificate and --key belong together")
    if options.certificate is None:
        return None
    return CertificatePair(options.certificate, options.key)


# --- commands ------------------------------------------------------------------------------


async def _demo(options: argparse.Namespace) -> int:
    orchestrator = Orchestrator()
    raise_limit()
    config = _with_options(GatewayConfig(orchestrator=orchestrator), options)
    with _demo_pair(config, options) as pair, stop_signals() as stopped:
        config = replace(config, listen=replace(config.listen, pair=pair))
        ssl_context = None if pair is None else server_context(pair)
        listen = config.listen
        async with (
            taken("127.0.0.1", options.hub_port) as chat_address,
            taken(
                listen.host,
                listen.port,
                ssl_context,
                headers_timeout=config.limits.headers_timeout,
            ) as address,
            chat_address.serving(create_chat_app()) as chat_url,
        ):
            orchestrate(orchestrator, chat_url + CHAT_HUB_PATH)
            async with address.serving(_app(config)) as url:
                print(
                    f"chat hub     {chat_url}{CHAT_HUB_PATH}\n"
                    f"gateway hub  {url}{orchestrator.gateway_hub_path}\n"
                    f"swagger      {url}{SWAGGER_PATH}\n"
                    f"console      {url}/   <- open this, then say something:\n\n"
                    + _demo_call(url, pair if options.https else None),
                    flush=True,
                )
                await stopped.wait()
    return 0


@contextmanager
def _demo_pair(
    config: GatewayConfig, options: argparse.Namespace
) -> Iterator[CertificatePair | None]:
    if not options.https:
        yield config.listen.pair
    elif config.listen.pair is not None:
        raise UsageError("--https makes a certificate itself; leave out --certificate and --key")
    else:
        with self_signed_pair() as pair:
            yield pair


def _demo_call(url: str, self_signed: CertificatePair | None) -> str:
    """The curl line to try, and how clients come to trust a self-signed certificate."""
    trust, hint = "", ""
    if self_signed is not None:
        trust = f" --cacert {self_signed.certificate}"
        hint = (
            "\nClients that use OpenSSL, .NET on Linux among them, trust the certificate with\n\n"
            f"export SSL_CERT_FILE={self_signed.certificate}\n"
        )
    return (
        f"curl{trust} -X POST {url}/api/Gateway/hub/chatservice/room"
        f" -H 'Content-Type: application/json' -d '{EXAMPLE_BODY}'\n{hint}"
    )


async def _run(options: argparse.Namespace) -> int:
    config = _with_options(await load_orchestration(options.orchestration), options)
    orchestrator, listen = config.orchestrator, config.listen
    descriptors = raise_limit()
    ssl_context = None if listen.pair is None else server_context(listen.pair)
    with stop_signals() as stopped:
        async with serving(
            _app(config),
            listen.host,
            listen.port,
            ssl_context,
            headers_timeout=config.limits.headers_timeout,
        ) as url:
            check_limit(descriptors, config.limits.maximum_connections)
            if orchestrator.start_gateway_hub:
                print(f"gateway hub  {url}{orchestrator.gateway_hub_path}")
            print(f"swagger      {url}{SWAGGER_PATH}\nconsole      {url}/", flush=True)
            await stopped.wait()
    return 0


async def _check(options: argparse.Namespace) -> int:
    config = await load_orchestration(options.orchestration)
    hubs = config.orchestrator.hubs
    if config.listen.pair is not None:
        server_context(config.listen.pair)
    connections = build_connections(hubs)  # finds a function that returns no connection
    print(routes_table(config.orchestrator, connections))
    if not options.connect:
        return 0
    failures = await reach_hubs(hubs)
    print()
    for api, reason in failures.items():
        print(f"hub {api!r}: {'connected' if reason is None else f'cannot connect: {reason}'}")
    return 0 if not any(failures.values()) else 1


def _app(config: GatewayConfig) -> web.Application:
    limits: Limits = config.limits
    return create_app(
        config.orchestrator,
        maximum_body_size=limits.maximum_body_size,
        maximum_depth=limits.maximum_depth,
        body_timeout=limits.body_timeout,
        maximum_connections=limits.maximum_connections,
        hub_options=HubOptions(
            maximum_outbound_buffer_size=limits.maximum_outbound_buffer_size,
            slow_client_policy=limits.slow_client_policy,
        ),
    )
