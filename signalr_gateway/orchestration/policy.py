"""`Policy`: what a caller has to be, and the names under which hubs and routes refer to policies.

`access.policies` decides which callers meet the policies of a route (GW-42).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, TypeGuard

from msgspec import Struct, field

from .checks import OrchestrationError, is_list, is_name, suggestion
from .option_types import Text, option

CallPolicies = Annotated[
    Sequence[Text],
    option("Names of policies that a caller must meet to call.", in_file=list[Text]),
]
ReceivePolicies = Annotated[
    Sequence[Text],
    option(
        "Names of policies that a client must meet to subscribe and to receive events.",
        in_file=list[Text],
    ),
]


class Policy(Struct, frozen=True, kw_only=True):
    """[policies.NAME]: a policy; a caller meets it if it meets all conditions that are set.

    At least one condition must be set. No anonymous caller meets a policy.
    """

    authenticated: Annotated[
        bool, option("`true`: the caller has valid credentials. Each other option implies this.")
    ] = False
    roles: Annotated[
        Sequence[Text],
        option("The caller has at least one of these roles.", in_file=list[Text]),
    ] = ()
    scopes: Annotated[
        Sequence[Text],
        option(
            "The caller has at least one of these scopes, by the claim `scope` or `scp`.",
            in_file=list[Text],
        ),
    ] = ()
    claims: Annotated[
        Mapping[str, Sequence[Text]],
        option(
            "For each of these claims, the caller has at least one of the listed values.",
            in_file=dict[str, list[Text]],
        ),
    ] = field(default_factory=dict)


def checked_policy(name: str, policy: object) -> Policy:
    """Check the policy `name` and return a copy of it. Raises `OrchestrationError`."""
    if not isinstance(policy, Policy):
        problem = f"{name!r} must be a Policy, not {type(policy).__name__}"
        raise OrchestrationError(problem, field="policies")
    for field_name, problem in _problems(policy):
        raise OrchestrationError(problem, field=f"policies.{name}.{field_name}")
    return Policy(
        authenticated=policy.authenticated,
        roles=tuple(policy.roles),
        scopes=tuple(policy.scopes),
        claims={claim: tuple(values) for claim, values in policy.claims.items()},
    )


def _problems(policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.authenticated not in (True, False):
        yield "authenticated", "must be True or False"
    for name in ("roles", "scopes"):
        if not _are_names(getattr(policy, name)):
            yield name, "must be a list of non-empty texts"
    if not _are_claims(policy.claims):
        yield "claims", "must have a list of at least one non-empty text for each claim"
    if not (policy.authenticated or policy.roles or policy.scopes or policy.claims):
        yield "authenticated", "a policy needs a condition: authenticated, roles, scopes or claims"


def names_problem(names: object, known: Collection[str]) -> str | None:
    """The mistake in a list of names of policies, or None. `known` are the defined names."""
    if not is_list(names) or not all(isinstance(name, str) for name in names):
        return "must be a list of texts"
    for name in names:
        if name not in known:
            hint = suggestion(name, known) if known else "no policies are defined"
            return f"unknown policy {name!r}; {hint}"
    return None


def _are_names(value: object) -> TypeGuard[Sequence[str]]:
    return is_list(value) and all(map(is_name, value))


def _are_claims(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        is_name(claim) and values and _are_names(values) for claim, values in value.items()
    )
