"""Finds the route that a request names, if its caller may use it (GW-43).

`access.policies` decides. The answer for a route that the caller may not know of is the answer for
a route that does not exist.
"""

from __future__ import annotations

from aiohttp import web

from ..access.policies import Action, Verdict
from ..logs.redaction import no_such_route
from ..orchestration.route import HubRoute
from ..routing.problem_code import ProblemCode
from ..routing.tables import RoutingTables
from .access import Access
from .request_checks import Refusal


def callable_route(
    tables: RoutingTables, access: Access | None, request: web.Request, api: str, key: str
) -> HubRoute:
    """The route `key` of the hub `api`, if the caller may call it. Raises `Refusal`.

    `access` has admitted the request; None if the gateway admits every request.
    """
    route = tables.find_route(api, key)
    user = Access.user(request)
    verdict = tables.policies.decide(user, Action.CALL, route)
    if route is not None and verdict is Verdict.ALLOWED:
        return route
    if access is not None and user is None and not tables.policies.are_empty:
        problem = access.challenge(request)
        raise Refusal(problem.code, problem.detail, *problem.headers)
    if verdict is Verdict.REFUSED:
        raise Refusal(ProblemCode.NOT_AUTHORIZED, "The caller may not call this route.")
    raise Refusal(ProblemCode.ROUTE_NOT_FOUND, no_such_route(api, key))


def shown_route(tables: RoutingTables, request: web.Request, api: str, key: str) -> HubRoute:
    """The route `key` of the hub `api`, if the caller may know of it. Raises `Refusal`."""
    route = tables.find_route(api, key)
    if route is None or not tables.policies.shows(Access.user(request), route):
        raise Refusal(ProblemCode.ROUTE_NOT_FOUND, no_such_route(api, key))
    return route
