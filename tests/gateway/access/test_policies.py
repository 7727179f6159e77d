"""Which callers meet policies, and which routes a caller may use."""

from __future__ import annotations

from typing import Any

import pytest

from protocol import Principal
from signalr_gateway import HubRouteInfo, Orchestrator, Policy
from signalr_gateway.access.policies import Action, Policies
from signalr_gateway.access.scopes import scopes_of
from signalr_gateway.orchestration.route import HubRoute

CALL, RECEIVE = Action.CALL, Action.RECEIVE


def user(*roles: str, **claims: Any) -> Principal:
    return Principal("ann", frozenset(roles), claims)


def orchestrator(**policies: Policy) -> Orchestrator:
    made = Orchestrator()
    for name, policy in policies.items():
        made.add_policy(name, policy)
    return made


def no_connection(_builder: object) -> Any:
    raise AssertionError("nothing connects")


def with_route(made: Orchestrator, hub: dict[str, Any], **info: Any) -> tuple[Policies, HubRoute]:
    """The policies of an orchestration with one route, which calls and receives, and this route."""
    methods: dict[str, Any] = {"invoke_method": "Call", "receive_method": "Event"}
    made.add_hub("api", no_connection, **hub).add_route("key", HubRouteInfo(**methods | info))
    return Policies(made), made.hubs["api"].routes["key"]


@pytest.mark.parametrize(
    ("policy", "meeting", "others"),
    [
        (Policy(authenticated=True), [user()], []),
        (Policy(roles=["a", "b"]), [user("b", "c")], [user(), user("A")]),
        (Policy(scopes=["r", "w"]), [user(scope="x r")], [user(), user(scope="rw")]),
        (Policy(scopes=["r"]), [user(scp=["x", "r"]), user(scope=["q r"])], [user("r")]),
        (
            Policy(claims={"dept": ["1", "true"], "site": ["x"]}),
            [user(dept=1, site="x"), user(dept=[0, True], site=["y", "x"])],
            [user(dept=1), user(dept="1", site={"x": 1}), user(dept="x", site="1"), user(dept=1.0)],
        ),
        (Policy(roles=["a"], scopes=["r"]), [user("a", scope="r")], [user("a"), user(scope="r")]),
    ],
)
def test_who_meets_a_policy(
    policy: Policy, meeting: list[Principal], others: list[Principal]
) -> None:
    """GW-42: of each list one item is enough, and all conditions must be met."""
    policies, route = with_route(orchestrator(p=policy), {"call_policies": ["p"]})
    assert all(policies.allows(each, CALL, route) for each in meeting)
    assert not any(policies.allows(each, CALL, route) for each in (None, *others))


def test_policies_of_gateway_hub_and_route_add_up() -> None:
    made = orchestrator(**{name: Policy(roles=[name]) for name in "abcd"})
    made.call_policies = ["a"]
    hub = {"call_policies": ["b"]}
    policies, route = with_route(made, hub, call_policies=["c", "d"])
    assert policies.allows(user(*"abcd"), CALL, route)
    for missing in "abcd":
        assert not policies.allows(user(*set("abcd") - {missing}), CALL, route)
    assert policies.allows(None, RECEIVE, route)
    assert policies.meets_gateway_policies(user("a"), CALL)
    assert not policies.meets_gateway_policies(user("b"), CALL)


def test_call_and_receive_are_separate() -> None:
    made = orchestrator(caller=Policy(roles=["caller"]), reader=Policy(roles=["reader"]))
    hub = {"receive_policies": ["reader"]}
    policies, route = with_route(made, hub, call_policies=["caller"])
    allowed = {
        role: [policies.allows(user(role), action, route) for action in (CALL, RECEIVE)]
        for role in ("caller", "reader")
    }
    assert allowed == {"caller": [True, False], "reader": [False, True]}
    assert not policies.is_open(CALL, route)
    assert policies.shows(user("caller"), route)
    assert policies.shows(user("reader"), route)
    assert not policies.shows(user(), route)
    assert not policies.shows(None, route)


def test_a_route_shows_only_by_what_it_does() -> None:
    """A route that only sends is not shown because of events that it does not receive."""
    made = orchestrator(p=Policy(authenticated=True))
    policies, route = with_route(made, {}, receive_method=None, call_policies=["p"])
    assert policies.allows(None, RECEIVE, route)
    assert not policies.shows(None, route)
    policies, route = with_route(
        orchestrator(p=Policy(authenticated=True)), {"receive_policies": ["p"]}, invoke_method=None
    )
    assert not policies.shows(None, route)


def test_without_policies_everyone_may_do_everything() -> None:
    policies, route = with_route(orchestrator(unused=Policy(authenticated=True)), {})
    assert policies.are_empty
    assert policies.is_open(CALL, route)
    assert policies.shows(None, route)


@pytest.mark.parametrize("claim", ["scope", "scp"])
@pytest.mark.parametrize("value", ["a b", ["a", "b"], ["a b"]])
def test_scopes_of_a_user(claim: str, value: object) -> None:
    assert scopes_of(user(**{claim: value})) == {"a", "b"}
