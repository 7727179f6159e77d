"""Checks the options of one hub: their types, policies, forwarded headers and redirects.

`orchestration.option_checks` compares options with their types, `orchestration.forwarded_names`
checks the names of forwarded headers. `orchestration.orchestrator` checks the key of a hub, its
receive key and the function that builds its connection.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import structs

from protocol.relaying import normal_servers

from .checks import OrchestrationError
from .forwarded_names import header_problems
from .hub_options import DownstreamHubOptions, HubOptionArguments
from .option_checks import wrong_options
from .policy import names_problem


def checked_options(
    api: str, arguments: HubOptionArguments, policies: Collection[str]
) -> DownstreamHubOptions:
    """The options of the hub `api`. `policies` are the names of the policies that exist.

    Raises `OrchestrationError` for the first wrong option.
    """
    options = DownstreamHubOptions(**arguments)
    for field_name, expected in wrong_options(options):
        raise OrchestrationError(f"must be {expected}", hub=api, field=field_name)
    for field_name in ("call_policies", "receive_policies"):
        if problem := names_problem(getattr(options, field_name), policies):
            raise OrchestrationError(problem, hub=api, field=field_name)
    for field_name, problem in header_problems(options):
        raise OrchestrationError(problem, hub=api, field=field_name)
    try:
        return structs.replace(
            options,
            redirects=normal_servers(options.redirects),
            call_policies=tuple(options.call_policies),
            receive_policies=tuple(options.receive_policies),
        )
    except ValueError as exc:
        raise OrchestrationError(str(exc), hub=api, field="redirects") from exc
