"""The command line: ``signalr-gateway`` ``demo``, ``run``, ``check`` and ``key``.

An error is the last line on standard error. The exit codes are:

- 0 after Ctrl-C or SIGTERM, or when ``check`` finds no error,
- 1 when an address cannot be bound, or ``check --connect`` does not reach a hub,
- 2 when the command, the orchestration or a certificate is wrong,
- 130 when a signal ends ``check``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import logging
import sys
from collections.abc import Callable, Sequence

from .. import __version__
from ..config.command_options import CheckCommand, DemoCommand, EveryCommand
from ..config.file import ConfigError
from ..config.sources import UsageError
from ..logs.foreign import ForeignLogFilter
from ..logs.writing import ThreadedStreamHandler
from ..orchestration.checks import OrchestrationError
from ..serving.sockets import CannotListen
from ..serving.tls import UnusableCertificate
from .check import check
from .demo import demo
from .flags import add_command_flags, add_file_flags
from .key import new_api_key
from .running import run

PROGRAM = "signalr-gateway"
_GARBAGE_THRESHOLD = 10_000
"""Number of new objects after which Python starts a garbage collection.

With the default of 700, the objects of 64 concurrent POSTs start collections that find no garbage.
Such collections take 13 % of the CPU time of a POST.
"""


def run_command(arguments: Sequence[str] | None) -> int:
    """Run the command line and return the exit code. Raises KeyboardInterrupt."""
    options = _parser().parse_args(arguments)
    handler = ThreadedStreamHandler(sys.stderr)
    handler.addFilter(ForeignLogFilter())
    logging.basicConfig(
        level=options.log_level.name,
        format="%(asctime)s %(levelname)-7s %(message)s",
        handlers=[handler],
    )
    gc.set_threshold(_GARBAGE_THRESHOLD)
    try:
        with asyncio.Runner(loop_factory=_loop_factory(options)) as runner:
            exit_code: int = runner.run(options.command(options))
    except CannotListen as exc:
        return _fail(1, exc)
    except (UsageError, OrchestrationError, ConfigError, UnusableCertificate) as exc:
        return _fail(2, exc)
    return exit_code


def _fail(exit_code: int, error: Exception) -> int:
    print(f"{PROGRAM}: {error}", file=sys.stderr)
    return exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="An API gateway for SignalR hubs.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    parsers = {
        demo: commands.add_parser("demo", help="run an example chat hub behind a gateway"),
        run: commands.add_parser(
            "run",
            help="run a gateway of your own",
            description="Runs the gateway that a TOML file or a Python function configures. The"
            " function is called as function(orchestrator), and may be async. Its module is also"
            " found in the current folder. Options given here replace those of the file.",
        ),
        check: commands.add_parser(
            "check",
            help="validate an orchestration and show its routes",
            description="Validates an orchestration and shows its routes, without serving"
            " anything.",
        ),
    }
    for command in (demo, run):
        add_file_flags(parsers[command])
    add_command_flags(parsers[demo], DemoCommand)
    add_command_flags(parsers[check], CheckCommand)
    for command, command_parser in parsers.items():
        add_command_flags(command_parser, EveryCommand)
        if command is not demo:
            command_parser.add_argument(
                "orchestration", metavar="FILE.toml|module:function", help="hubs and routes"
            )
        command_parser.set_defaults(command=command)
    _add_key_actions(commands.add_parser("key", help="make an API key"))
    return parser


def _add_key_actions(key: argparse.ArgumentParser) -> None:
    actions = key.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser(
        "new",
        help="make a key and print what to store of it",
        description="Makes an API key. Prints the key, which is stored nowhere, and the table that"
        " the file of the gateway needs.",
    )
    new.add_argument("name", metavar="NAME", help="name of the key, such as that of its owner")
    add_command_flags(new, EveryCommand)
    new.set_defaults(command=new_api_key)


def _loop_factory(
    options: argparse.Namespace,
) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The factory of uvloop's event loops, or None for asyncio's own."""
    if options.uvloop and options.no_uvloop:
        raise UsageError("--uvloop and --no-uvloop exclude each other")
    if options.no_uvloop:
        return None
    try:
        module = importlib.import_module("uvloop")
    except ImportError as exc:
        if not options.uvloop:
            return None
        raise UsageError(
            f'--uvloop needs the package uvloop: pip install "{PROGRAM}[uvloop]"'
        ) from exc
    factory: Callable[[], asyncio.AbstractEventLoop] = module.new_event_loop
    return factory
