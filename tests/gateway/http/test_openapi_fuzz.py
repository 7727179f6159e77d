"""The running gateway answers all calls as its document states (GW-8, GW-9, GW-12).

Schemathesis makes valid and invalid calls from the document, and compares the status, content type,
headers and body of each answer with the document. There are a few calls per operation, the same in
every run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    CheckFunction,
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
)
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation

from signalr_gateway.http.idempotency import KEY_HEADER
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to

Operation = APIOperation[Any, Any, Any, Any]
Seen = Counter[tuple[int, bool]]
"""The number of answers of each status, with and without a body."""

CALLS_OF_A_KIND = 20
EXAMPLES: dict[str, list[list[object]]] = {
    "SendMessage": [[{"name": "John", "message": "Hello!"}]],
    "Echo": [["text"], [{"list": [1.5, None]}]],
    "Nothing": [[]],
    "Fail": [[]],
}


def orchestrate(orchestrator: Orchestrator, url: str) -> None:
    hub = orchestrator.add_hub("Sample", connecting_to(url))
    for method, examples in EXAMPLES.items():
        hub.add_route(f"{method}: {{a}}/%", HubRouteInfo(invoke_method=method, examples=examples))


@pytest.mark.slow
async def test_answers_are_those_of_the_document(hub: RunningHub) -> None:
    """GW-9, GW-12: whatever is drawn from it."""
    async with running_gateway(lambda o: orchestrate(o, hub.url)) as gateway:
        document = (await gateway.request("GET", "/swagger/v1/swagger.json")).body
        seen = await asyncio.to_thread(call_everything, gateway, msgspec.json.decode(document))
    assert {(200, True), (200, False), (400, True), (502, True)} <= set(seen)
    assert (500, True) not in seen  # 500 is documented, but it is a fault of the gateway


def call_everything(gateway: RunningGateway, document: dict[str, Any]) -> Seen:
    """Make the example calls of the document, and generated calls."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=gateway.url)
    seen = Seen()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        call_generated(operation, GenerationMode.POSITIVE, seen)
        if operation.method == "post":
            call_generated(operation, GenerationMode.NEGATIVE, seen)
            media = document["paths"][operation.path]["post"]["requestBody"]["content"]
            for example in media["application/json"]["examples"].values():
                body = example["value"]
                call(operation.Case(body=body, media_type="application/json"), seen)
    return seen


def call_generated(operation: Operation, mode: GenerationMode, seen: Seen) -> None:
    @settings(max_examples=CALLS_OF_A_KIND)
    @given(case=operation.as_strategy(generation_mode=mode))
    def calls(case: Case[Operation]) -> None:
        call(case, seen)

    calls()


def call(case: Case[Operation], seen: Seen) -> None:
    """Raise if the document does not describe the answer."""
    if KEY_HEADER in case.headers:  # a call of its own: a key with another body is answered 422
        case.headers[KEY_HEADER] = f"{seen.total()}"
    response = case.call()
    seen[response.status_code, response.content != b""] += 1
    # The document describes failures of hubs, so 500 is the only 5xx that is a fault.
    excluded: list[CheckFunction] = [not_a_server_error]
    if response.status_code == 200 and not response.content:
        # GW-8: the hub returned nothing. Only the description says that the body may be empty.
        assert response.headers["content-length"] == ["0"]
        excluded += [content_type_conformance, response_schema_conformance]
    case.validate_response(response, excluded_checks=excluded)
