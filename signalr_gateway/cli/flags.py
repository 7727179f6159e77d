"""The options of `config.schema` on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import Struct, inspect, structs

from ..config.file import GatewayConfig
from ..config.hosts import allowed_hosts
from ..config.options import Kind, Option, alternatives, as_toml, options_of
from ..config.reading import Place, read_value
from ..config.schema import File
from ..config.sources import UsageError
from ..orchestration.checks import OrchestrationError
from ..orchestration.orchestrator import Orchestrator


def add_command_flags(parser: argparse.ArgumentParser, command: type[Struct]) -> None:
    """Add the options of a command, with their defaults."""
    for option in options_of(command):
        _add(parser, option, dest=option.name, default=option.default)


def add_file_flags(parser: argparse.ArgumentParser) -> None:
    """Add the options of the file that have a flag. A flag that is not given has the value None."""
    for name, option in file_flags():
        _add(parser, option, dest=name, default=None)


def file_flags() -> Iterator[tuple[str, Option]]:
    """The options of the file that have a flag, each with its full name: ``listen.port``."""
    for option in options_of(File):
        if option.flag is not None:
            yield option.name, option
        for inner in option.options:
            if inner.flag is not None:
                yield f"{option.name}.{inner.name}", inner


def with_flags(config: GatewayConfig, arguments: argparse.Namespace) -> GatewayConfig:
    """Return a configuration in which the given flags replace the values of `config`.

    The flags of an orchestration's options change `config.orchestrator`, which both configurations
    share. The rest of `config` does not change. Raises `UsageError`.
    """
    names = [name for name, _ in file_flags()]
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if ("listen.certificate" in given) != ("listen.key" in given):
        raise UsageError("--certificate and --key belong together")
    for name, value in given.items():
        table, _, option = name.rpartition(".")
        if table:
            changed = structs.replace(getattr(config, table), **{option: value})
            config = replace(config, **{table: changed})
        else:
            _set(config.orchestrator, option, value)
    try:
        config.listen.check_sockets()
    except ValueError as exc:
        raise UsageError(f"--listen: {exc}") from exc
    try:
        _ = config.listen.permissions
    except ValueError as exc:
        raise UsageError(f"--unix-mode: {exc}") from exc
    try:
        allowed_hosts(config.listen)
    except ValueError as exc:
        raise UsageError(f"--allowed-host: {exc}") from exc
    return config


def _set(orchestrator: Orchestrator, name: str, value: object) -> None:
    try:
        setattr(orchestrator, name, value)
    except OrchestrationError as exc:
        flag = next(option.flag for each, option in file_flags() if each == name)
        raise UsageError(f"{flag}: {exc.problem}") from exc


def explanation(option: Option) -> str:
    """Return the text of an option in ``--help``: its sentence, its default, and a note for lists.

    The default is left out if it is empty or false.
    """
    sentence = option.sentence.rstrip(".")
    note = "; may be given several times" if _is_list(option) else ""
    default = as_toml(option.default).strip('"')
    shown = "" if default in ("", "[]", "false") else f" ({default})"
    return f"{sentence}{note}{shown}"


def _add(parser: argparse.ArgumentParser, option: Option, *, dest: str, default: object) -> None:
    assert option.flag is not None
    settings: dict[str, Any] = {
        "dest": dest,
        "default": default,
        "help": explanation(option).replace("`", "").replace("%", "%%"),
    }
    kinds = option.kinds
    if isinstance(kinds[0].type, inspect.BoolType):
        settings["action"] = "store_true"
    else:
        if kinds[0].item is not None:
            settings["action"] = "append"
            kinds = (kinds[0].item,)
        settings["type"] = _reader(kinds)
        settings["metavar"] = _metavar(kinds[0]) or option.name.upper()
    parser.add_argument(option.flag, **settings)


def _is_list(option: Option) -> bool:
    return option.kinds[0].item is not None


def _metavar(kind: Kind) -> str | None:
    if kind.words:
        return f"{{{','.join(kind.words)}}}"
    return kind.metavar or (kind.unit.upper() if kind.unit else None)


def _reader(kinds: Sequence[Kind]) -> Callable[[str], object]:
    def read(text: str) -> object:
        try:
            return read_value(kinds, _parsed(kinds, text), Place(Path()))
        except OrchestrationError:
            expected = alternatives(kind.expected for kind in kinds)
            raise argparse.ArgumentTypeError(f"must be {expected}, not {text!r}") from None

    return read


def _parsed(kinds: Sequence[Kind], text: str) -> object:
    """Return `text` as a number if one of `kinds` is a number and `text` is valid, else as text."""
    types = {inspect.IntType: int, inspect.FloatType: float}
    for kind in kinds:
        if type(kind.type) in types:
            with suppress(ValueError):
                return types[type(kind.type)](text)
    return text
