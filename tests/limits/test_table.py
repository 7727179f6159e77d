"""The table of limits is complete, and each of its rows is played."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import pytest

from protocol import EndpointOptions, HubOptions
from protocol.client.options import HubConnectionOptions
from protocol.transports.client.options import HttpConnectionOptions
from signalr_gateway.config.schema import GatewayHubTable, HubTable, Listen
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.route import HubRouteInfo
from tests.support.checkout import ROOT

from . import in_memory, over_sockets, through_the_gateway
from .elsewhere import ELSEWHERE, NO_LIMITS
from .table import ROWS

CLIENT_OPTIONS: Final = (HubConnectionOptions, HttpConnectionOptions)
OPTIONS: Final = (
    HubOptions,
    EndpointOptions,
    *CLIENT_OPTIONS,
    Limits,
    HubTable,
    HubRouteInfo,
    Listen,
)
NAMES_OF_LIMITS: Final = re.compile(
    r"_?([A-Z]+_)*"
    r"(MAXIMUM|LONGEST|LARGEST|MOST|LIMIT|LEAST|HIGH_WATER|LOW_WATER|EARLY_SIZE|FREE_PER)"
    r"(_[A-Z]+)*"
)
ROW_NAMES: Final = {row.option for row in ROWS}


def is_number(annotation: Any) -> bool:
    """Whether values of this annotation are numbers, or None."""
    if get_origin(annotation) is Annotated:
        return is_number(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return any(is_number(each) for each in get_args(annotation))
    return annotation in (int, float)


def options() -> Iterator[str]:
    """Every option that is a number.

    Options of a hub in a file are left out if they set the client's options of the same names.
    """
    client = {field.name for each in CLIENT_OPTIONS for field in fields(each)}
    for table in OPTIONS:
        for name, annotation in get_type_hints(table).items():
            if is_number(annotation) and not (table is HubTable and name in client):
                yield f"{table.__name__}.{name}"


def constants() -> Iterator[str]:
    """Every constant with the name of a limit that is a number."""
    for folder in ("protocol", "signalr_gateway"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if module.startswith("protocol.testing"):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
                    continue
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if not isinstance(target, ast.Name) or not NAMES_OF_LIMITS.fullmatch(target.id):
                    continue
                if _is_arithmetic(node.value):
                    yield f"{module}.{target.id}"


def _is_arithmetic(value: ast.expr) -> bool:
    allowed = (ast.Constant, ast.BinOp, ast.operator)
    return all(isinstance(node, allowed) for node in ast.walk(value)) and not any(
        isinstance(node, ast.Constant) and not isinstance(node.value, int | float)
        for node in ast.walk(value)
    )


@pytest.mark.parametrize("name", [*options(), *constants()])
def test_every_limit_has_a_row(name: str) -> None:
    """Or `elsewhere.py` says where it is tested, or that it is no limit."""
    assert [name in ROW_NAMES, name in ELSEWHERE, name in NO_LIMITS].count(True) == 1


def test_nothing_else_is_listed() -> None:
    assert {*ROW_NAMES, *ELSEWHERE, *NO_LIMITS} == {*options(), *constants()}


def test_the_gateway_hub_has_only_limits_of_the_library() -> None:
    """Its options set those of the same names."""
    library = {field.name for each in (HubOptions, EndpointOptions) for field in fields(each)}
    hints = get_type_hints(GatewayHubTable)
    assert {name for name, annotation in hints.items() if is_number(annotation)} <= library


def test_every_row_is_played_once() -> None:
    modules = (in_memory, over_sockets, through_the_gateway)
    played = [name for module in modules for name in module.plays.plays]
    assert sorted(played) == sorted(row.name for row in ROWS)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_named_test_exists(name: str) -> None:
    file, _, test = ELSEWHERE[name].partition("::")
    assert re.search(rf"def {test}\(", (ROOT / file).read_text(encoding="utf-8"))
