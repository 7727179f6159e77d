"""The answers of the OpenAPI document, with their headers, problems and schemas.

`http.openapi` decides which operation has which answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

from ..routing.problem_code import ProblemCode
from .problem import CONTENT_TYPE, Problem, ProblemBody

Node = dict[str, Any]
"""A JSON object of the document."""

_EXAMPLE_REQUEST_ID = "6f3c1a52e0b94d7c8a1f0b2d3e4c5a69"


def answer(description: str, media: Node | None = None) -> Node:
    """A successful answer. `media` describes its JSON body; None: the body is empty."""
    content = {} if media is None else {"content": {"application/json": media}}
    return {
        "description": description,
        "headers": header_references(HTTPStatus.OK),
        **content,
    }


def problems(codes: Iterable[ProblemCode]) -> Node:
    """References to the problem responses of these codes, by status."""
    return {
        str(code.status.value): {"$ref": f"#/components/responses/{_response_name(code.status)}"}
        for code in codes
    }


def problem_responses() -> Node:
    """The answers to which `problems` refers, one for each status."""
    statuses = dict.fromkeys(code.status for code in ProblemCode)
    return {_response_name(status): _problem_response(status) for status in statuses}


def _problem_response(status: HTTPStatus) -> Node:
    codes = [code for code in ProblemCode if code.status is status]
    return {
        "description": "\n".join(f"- `{code.code}`: {code.title}" for code in codes),
        "headers": header_references(status),
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "allOf": [schema_of(ProblemBody)],
                    "properties": {
                        "status": {"const": status.value},
                        "code": {"enum": [code.code for code in codes]},
                    },
                },
                "examples": {code.code: {"value": _problem_example(code)} for code in codes},
            }
        },
    }


def _problem_example(code: ProblemCode) -> msgspec.Raw:
    return msgspec.Raw(Problem(code, f"{code.title}.").body(_EXAMPLE_REQUEST_ID))


def _response_name(status: HTTPStatus) -> str:
    return f"Problem{status.value}"


_HEADERS_OF = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.METHOD_NOT_ALLOWED: ("Allow",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}


def header_references(status: HTTPStatus) -> Node:
    """References to the headers of answers with this status."""
    names = ("X-Request-Id", *_HEADERS_OF.get(status, ()))
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def headers() -> Node:
    """The headers to which answers refer, by name."""

    def header(description: str, kind: str) -> Node:
        return {"description": description, "required": True, "schema": {"type": kind}}

    return {
        "X-Request-Id": header("The id of the request: the caller's, or a new one.", "string"),
        "WWW-Authenticate": header("The credentials that are accepted.", "string"),
        "Allow": header("The methods that are allowed.", "string"),
        "Retry-After": header("Seconds after which to try again.", "integer"),
    }


# --- schemas -------------------------------------------------------------------------------

_REFERENCE = "#/components/schemas/{name}"


def schema_of(kind: Any) -> Node:
    """The schema of the JSON value of this type. It may refer to `schemas`."""
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    return schema


def schemas(kinds: Iterable[Any]) -> Node:
    """The schemas to which the schemas of these types refer, by name."""
    _, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    return components
