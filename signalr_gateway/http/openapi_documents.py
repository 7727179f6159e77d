"""Keeps an OpenAPI document for each set of calls and sends that a caller may make (GW-48).

`http.openapi` makes the documents, and `http.swagger_page` serves them.
"""

from __future__ import annotations

from typing import Final

from protocol import Principal

from ..access.policies import Policies
from ..access.visible_hubs import visible_hubs
from ..orchestration.orchestrator import Orchestrator
from .openapi import openapi_document
from .security_schemes import Security

_MAXIMUM_KEPT: Final = 32
"""Most gateways have few kinds of callers. A document has some 20 KB, and takes milliseconds."""


class OpenApiDocuments:
    """The documents of one orchestration, which does not change any more."""

    def __init__(
        self, orchestrator: Orchestrator, policies: Policies, security: Security | None
    ) -> None:
        self._orchestrator = orchestrator
        self._policies = policies
        self._security = security
        self._kept: dict[object, bytes] = {}

    def of_caller(self, user: Principal | None, *, may_send: bool) -> bytes:
        """The JSON text of the document with the calls and sends that a caller may make."""
        hubs = visible_hubs(self._orchestrator.hubs.values(), self._policies, user)
        calls = tuple(
            (route.api, route.key)
            for hub in hubs
            for route in hub.routes.values()
            if route.invoke_method is not None
        )
        document = self._kept.pop((calls, may_send), None)
        if document is None:
            document = openapi_document(
                self._orchestrator, hubs, sends=may_send, security=self._security
            )
        self._kept[calls, may_send] = document  # the latest one is the last
        if len(self._kept) > _MAXIMUM_KEPT:
            del self._kept[next(iter(self._kept))]
        return document
