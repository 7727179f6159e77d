"""The table of limits in docs/gateway.md is complete, and a flood over each limit is tested."""

from __future__ import annotations

import re
from typing import Final, get_type_hints

import pytest

from signalr_gateway.config.schema import GatewayHubTable, HubTable
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.route import HubRouteInfo
from tests.support.checkout import ROOT
from tests.support.documents import table

from .floods import FLOODS, NO_FLOOD
from .test_table import is_number

NO_LIMITS: Final = {
    "keep_alive_interval": "how often pings are sent",
    "minimum_protocol_version": "a version",
    "authentication_refresh": "how early a token is replaced",
}


def documented() -> set[str]:
    rows = table(ROOT / "docs" / "gateway.md", "limit", "of", "beyond it", "in the log")
    return {name for row in rows for name in row[0].split(", ") if "(" not in name}


def options() -> set[str]:
    return {
        name
        for each in (Limits, GatewayHubTable, HubTable, HubRouteInfo)
        for name, annotation in get_type_hints(each).items()
        if is_number(annotation)
    }


def test_the_table_names_every_limit() -> None:
    """GW-62."""
    assert documented() == options() - set(NO_LIMITS)


def test_every_limit_has_its_flood() -> None:
    """Or an entry that says why a flood over it needs no memory (GW-62)."""
    assert {*FLOODS, *NO_FLOOD} == documented()
    assert not set(FLOODS) & set(NO_FLOOD)


@pytest.mark.parametrize("name", sorted(set(FLOODS.values())))
def test_the_named_test_exists(name: str) -> None:
    file, _, test = name.partition("::")
    assert re.search(rf"def {test}\(", (ROOT / file).read_text(encoding="utf-8"))
