"""The command line: ``signalr-gateway demo`` and ``signalr-gateway run module:function``.

Exit codes: 0 after Ctrl-C or SIGTERM, 1 when an address cannot be bound, 2 when the command or the
orchestration is wrong. What goes wrong is one line on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from . import __version__
from .app import create_app
from .demo import CHAT_HUB_PATH, create_chat_app, orchestrate
from .orchestrator import OrchestrationError, Orchestrator
from .redaction import describe_error
from .serving import CannotListen, serving, stop_signals

PROGRAM = "signalr-gateway"
EXAMPLE_BODY = '[{"name":"John","message":"Hello!"}]'


class UsageError(Exception):
    """The command cannot be carried out as given; `str()` is one line for its user."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s"
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory(options.uvloop)) as runner:
            runner.run(options.command(options))
    except KeyboardInterrupt:
        return 0
    except CannotListen as exc:
        return _fail(1, exc)
    except (UsageError, OrchestrationError) as exc:
        return _fail(2, exc)
    return 0


def _fail(exit_code: int, error: Exception) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="An API gateway for SignalR hubs.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    common.add_argument("--port", type=int, default=8080, help="0 takes a free one (%(default)s)")
    common.add_argument("--uvloop", action="store_true", help="run on uvloop, which is faster")
    common.add_argument(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="info",
        help="what is logged to standard error (%(default)s)",
    )

    demo = commands.add_parser(
        "demo", parents=[common], help="run the documentation's chat behind a gateway"
    )
    demo.add_argument(
        "--hub-port", type=int, default=8081, help="where the chat hub listens (%(default)s)"
    )
    demo.set_defaults(command=_demo)

    run = commands.add_parser(
        "run",
        parents=[common],
        help="run a gateway of your own",
        description="Imports the module (the current folder counts) and calls"
        " function(orchestrator), which may be async.",
    )
    run.add_argument("orchestration", metavar="module:function")
    run.set_defaults(command=_run)
    return parser


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


async def _demo(options: argparse.Namespace) -> None:
    with stop_signals() as stopped:
        async with serving(create_chat_app(), "127.0.0.1", options.hub_port) as chat_url:
            orchestrator = Orchestrator()
            orchestrate(orchestrator, chat_url + CHAT_HUB_PATH)
            async with serving(create_app(orchestrator), options.host, options.port) as url:
                print(
                    f"chat hub     {chat_url}{CHAT_HUB_PATH}\n"
                    f"gateway hub  {url}{orchestrator.gateway_hub_path}\n"
                    f"console      {url}/   <- open this, then say something:\n\n"
                    f"curl -X POST {url}/api/Gateway/hub/chatservice/room"
                    f" -H 'Content-Type: application/json' -d '{EXAMPLE_BODY}'\n",
                    flush=True,
                )
                await stopped.wait()


async def _run(options: argparse.Namespace) -> None:
    orchestrator = Orchestrator()
    await _orchestrate(options.orchestration, orchestrator)
    if not orchestrator.hubs:
        raise UsageError(f"{options.orchestration} adds no hub")
    with stop_signals() as stopped:
        async with serving(create_app(orchestrator), options.host, options.port) as url:
            if orchestrator.start_gateway_hub:
                print(f"gateway hub  {url}{orchestrator.gateway_hub_path}")
            print(f"console      {url}/", flush=True)
            await stopped.wait()


async def _orchestrate(name: str, orchestrator: Orchestrator) -> None:
    """Import ``module:function`` and let the function fill the orchestration."""
    function = _imported(name)
    try:
        result = function(orchestrator)
        if inspect.isawaitable(result):
            await result
    except OrchestrationError:
        raise
    except Exception as exc:
        logging.getLogger(__name__).debug("%s failed", name, exc_info=True)
        raise UsageError(f"{name} failed: {type(exc).__name__}: {describe_error(exc)}") from exc


def _imported(name: str) -> Callable[[Orchestrator], Coroutine[Any, Any, object] | object]:
    module_name, separator, function_name = name.partition(":")
    if not (module_name and separator and function_name):
        raise UsageError(f"{name!r} is not of the form module:function")
    if "" not in sys.path:
        sys.path.insert(0, "")  # a console script does not look into the current folder by itself
    try:
        module = importlib.import_module(module_name)
    except Exception as exc:
        logging.getLogger(__name__).debug("import failed", exc_info=True)
        raise UsageError(
            f"cannot import {module_name!r}: {type(exc).__name__}: {describe_error(exc)}"
        ) from exc
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UsageError(f"module {module_name!r} has no function {function_name!r}")
    return function  # type: ignore[no-any-return]
