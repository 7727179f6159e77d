"""A client that openapi-python-client generates from the document calls the gateway (GW-12)."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from signalr_gateway import HubRouteInfo, Orchestrator
from tests.gateway.running_gateway import running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to


def orchestrate(orchestrator: Orchestrator, url: str) -> None:
    """Routes of every return type, and keys that are not valid identifiers."""
    hub = orchestrator.add_hub("my hub", connecting_to(url))
    for key, method, returns in (
        ("ten", "Ten", "int"),
        ("echo", "Echo", "string[]"),
        ("nothing", "Nothing", "nothing"),
        ("any/thing", "Nothing", None),
        ("any thing", "Fail", None),
        ("class", "Echo", "object"),
    ):
        hub.add_route(key, HubRouteInfo(invoke_method=method, returns=returns))
    hub.add_route("items", HubRouteInfo(invoke_method="Count", returns="int", streams=True))


def generate(document: bytes, folder: Path) -> None:
    """Generate the package `generated` in `folder`; each warning of the generator is an error."""
    (folder / "openapi.json").write_bytes(document)
    (folder / "config.yml").write_text("post_hooks: []", encoding="utf-8")
    output = ("--output-path", "generated", "--meta", "none", "--fail-on-warning")
    given = ("--path", "openapi.json", "--config", "config.yml")
    result = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", *given, *output],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
async def test_a_generated_client(
    hub: RunningHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    async with running_gateway(lambda o: orchestrate(o, hub.url)) as gateway:
        generate((await gateway.request("GET", "/swagger/v1/swagger.json")).body, tmp_path)
        generated: Any = importlib.import_module("generated")

        async def call(operation: str, *arguments: object) -> Any:
            tag = "gateway" if operation in ("health", "orchestration") else "my_hub"
            module: Any = importlib.import_module(f"generated.api.{tag}.{operation}")
            body = {} if tag == "gateway" else {"body": list(arguments)}
            return await module.asyncio_detailed(client=client, **body)

        async with generated.Client(base_url=gateway.url) as client:
            assert (await call("call_my_hub_ten", *range(10))).parsed == 10
            assert (await call("call_my_hub_echo", ["a", "b"])).parsed == ["a", "b"]
            for operation in ("call_my_hub_nothing", "call_my_hub_any_thing"):
                answer = await call(operation)
                assert (answer.status_code, answer.parsed) == (200, None)
            failed = await call("call_my_hub_any_thing_2")
            assert (failed.status_code, failed.parsed.code) == (502, "hub-error")
            assert json.loads((await call("call_my_hub_class", {"a": 0.5})).content) == {"a": 0.5}
            assert (await call("health")).parsed.status == "ok"
            assert [each.api for each in (await call("orchestration")).parsed] == ["my hub"]
