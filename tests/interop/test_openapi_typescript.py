"""A TypeScript program compiles with the types that openapi-typescript generates (GW-12)."""

import subprocess
from pathlib import Path

from signalr_gateway import HubRouteInfo, Orchestrator
from signalr_gateway.http.openapi import openapi_document
from tests.interop.builds import node_program, require

PROGRAM = """
import type { operations, paths } from "./api";

type Result<Name extends keyof operations> = operations[Name]["responses"][200];

const sum: Result<"call_my_hub_add">["content"]["application/json"] = 5;
const names: Result<"call_my_hub_names">["content"]["application/json"] = ["a", "b"];
const nothing: Result<"call_my_hub_clear">["content"] = undefined;
const anything: Result<"call_my_hub_class">["content"]["application/json"] = { a: [1] };
const call: paths["/api/Gateway/hub/my%20hub/add"]["post"] = {} as operations["call_my_hub_add"];
type Timeout = operations["call_my_hub_add"]["responses"][504];
type Problem = Timeout["content"]["application/problem+json"];
const code: Problem["code"] = "hub-timeout";
const items: Result<"call_my_hub_items">["content"]["application/x-ndjson"] = "1\\n2\\n";
// @ts-expect-error: a number is no list of texts
const wrong: Result<"call_my_hub_names">["content"]["application/json"] = 5;
export { anything, call, code, items, names, nothing, sum, wrong };
"""


def test_types_of_the_document(tmp_path: Path) -> None:
    orchestrator = Orchestrator()
    hub = orchestrator.add_hub("My Hub", lambda builder: builder.build())
    for key, returns in (
        ("add", "int"),
        ("names", "string[]"),
        ("clear", "nothing"),
        ("class", None),
    ):
        hub.add_route(key, HubRouteInfo(invoke_method="I", returns=returns))
    hub.add_route("items", HubRouteInfo(invoke_method="I", returns="int", streams=True))
    (tmp_path / "openapi.json").write_bytes(openapi_document(orchestrator))
    (tmp_path / "program.ts").write_text(PROGRAM, encoding="utf-8")
    modules = node_program() / "node_modules"
    run(tmp_path, modules / "openapi-typescript/bin/cli.js", "openapi.json", "-o", "api.d.ts")
    run(tmp_path, modules / "typescript/bin/tsc", "--noEmit", "--strict", "program.ts")


def run(folder: Path, script: Path, *arguments: str) -> None:
    """Run a script of a package in `folder`; it must not fail."""
    result = subprocess.run(
        [require("node"), str(script), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
