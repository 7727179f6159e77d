"""The tables of options in the documents, written from the gateway's schema.

``python -m tests.project.option_tables`` writes them into the documents; a test checks that they
are current. A table is recognized by its first heading.
"""

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Final

from msgspec import NODEFAULT, Struct, inspect

from signalr_gateway import HubRouteInfo, Policy
from signalr_gateway.cli.flags import file_flags
from signalr_gateway.config.authentication_tables import ApiKeyTable, AuthenticationTable, JwtTable
from signalr_gateway.config.command_options import CheckCommand, DemoCommand, EveryCommand
from signalr_gateway.config.options import Option, alternatives, as_toml, options_of
from signalr_gateway.config.relay_table import OtherGatewayTable
from signalr_gateway.config.schema import (
    File,
    GatewayHubTable,
    HubTable,
    Listen,
    SendTable,
)
from signalr_gateway.orchestration.hub_options import DownstreamHubOptions
from signalr_gateway.orchestration.limits import Limits
from tests.support.documents import DOCUMENTS

Row = tuple[str, ...]


def main() -> None:
    """Write the tables into the documents."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for heading in TABLES:
            table = written(heading).replace("\\", "\\\\")
            text = _pattern(heading).sub(table, text)
        document.write_text(text, encoding="utf-8")


def written(heading: str) -> str:
    """The table with this first heading, as Markdown."""
    header, *rows = TABLES[heading]()
    rule = f"|{'---|' * len(header)}\n"
    return _line(header) + rule + "".join(map(_line, rows))


def _line(cells: Row) -> str:
    return f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|\n"


def found(heading: str) -> dict[Path, str]:
    """The tables with this first heading in the documents."""
    return {
        document: text
        for document in DOCUMENTS
        for text in _pattern(heading).findall(document.read_text(encoding="utf-8"))
    }


def _pattern(heading: str) -> re.Pattern[str]:
    return re.compile(rf"^\| {re.escape(heading)} \|.*\n(?:\|.*\n)*", re.MULTILINE)


def _file_table(heading: str, table: type[Struct]) -> Callable[[], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        yield heading, "value", "default", "meaning"
        for option in options_of(table):
            default = _code(as_toml(option.default))
            if option.default is NODEFAULT:
                default = "required"
            yield _code(option.name), _values(option), default, option.sentence

    return rows


def _values(option: Option) -> str:
    [kind, *_] = option.kinds
    words = (kind.item or kind).words
    if words:
        of = "list of " if kind.item else ""
        return of + alternatives(_code(json.dumps(word)) for word in words)
    if isinstance(kind.type, inspect.BoolType):
        return "`true` or `false`"
    return alternatives(
        _code(json.dumps(*kind.words)) if kind.words else kind.expected.removeprefix("a ")
        for kind in option.kinds
    )


def _python_table(
    heading: str, table: type[Struct], *rows_before: Row
) -> Callable[[], Iterator[Row]]:
    def rows() -> Iterator[Row]:
        yield heading, "default", "meaning"
        yield from rows_before
        yield from _python_rows(table)

    return rows


def _python_rows(table: type[Struct]) -> Iterator[Row]:
    for option in options_of(table):
        default = option.default
        shown = str(default) if isinstance(default, Enum) else repr(default)
        yield _code(option.name), _code(shown), option.sentence


def _flag_rows() -> Iterator[Row]:
    yield "option", "value", "default", "of", "meaning"
    for _, option in file_flags():
        yield _flag_row(option, "`demo`, `run`")
    for command, of in ((DemoCommand, "`demo`"), (CheckCommand, "`check`"), (EveryCommand, "all")):
        for option in options_of(command):
            yield _flag_row(option, of)


def _flag_row(option: Option, of: str) -> Row:
    default = as_toml(option.default).strip('"')
    is_switch = default == "false"
    return (
        _code(option.flag or ""),
        "" if is_switch else _values(option).replace('"', ""),
        "" if is_switch or default == "[]" else _code(default),
        of,
        option.sentence,
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


TABLES: Final[dict[str, Callable[[], Iterator[Row]]]] = {
    "add_hub": _python_table(
        "add_hub",
        DownstreamHubOptions,
        ("`api`", "", "The key of the hub in addresses."),
        (
            "`build_hub_connection`",
            "",
            "A function that gets a `HubConnectionBuilder` and returns the built `HubConnection`.",
        ),
        (
            "`receive_key`",
            "`None`",
            "Key that clients of the gateway hub must send; `None`: no key is required.",
        ),
    ),
    "HubRouteInfo": _python_table("HubRouteInfo", HubRouteInfo),
    "option": _flag_rows,
    "[hubs.KEY.routes.KEY]": _file_table("[hubs.KEY.routes.KEY]", HubRouteInfo),
    "top level": _file_table("top level", File),
    "[listen]": _file_table("[listen]", Listen),
    "[limits]": _file_table("[limits]", Limits),
    "[gateway_hub]": _file_table("[gateway_hub]", GatewayHubTable),
    "[authentication]": _file_table("[authentication]", AuthenticationTable),
    "[authentication.jwt]": _file_table("[authentication.jwt]", JwtTable),
    "[authentication.api_keys.KEY]": _file_table("[authentication.api_keys.KEY]", ApiKeyTable),
    "[policies.KEY]": _file_table("[policies.KEY]", Policy),
    "[send]": _file_table("[send]", SendTable),
    "[other_gateway]": _file_table("[other_gateway]", OtherGatewayTable),
    "[hubs.KEY]": _file_table("[hubs.KEY]", HubTable),
}

if __name__ == "__main__":
    main()
