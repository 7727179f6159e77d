"""Checks the arguments of `create_app`, and applies its limits to the options of the gateway hub.

`serving.app` creates the parts of the gateway with these arguments.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TypeVar

from protocol import EndpointOptions, HubOptions, SlowClientPolicy
from protocol.relaying import Authorize, needs_user, require_authorize

from ..orchestration.checks import OrchestrationError
from ..orchestration.limits import Limits
from ..orchestration.orchestrator import Orchestrator

OptionsT = TypeVar("OptionsT", HubOptions, EndpointOptions)


def require_no_relayed_hubs(orchestrator: Orchestrator) -> None:
    """Raise `OrchestrationError` for a relayed hub: without credentials, no caller is a relay."""
    for hub in orchestrator.hubs.values():
        if hub.relayed:
            problem = "needs authentication: a relay has credentials with the scope 'relay'"
            raise OrchestrationError(problem, hub=hub.api, field="relayed")


def check_types(limits: object, hub_options: object, endpoint_options: object) -> None:
    """Raise TypeError if one of the three has another type."""
    for name, value, kind, none in (
        ("limits", limits, Limits, ()),
        ("hub_options", hub_options, HubOptions, (None,)),
        ("endpoint_options", endpoint_options, EndpointOptions, (None,)),
    ):
        if not isinstance(value, kind) and value not in none:
            raise TypeError(f"{name} must be {kind.__name__}, not {type(value).__name__}")


def check_places(hub_options: HubOptions | None, endpoint_options: EndpointOptions | None) -> None:
    """Raise ValueError for an option that belongs in a route, the orchestrator or an argument."""
    if hub_options is not None and hub_options.slow_client_policy is not SlowClientPolicy.CLOSE:
        raise ValueError("slow_client_policy is the queue_policy of a route, not of HubOptions")
    if endpoint_options is None:
        return
    if endpoint_options.allowed_origins is not None:
        raise ValueError("allowed_origins belongs in the orchestrator, not in EndpointOptions")
    if endpoint_options.allowed_hosts is not None:
        raise ValueError("allowed_hosts is an argument of create_app, not of EndpointOptions")
    if endpoint_options.authenticate is not None or endpoint_options.authorize is not False:
        raise ValueError("authenticate and authorize are arguments of create_app")


def check_requirements(
    requirement: Authorize, orchestration: Authorize, call: Authorize, *, has_users: bool
) -> None:
    """Raise TypeError for a wrong requirement, and ValueError for one that needs a user."""
    require_authorize(requirement)
    for name, further in (("authorize_orchestration", orchestration), ("authorize_call", call)):
        require_authorize(further, name)
        if not has_users and needs_user(further):
            raise ValueError(f"{name} needs a user: set authenticate")


def limited(options: OptionsT, limits: Limits) -> OptionsT:
    """Copy `options`, with the values of `limits` in the fields that both have.

    Raises ValueError if `options` itself sets one of these fields.
    """
    kind = type(options)
    default = kind()
    values = {
        each.name: getattr(limits, each.name)
        for each in fields(kind)
        if each.name in limits.__struct_fields__
    }
    for name, value in values.items():
        if getattr(options, name) not in (value, getattr(default, name)):
            raise ValueError(f"{name} belongs in limits, not in {kind.__name__}")
    return replace(options, **values)
