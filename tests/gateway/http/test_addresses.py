"""`http.addresses`, which is the only module that contains the gateway's paths."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from signalr_gateway.http import addresses
from signalr_gateway.http.addresses import Call, Endpoint, Receivers, call_path, find_endpoint

SOURCES = sorted((Path(__file__).parents[2] / "signalr_gateway").rglob("*.py"))
OWN_PATH = re.compile(
    r"/(api|healthz|livez|readyz|metrics|console|swagger|gatewayhub)(?![\w.])", re.IGNORECASE
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/api/Gateway/hub/chat/room", Call("chat", "room")),
        ("/API/gateway/HUB/Chat/Room/", Call("Chat", "Room")),
        ("/api/Gateway/hub/a%2Fb/%25", Call("a/b", "%")),
        ("/api/Gateway/orchestration", Endpoint.ORCHESTRATION),
        ("/api/gateway/ORCHESTRATION/", Endpoint.ORCHESTRATION),
        ("/api/Gateway/send/all", Receivers("all")),
        ("/API/gateway/SEND/All/Count/", Receivers("all", are_counted=True)),
        ("/api/Gateway/send/group/a%2FB", Receivers("group", ("a/B",))),
        ("/api/Gateway/send/group/count", Receivers("group", ("count",))),
        ("/api/Gateway/send/group/count/count", Receivers("group", ("count",), True)),
        ("/api/Gateway/send/user/ann", Receivers("user", ("ann",))),
        ("/api/Gateway/send/connection/x", Receivers("connection", ("x",))),
        ("/api/Gateway/send/route/a/k/u", Receivers("route", ("a", "k", "u"))),
        ("/api/Gateway/send/route/a/k", None),
        ("/api/Gateway/send/group/a/b", None),
        ("/api/Gateway/send/others", None),
        ("/api/Gateway/send", None),
        ("/healthz", Endpoint.HEALTH),
        ("/Healthz/", Endpoint.HEALTH),
        ("/api%2FGateway/orchestration", None),
        ("/api/Gateway/hub/chat", None),
        ("/api/Gateway/hub/chat/room/x", None),
        ("/api/Gateway/hub/chat/%C3", None),
        ("/api/Gateway", None),
        ("/healthz/x", None),
        ("/", None),
        ("", None),
    ],
)
def test_endpoints(path: str, found: Call | Endpoint | Receivers | None) -> None:
    assert find_endpoint(path) == found


@pytest.mark.parametrize("names", [("chat", "room"), ("a/b", "%"), ("ä", "?#")])
def test_the_path_of_a_call_leads_back_to_its_route(names: tuple[str, str]) -> None:
    assert find_endpoint(call_path(*names)) == Call(*names)


def test_from_the_document_to_the_root() -> None:
    assert addresses.ROOT_FROM_DOCUMENT == "../.."


def test_no_other_module_has_a_path_of_the_gateway() -> None:
    offenders = [
        f"{path.name}, line {node.lineno}: {node.value!r}"
        for path in SOURCES
        if path.name != "addresses.py"
        for node in texts(ast.parse(path.read_text(encoding="utf-8")))
        if OWN_PATH.search(str(node.value))
    ]
    assert offenders == []


def texts(tree: ast.Module) -> list[ast.Constant]:
    """The texts that a module uses, without its docstrings."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]
