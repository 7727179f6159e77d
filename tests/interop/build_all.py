"""Builds the foreign programs in advance, for example while other checks run.

    python -m tests.interop.build_all

Prints which programs cannot be built. The tests that need such a program report it again.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.interop.builds import BUILDS_AT_ONCE, dotnet_program, node_program
from tests.interop.drivers import dotnet_driver_argv
from tests.interop.original_recording import RECORDINGS
from tests.interop.servers import aspnetcore_hub, token_hub
from tests.interop.versions import CLIENTS, CURRENT, RELEASES, build_properties

BUILDS: dict[str, Callable[[], object]] = {
    "the hub on ASP.NET Core": aspnetcore_hub,
    "the hub that requires tokens": token_hub,
    "the hub behind the original gateway": partial(dotnet_program, RECORDINGS / "hub"),
    "the client of the original gateway": partial(
        dotnet_program, RECORDINGS / "client", **build_properties(CURRENT)
    ),
    "the JavaScript client": node_program,
    **{f"the .NET client {it}": partial(dotnet_driver_argv, it) for it in RELEASES},
    **{
        f"the documented client {it}": partial(
            dotnet_program, "documented-client", **build_properties(it)
        )
        for it in CLIENTS
    },
}


def outcome(build: Callable[[], object]) -> str:
    try:
        build()
    except (pytest.skip.Exception, pytest.fail.Exception) as no_build:
        return f"not built: {no_build}"
    return "built"


if __name__ == "__main__":
    with ThreadPoolExecutor(BUILDS_AT_ONCE) as threads:
        for name, told in zip(BUILDS, threads.map(outcome, BUILDS.values()), strict=True):
            sys.stdout.write(f"{name}: {told}\n")
            sys.stdout.flush()
