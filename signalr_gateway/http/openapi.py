"""The OpenAPI document of one gateway, made from its orchestration (GW-12).

The document has one path for each route that takes calls, with the problems of
`routing.problem_code`. The schemas of answers come from the Structs that are encoded as answers, so
that they always match. Receive keys are not in the document: calls over HTTP do not need them.
`http.swagger_page` serves the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus

import msgspec

from .. import __version__
from ..orchestration.limits import MAXIMUM_ARGUMENTS
from ..orchestration.listing import ListedHub
from ..orchestration.orchestrator import DownstreamHub, Orchestrator
from ..orchestration.return_types import ReturnType
from ..orchestration.route import HubRoute
from ..routing.problem_code import ProblemCode
from . import addresses
from .health import Health
from .idempotency import KEY_HEADER, MAXIMUM_KEY_LENGTH
from .openapi_answers import (
    Node,
    answer,
    header_references,
    headers,
    problem_responses,
    problems,
    schema_of,
    schemas,
)
from .problem import ProblemBody
from .security_schemes import Security
from .send_api import ClientCount, Message
from .stream_answer import StreamForm

_GATEWAY_TAG = "gateway"
_CLIENTS_TAG = "clients"
_DEFAULT_EXAMPLES = (b"[]", b'["text",1]')
"""The bodies for a route without `examples`. They show the form of a body only, since the
parameters of the hub method are unknown."""

_HEALTH_PROBLEMS = (ProblemCode.METHOD_NOT_ALLOWED, ProblemCode.INTERNAL_ERROR)
_LISTING_PROBLEMS = (
    ProblemCode.NOT_AUTHENTICATED,
    ProblemCode.NOT_AUTHORIZED,
    *_HEALTH_PROBLEMS,
)
_SEND_PROBLEMS = (
    ProblemCode.INVALID_MESSAGE,
    ProblemCode.NOT_AUTHENTICATED,
    ProblemCode.SEND_NOT_ALLOWED,
    ProblemCode.CLIENT_NOT_FOUND,
    ProblemCode.BODY_TIMEOUT,
    ProblemCode.CALL_UNDER_WAY,
    ProblemCode.BODY_TOO_LARGE,
    ProblemCode.UNSUPPORTED_MEDIA_TYPE,
    ProblemCode.IDEMPOTENCY_KEY_REUSED,
    ProblemCode.TOO_MANY_REQUESTS,
    ProblemCode.GATEWAY_DRAINING,
    *_HEALTH_PROBLEMS,
)


def openapi_document(
    orchestrator: Orchestrator,
    hubs: Iterable[DownstreamHub] | None = None,
    *,
    sends: bool = False,
    security: Security | None = None,
) -> bytes:
    """The JSON text of the OpenAPI 3.1 document, for the address `OPENAPI_DOCUMENT`.

    `hubs` are the hubs with the routes to show; None shows all hubs of the orchestrator. `sends`
    says whether the API also sends to clients (`http.send_api`). `security` are the credentials
    that callers may send; None if the gateway knows none.
    """
    shown = orchestrator.hubs.values() if hubs is None else hubs
    credentials = {}
    if security is not None:
        credentials = {"security": security.requirement(are_required=security.are_required)}
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "SignalR gateway",
                "version": __version__,
                "description": _description(orchestrator),
            },
            "servers": [{"url": addresses.ROOT_FROM_DOCUMENT, "description": "this gateway"}],
            **credentials,
            "paths": dict(_paths(shown, sends=sends, security=security)),
            "components": {
                "headers": headers(),
                "responses": problem_responses(),
                "schemas": schemas((list[ListedHub], Health, ProblemBody, Message, ClientCount)),
                **({} if security is None else {"securitySchemes": security.schemes}),
            },
        }
    )


def _description(orchestrator: Orchestrator) -> str:
    text = (
        "A call through a route invokes the method of its hub with the items of the body as"
        " arguments, and waits for its completion. Problem answers have a stable `code`. Each"
        " answer has an `X-Request-Id`: that of the request, or a new one."
    )
    if orchestrator.serves_gateway_hub:
        path = orchestrator.gateway_hub_path
        text += f"\n\nEvents of the hubs go to the SignalR clients of `{path}`."
    return text


def _paths(
    hubs: Iterable[DownstreamHub], *, sends: bool, security: Security | None
) -> Iterator[tuple[str, Node]]:
    ids = _OperationIds()
    for hub in hubs:
        for route in hub.routes.values():
            if route.invoke_method is not None:
                operation = _call(route, ids.of_call(route))
                yield addresses.call_path(route.api, route.key), {"post": operation}
    if sends:
        yield from _sends()
    yield addresses.ORCHESTRATION, {"get": _listing()}
    health = _health()
    if security is not None:
        health["security"] = security.requirement(are_required=False)
    yield addresses.HEALTH, {"get": health}


# --- operations ----------------------------------------------------------------------------


def _call(route: HubRoute, operation_id: str) -> Node:
    """The POST of one route: its arguments, result and problems (GW-7, GW-8, GW-9)."""
    answer = "send its first item" if route.streams else "answer"
    return {
        "tags": [route.api],
        "summary": route.summary or f"Calls {route.invoke_method}",
        "description": (
            f"Invokes `{route.invoke_method}` of the hub `{route.api}`, which has"
            f" {route.invoke_timeout:g} seconds to {answer}."
        ),
        "operationId": operation_id,
        **({} if route.streams else {"parameters": [_IDEMPOTENCY_KEY]}),
        "requestBody": {
            "required": True,
            "description": "The arguments in order. They reach the hub unchanged.",
            "content": {
                "application/json": {
                    "schema": {"type": "array", "maxItems": MAXIMUM_ARGUMENTS, "items": {}},
                    "examples": _body_examples(route),
                }
            },
        },
        "responses": {
            "200": _items(route.returns) if route.streams else _result(route.returns),
            **problems(ProblemCode),
        },
    }


_IDEMPOTENCY_KEY: Node = {
    "name": KEY_HEADER,
    "in": "header",
    "description": "A new value for each call. A call that is repeated with its key is made once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAXIMUM_KEY_LENGTH},
}


def _result(returns: ReturnType) -> Node:
    """The answer of a call that succeeds (GW-8).

    Without a declared type it has no schema: generated clients would parse an empty body as JSON.
    """
    if returns.schema is None:
        return answer("The hub has run the call and returns nothing: the body is empty.")
    description = "The hub's result."
    if returns.may_be_empty:
        description += " The body is empty if the hub returned nothing or null."
    return answer(description, {"schema": returns.schema} if returns.schema else {})


def _items(returns: ReturnType) -> Node:
    """The answer of a streaming route (GW-32).

    OpenAPI 3.1 has no field for the schema of an item.
    """
    item_schema = {"x-item-schema": returns.schema} if returns.schema else {}
    content = {
        form.content_type: {"schema": {"type": "string", "description": text}, **item_schema}
        for form, text in (
            (StreamForm.LINES, "Each line is an item as JSON."),
            (StreamForm.EVENTS, "The data of each event is an item as JSON."),
        )
    }
    return {
        "description": (
            "The items of the stream, each as soon as the hub has sent it. If the stream fails, a"
            " problem is the last line, or the data of an event with the name `problem`."
        ),
        "headers": header_references(HTTPStatus.OK),
        "content": content,
    }


class _OperationIds:
    """Makes operation ids of lower-case letters, digits and single underscores, all different.

    Client generators make names of functions and modules from the ids. Some generators ignore
    letter case and repeated underscores.
    """

    def __init__(self) -> None:
        self._used: set[str] = set()

    def of_call(self, route: HubRoute) -> str:
        """The id of the call through a route."""
        words = re.findall(r"[a-z0-9]+", f"call {route.api} {route.key}".lower())
        first = candidate = "_".join(words)
        number = 1
        while candidate in self._used:
            number += 1
            candidate = f"{first}_{number}"
        self._used.add(candidate)
        return candidate


def _body_examples(route: HubRoute) -> Node:
    bodies = route.examples or map(msgspec.Raw, _DEFAULT_EXAMPLES)
    return {f"example-{number}": {"value": body} for number, body in enumerate(bodies, 1)}


def _listing() -> Node:
    """The GET of the list of hubs and routes (GW-11)."""
    filters = {"apiKey": "api", "routeKey": "key"}
    return {
        "tags": [_GATEWAY_TAG],
        "summary": "Lists hubs and routes",
        "operationId": "orchestration",
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": f"Part of a key, in any letter case; `{alias}` means the same.",
                "schema": {"type": "string"},
            }
            for name, alias in filters.items()
        ],
        "responses": {
            "200": answer(
                "The hubs and routes that match.", {"schema": schema_of(list[ListedHub])}
            ),
            **problems(_LISTING_PROBLEMS),
        },
    }


def _health() -> Node:
    """The GET of health (GW-28)."""
    return {
        "tags": [_GATEWAY_TAG],
        "summary": "Shows whether the hubs are connected",
        "operationId": "health",
        "responses": {
            "200": answer(
                "The gateway serves; each hub with its state.", {"schema": schema_of(Health)}
            ),
            **problems(_HEALTH_PROBLEMS),
        },
    }


def _sends() -> Iterator[tuple[str, Node]]:
    """The paths that send to clients, count them and disconnect one (GW-60, GW-61)."""
    message = {"application/json": {"schema": schema_of(Message)}}
    counted = answer("The number.", {"schema": schema_of(ClientCount)})
    for kind, names in addresses.NAMES_OF_RECEIVERS.items():
        path = "/".join((addresses.SEND, kind, *(f"{{{name}}}" for name in names)))
        parameters = [_path_parameter(name) for name in names]
        sent = _operation(f"send_{kind}", f"Sends a message: {kind}", "202", "Sent.")
        sent["parameters"] = [_IDEMPOTENCY_KEY]
        sent["requestBody"] = {"required": True, "content": message}
        found = _operation(f"exists_{kind}", f"Checks for clients: {kind}", "200", "It exists.")
        operations = {"post": sent, "head": found}
        if kind == "connection":
            closed = _operation("close_connection", "Disconnects a client", "204", "Disconnected.")
            closed["parameters"] = [{"name": "reason", "in": "query", "schema": {"type": "string"}}]
            operations["delete"] = closed
        yield path, {"parameters": parameters, **operations}
        count = _operation(f"count_{kind}", f"Counts clients: {kind}", "200", "The number.")
        count["responses"]["200"] = counted
        yield f"{path}/count", {"parameters": parameters, "get": count}


def _path_parameter(name: str) -> Node:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _operation(operation_id: str, summary: str, status: str, description: str) -> Node:
    return {
        "tags": [_CLIENTS_TAG],
        "summary": summary,
        "operationId": operation_id,
        "responses": {status: answer(description), **problems(_SEND_PROBLEMS)},
    }
