"""The OpenAPI document of an orchestration (GW-12)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from protocol import Authenticator, HubConnection, HubConnectionBuilder
from protocol.relaying import authenticator_of
from signalr_gateway import HubRouteInfo, Orchestrator, __version__
from signalr_gateway.access.api_keys import ApiKeys
from signalr_gateway.access.authenticators import FirstOf
from signalr_gateway.cli import demo as demo_module
from signalr_gateway.http.openapi import openapi_document
from signalr_gateway.http.security_schemes import security_of
from signalr_gateway.routing.problem_code import ProblemCode
from tests.gateway.sample_hub import RECEIVE_KEY, sample_routes

Document = dict[str, Any]

ROOM = "/api/Gateway/hub/sample/room"
OTHERS = {"/api/Gateway/orchestration", "/healthz"}


def never_built(builder: HubConnectionBuilder) -> HubConnection:
    raise AssertionError("a document needs no connection")


def document_of(orchestrator: Orchestrator) -> Document:
    document: Document = msgspec.json.decode(openapi_document(orchestrator))
    return document


@pytest.fixture
def document() -> Document:
    """Of a hub with routes of every kind."""
    orchestrator = Orchestrator()
    sample_routes(orchestrator, "http://127.0.0.1:9/samplehub", receive_key=RECEIVE_KEY)
    return document_of(orchestrator)


def resolved(document: Document, node: Document) -> Document:
    """The node that `node` refers to, or `node` itself."""
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def problem_codes(document: Document, operation: Document) -> dict[str, int]:
    """Each problem code in the answers of an operation, with its status."""
    codes: dict[str, int] = {}
    for status, reference in operation["responses"].items():
        content = resolved(document, reference)["content"]
        if "application/problem+json" in content:
            schema = content["application/problem+json"]["schema"]
            assert schema["properties"]["status"] == {"const": int(status)}
            codes |= dict.fromkeys(schema["properties"]["code"]["enum"], int(status))
    return codes


def test_is_valid_openapi(document: Document) -> None:
    """GW-12."""
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == __version__
    OpenAPIV31SpecValidator(document).validate()


def test_is_valid_when_there_is_no_hub() -> None:
    document = document_of(Orchestrator())
    OpenAPIV31SpecValidator(document).validate()
    assert set(document["paths"]) == OTHERS


def test_every_route_that_takes_calls_has_a_path(document: Document) -> None:
    """GW-12: with its real keys; those that only receive have none."""
    keys = "room echo ten nothing fail crash hold abort nosuchmethod one two".split()
    assert set(document["paths"]) - OTHERS == {f"/api/Gateway/hub/sample/{key}" for key in keys}


def test_keys_are_escaped_one_by_one() -> None:
    """GW-7: so that the address leads to the route, and no part looks like a parameter."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("a/b", never_built).add_route("c", HubRouteInfo(invoke_method="I"))
    orchestrator.add_hub("a", never_built).add_route("b/c", HubRouteInfo(invoke_method="I"))
    orchestrator.add_hub("ü {x}?", never_built).add_route("%:", HubRouteInfo(invoke_method="I"))
    document = document_of(orchestrator)
    OpenAPIV31SpecValidator(document).validate()
    assert set(document["paths"]) - OTHERS == {
        "/api/Gateway/hub/a%2Fb/c",
        "/api/Gateway/hub/a/b%2Fc",
        "/api/Gateway/hub/%C3%BC%20%7Bx%7D%3F/%25%3A",
    }


def operation_ids(*routes: tuple[str, str]) -> list[str]:
    orchestrator = Orchestrator()
    hubs = {api: orchestrator.add_hub(api, never_built) for api in dict(routes)}
    for api, key in routes:
        hubs[api].add_route(key, HubRouteInfo(invoke_method="I"))
    paths = document_of(orchestrator)["paths"].values()
    ids = [operation["operationId"] for path in paths for operation in path.values()]
    assert len(set(ids)) == len(routes) + len(OTHERS)
    assert all(re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", each) for each in ids)
    return ids[: len(routes)]


def test_operation_ids_are_names_in_every_language() -> None:
    """Letters, digits and single underscores; they stay different where keys differ in others."""
    assert operation_ids(("Chat", "Room"), ("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c")) == [
        "call_chat_room",
        "call_a_b_c",
        "call_a_b_c_2",
        "call_a_3ab_c",
    ]
    assert operation_ids(("a", "b__c"), ("a_", "_b-c"), ("ü", "ß"), ("é", "?")) == [
        "call_a_b_c",
        "call_a_b_c_2",
        "call",
        "call_2",
    ]
    assert operation_ids(("a", "b"), ("a_", "b"), ("a__", "b_2"), ("A-", "b 2"))[1:] == [
        "call_a_b_2",
        "call_a_b_2_2",
        "call_a_b_2_3",
    ]


def test_the_server_is_relative_to_the_document(document: Document) -> None:
    """So that what a proxy puts before /swagger/v1/swagger.json stays before the paths."""
    assert [server["url"] for server in document["servers"]] == ["../.."]


def test_the_body_is_a_list_of_at_most_ten_values(document: Document) -> None:
    body = document["paths"][ROOM]["post"]["requestBody"]
    assert body["required"] is True
    schema = body["content"]["application/json"]["schema"]
    assert schema == {"type": "array", "maxItems": 10, "items": {}}


def test_a_call_takes_an_idempotency_key(document: Document) -> None:
    """GW-37: not on a route that streams."""
    [parameter] = document["paths"][ROOM]["post"]["parameters"]
    assert (parameter["name"], parameter["in"]) == ("Idempotency-Key", "header")
    assert "required" not in parameter
    orchestrator = Orchestrator()
    route = HubRouteInfo(invoke_method="Count", streams=True)
    orchestrator.add_hub("hub", never_built).add_route("count", route)
    stream = document_of(orchestrator)["paths"]["/api/Gateway/hub/hub/count"]["post"]
    assert "parameters" not in stream


def test_the_demos_route_shows_the_documentations_call() -> None:
    orchestrator = Orchestrator()
    demo_module.orchestrate(orchestrator, "http://127.0.0.1:9/chathub")
    operation = document_of(orchestrator)["paths"]["/api/Gateway/hub/chatservice/room"]["post"]
    assert operation["summary"] == "Send a message to all clients"
    assert bodies(operation) == [[{"name": "John", "message": "Hello!"}]]


def test_summary_and_examples_are_the_authors() -> None:
    info = HubRouteInfo(invoke_method="Add", summary="Adds", examples=[[1, 2], [0.5, -1]])
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", never_built).add_route("add", info)
    operation = document_of(orchestrator)["paths"]["/api/Gateway/hub/h/add"]["post"]
    assert operation["summary"] == "Adds"
    assert bodies(operation) == [[1, 2], [0.5, -1]]


def test_a_route_without_examples_shows_what_a_body_looks_like(document: Document) -> None:
    operation = document["paths"][ROOM]["post"]
    assert operation["summary"] == "Calls SendMessage"
    assert bodies(operation) == [[], ["text", 1]]


def bodies(operation: Document) -> list[Any]:
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    return [example["value"] for example in examples.values()]


def test_calls_name_every_problem_of_the_table(document: Document) -> None:
    """GW-9: all codes, each under its own status, which identifies the answer."""
    expected = {code.code: code.status.value for code in ProblemCode}
    for path in set(document["paths"]) - OTHERS:
        assert problem_codes(document, document["paths"][path]["post"]) == expected


def test_each_get_has_its_own_codes(document: Document) -> None:
    health = problem_codes(document, document["paths"]["/healthz"]["get"])
    assert health == {"method-not-allowed": 405, "internal-error": 500}
    listing = problem_codes(document, document["paths"]["/api/Gateway/orchestration"]["get"])
    assert {code for code, status in listing.items() if status not in (401, 403)} == set(health)
    assert {"not-authenticated", "not-authorized"} <= set(listing)


KEYS = ApiKeys([])
TOKENS = authenticator_of(lambda _: None)
API_KEY: Document = {"apiKey": []}
BEARER: Document = {"bearer": []}


@pytest.mark.parametrize(
    ("authenticator", "authorize", "expected"),
    [
        (KEYS, True, [API_KEY]),
        (TOKENS, {"admin"}, [BEARER]),
        (FirstOf([KEYS, TOKENS]), True, [API_KEY, BEARER]),
        (KEYS, False, [{}, API_KEY]),
        (KEYS, lambda _: True, [{}, API_KEY]),
    ],
)
def test_credentials(
    authenticator: Authenticator, authorize: Any, expected: list[Document]
) -> None:
    """GW-47: which credentials callers may send, and whether they need any."""
    security = security_of(authenticator, authorize)
    document = msgspec.json.decode(openapi_document(Orchestrator(), security=security))
    OpenAPIV31SpecValidator(document).validate()
    assert document["security"] == expected
    schemes = document["components"]["securitySchemes"]
    assert set(schemes) == {name for each in expected for name in each}
    if "apiKey" in schemes:
        assert (schemes["apiKey"]["in"], schemes["apiKey"]["name"]) == ("header", "X-Api-Key")
    health = document["paths"]["/healthz"]["get"]["security"]
    assert health == [{}, *(each for each in expected if each)]


def test_without_credentials(document: Document) -> None:
    """GW-47."""
    assert security_of(None, False) is None
    assert "security" not in document
    assert "securitySchemes" not in document["components"]


@pytest.mark.parametrize("code", list(ProblemCode))
def test_problems_are_shown_as_they_are_sent(document: Document, code: ProblemCode) -> None:
    answer = document["components"]["responses"][f"Problem{code.status.value}"]
    assert f"`{code.code}`: {code.title}" in answer["description"]
    example = answer["content"]["application/problem+json"]["examples"][code.code]["value"]
    assert example["code"] == code.code
    assert example["status"] == code.status.value
    assert set(example) == set(document["components"]["schemas"]["ProblemBody"]["required"])


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (405, {"X-Request-Id", "Allow"}),
        (429, {"X-Request-Id", "Retry-After"}),
        (502, {"X-Request-Id"}),
        (503, {"X-Request-Id", "Retry-After"}),
    ],
)
def test_headers_of_problems(document: Document, status: int, headers: set[str]) -> None:
    assert set(document["components"]["responses"][f"Problem{status}"]["headers"]) == headers


@dataclass
class Total:
    grand_total: Decimal
    parts: list[int]
    label: str | None
    inner: Total | None


MAY_BE_EMPTY = "The hub's result. The body is empty if the hub returned nothing or null."


@pytest.mark.parametrize(
    ("returns", "description", "content"),
    [
        (None, MAY_BE_EMPTY, {}),
        ("object", MAY_BE_EMPTY, {}),
        ("nothing", "The hub has run the call and returns nothing: the body is empty.", None),
        ("int", "The hub's result.", {"schema": {"type": "integer", "format": "int32"}}),
        ("int?", MAY_BE_EMPTY, {"schema": {"type": "integer", "format": "int32"}}),
        (int | None, MAY_BE_EMPTY, {"schema": {"type": "integer", "format": "int64"}}),
        (
            Total,
            "The hub's result.",
            {
                "schema": {
                    "type": "object",
                    "properties": {
                        "grandTotal": {"type": "number"},
                        "parts": {"type": "array", "items": {"type": "integer", "format": "int64"}},
                        "label": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                        "inner": {"anyOf": [{"type": "object"}, {"type": "null"}]},
                    },
                }
            },
        ),
    ],
)
def test_what_a_call_returns(
    returns: object, description: str, content: dict[str, Any] | None
) -> None:
    """GW-8: the answer says whether its body may be empty."""
    orchestrator = Orchestrator()
    info = HubRouteInfo(invoke_method="I", returns=returns)
    orchestrator.add_hub("h", never_built).add_route("r", info)
    document = document_of(orchestrator)
    OpenAPIV31SpecValidator(document).validate()
    answer = document["paths"]["/api/Gateway/hub/h/r"]["post"]["responses"]["200"]
    assert answer["description"] == description
    assert answer.get("content") == (None if content is None else {"application/json": content})


@pytest.mark.parametrize("returns", [None, "int"])
def test_the_answer_of_a_stream(returns: object) -> None:
    """GW-32: both forms, each with the schema of an item if the route declares one."""
    orchestrator = Orchestrator()
    info = HubRouteInfo(invoke_method="I", streams=True, returns=returns)
    orchestrator.add_hub("h", never_built).add_route("r", info)
    document = document_of(orchestrator)
    OpenAPIV31SpecValidator(document).validate()
    operation = document["paths"]["/api/Gateway/hub/h/r"]["post"]
    assert "30 seconds to send its first item" in operation["description"]
    content = operation["responses"]["200"]["content"]
    assert list(content) == ["application/x-ndjson", "text/event-stream"]
    for media in content.values():
        assert media["schema"]["type"] == "string"
        item = None if returns is None else {"type": "integer", "format": "int32"}
        assert media.get("x-item-schema") == item


def test_the_gateway_hub_is_mentioned_while_there_is_one() -> None:
    orchestrator = Orchestrator()
    orchestrator.gateway_hub_url = "https://localhost:44360/Events"
    assert "`/Events`" in document_of(orchestrator)["info"]["description"]
    orchestrator.start_gateway_hub = False
    assert "`/Events`" not in document_of(orchestrator)["info"]["description"]


def test_no_secret_is_in_it() -> None:
    orchestrator = Orchestrator()
    sample_routes(
        orchestrator, "http://127.0.0.1:9/samplehub?access_token=HUSH", receive_key=RECEIVE_KEY
    )
    text = openapi_document(orchestrator)
    for secret in (RECEIVE_KEY, "HUSH", "127.0.0.1"):
        assert secret.encode() not in text
