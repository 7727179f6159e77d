"""Mistakes in policies, and in the names under which hubs and routes refer to them."""

from __future__ import annotations

from typing import Any

import pytest

from signalr_gateway import HubRouteInfo, OrchestrationError, Orchestrator, Policy


def no_connection(_builder: object) -> Any:
    raise AssertionError("nothing connects")


def policy(**values: Any) -> Policy:
    """A policy with values that a type checker refuses."""
    return Policy(**values)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (Policy(), "policies.p.authenticated: a policy needs a condition"),
        (Policy(roles=[], claims={}), "policies.p.authenticated: a policy needs a condition"),
        (policy(authenticated="no"), "policies.p.authenticated: must be True or False"),
        (Policy(roles="admin"), "policies.p.roles: must be a list of non-empty texts"),
        (Policy(scopes=["r", ""]), "policies.p.scopes: must be a list of non-empty texts"),
        (Policy(claims={"dept": []}), "policies.p.claims: must have a list of at least one"),
        (Policy(claims={"dept": "sales"}), "policies.p.claims: must have a list of at least one"),
        (Policy(claims={"": ["x"]}), "policies.p.claims: must have a list of at least one"),
        (policy(claims=["dept"]), "policies.p.claims: must have a list of at least one"),
        (["admin"], "policies: 'p' must be a Policy, not list"),
    ],
)
def test_mistakes_in_a_policy(wrong: Any, error: str) -> None:
    with pytest.raises(OrchestrationError) as caught:
        Orchestrator().add_policy("p", wrong)
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["staf"], "unknown policy 'staf'; did you mean 'staff'?"),
        ("staff", "must be a list of texts"),
        ([None], "must be a list of texts"),
    ],
)
@pytest.mark.parametrize("field", ["call_policies", "receive_policies"])
def test_names_of_policies(field: str, names: Any, problem: str) -> None:
    """GW-42: the gateway, a hub and a route refuse names of policies that are not defined."""
    made = Orchestrator()
    made.add_policy("staff", Policy(roles=["staff"]))
    hub = made.add_hub("api", no_connection)
    info = HubRouteInfo(invoke_method="Call", receive_method="Event", **{field: names})
    errors = []
    for refused in (
        lambda: setattr(made, field, names),
        lambda: made.add_hub("other", no_connection, **{field: names}),
        lambda: hub.add_route("key", info),
    ):
        with pytest.raises(OrchestrationError) as caught:
            refused()
        errors.append(str(caught.value))
    assert errors == [
        f"{field}: {problem}",
        f"hub 'other', {field}: {problem}",
        f"hub 'api', route 'key', {field}: {problem}",
    ]


def test_a_name_without_any_policy() -> None:
    with pytest.raises(OrchestrationError, match="unknown policy 'a'; no policies are defined"):
        Orchestrator().call_policies = ["a"]


def test_a_policy_is_defined_once_and_copied() -> None:
    """A change to a list of the author has no effect on the policy."""
    made = Orchestrator()
    roles = ["staff"]
    made.add_policy("staff", Policy(roles=roles))
    roles.append("guest")
    assert made.policies["staff"].roles == ("staff",)
    with pytest.raises(OrchestrationError, match="the policy 'staff' is already defined"):
        made.add_policy("staff", Policy(roles=["other"]))
    with pytest.raises(OrchestrationError, match="a name must be non-empty text"):
        made.add_policy("", Policy(roles=["other"]))


@pytest.mark.parametrize(
    ("info", "error"),
    [
        (
            HubRouteInfo(receive_method="Event", call_policies=["p"]),
            "call_policies: has no meaning without an invoke_method",
        ),
        (
            HubRouteInfo(invoke_method="Call", receive_policies=["p"]),
            "receive_policies: has no meaning without a receive_method",
        ),
    ],
)
def test_policies_of_what_a_route_does_not_do(info: HubRouteInfo, error: str) -> None:
    made = Orchestrator()
    made.add_policy("p", Policy(authenticated=True))
    with pytest.raises(OrchestrationError, match=error):
        made.add_hub("api", no_connection).add_route("key", info)
