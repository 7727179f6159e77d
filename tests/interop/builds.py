"""Builds foreign programs, once per version of their sources, outside the checkout.

A test is skipped, with the reason, if it needs a tool that is missing or packages that cannot be
fetched. It fails if the sources do not compile. The modules that run the programs define them.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

import pytest

P = ParamSpec("P")
R = TypeVar("R")

HERE = Path(__file__).resolve().parent
BUILD_SECONDS = 240
BUILDS_AT_ONCE = 2
"""The number of builds at a time. More of them would not be faster."""


def require(tool: str) -> str:
    """The path of a program on PATH; skips the test if there is none."""
    path = shutil.which(tool)
    return path or _absent(f"needs `{tool}` on PATH")


def _absent(reason: str) -> NoReturn:
    """Skips the test, or fails it if INTEROP_REQUIRED=1 is set, which requires all programs."""
    if os.environ.get("INTEROP_REQUIRED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def _once(build: Callable[P, R]) -> Callable[P, R]:
    """Keeps the result of a build with these arguments, also a skip or a failure.

    Any other caller, in any thread, waits for the same build.
    """
    outcomes: dict[object, Future[R]] = {}
    gate = threading.Lock()

    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        key = (args, tuple(sorted(kwargs.items())))
        with gate:
            is_first = key not in outcomes
            outcome = outcomes.setdefault(key, Future())
        if is_first:
            try:
                outcome.set_result(build(*args, **kwargs))
            except BaseException as no_build:
                outcome.set_exception(no_build)
        return outcome.result()

    return remembered


@_once
def dotnet_program(project: str | Path, **versions: str) -> Path:
    """The assembly of a project, built with `versions` as MSBuild properties.

    `project` is a folder of `dotnet/`, or the path of a folder elsewhere; its project file has the
    folder's name.

    What cannot be restored (no SDK for its framework, packages out of reach) skips, a compile
    error fails.
    """
    dotnet = require("dotnet")
    source = HERE / "dotnet" / project
    target = _cache_folder(source, versions)
    assembly = target / f"{source.name}.dll"
    if assembly.exists():
        return assembly
    with tempfile.TemporaryDirectory() as temporary:
        copy, output = Path(temporary) / source.name, Path(temporary) / "output"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("bin", "obj"))
        properties = [f"-p:{name}={value}" for name, value in versions.items()]
        build = _run(
            [dotnet, "build", str(copy), "-c", "Release", "-o", str(output), "-nologo", *properties]
        )
        if build.returncode:
            restore = _run([dotnet, "restore", str(copy), "-nologo", *properties])
            if restore.returncode:
                _absent(f"dotnet restore of {source.name} {versions}: {_last_lines(restore)}")
            pytest.fail(f"dotnet build of {source.name} {versions}:\n{_last_lines(build, 40)}")
        _publish(output, target)
    return assembly


@_once
def node_program() -> Path:
    """The folder of `node/` with its packages installed; skips the test if npm cannot fetch
    them."""
    require("node")
    npm = require("npm")
    source = HERE / "node"
    target = _cache_folder(source, {})
    if target.exists():
        return target
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "node"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("node_modules"))
        install = _run(
            [npm, "ci", "--prefix", str(copy), "--ignore-scripts", "--no-audit", "--no-fund"]
        )
        if install.returncode:
            _absent(f"npm ci: {_last_lines(install)}")
        _publish(copy, target)
    return target


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {
        "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
        "DOTNET_NOLOGO": "1",
        # Without it, a restore waits 20 s for certificate authorities that it cannot reach.
        "NUGET_CERT_REVOCATION_MODE": "offline",
        # A build server that outlives the build would keep the pipes of its output open.
        "MSBUILDDISABLENODEREUSE": "1",
        "UseSharedCompilation": "false",
        **os.environ,
    }
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )


def _last_lines(process: subprocess.CompletedProcess[str], count: int = 6) -> str:
    return "\n".join(process.stdout.strip().splitlines()[-count:])


def _cache_folder(source: Path, versions: Mapping[str, str]) -> Path:
    """The path of the program built from these sources and versions, which may not exist yet."""
    digest = hashlib.sha256(repr(sorted(versions.items())).encode())
    for file in sorted(source.rglob("*")):
        if file.is_file() and not {"bin", "obj", "node_modules"} & set(file.parts):
            digest.update(file.relative_to(source).as_posix().encode() + b"\0" + file.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "signalr-gateway-interop" / f"{source.name}-{digest.hexdigest()[:16]}"


def _publish(built: Path, target: Path) -> None:
    """Moves a finished build to its path in one step, unless another run has done so."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent))
    shutil.copytree(built, staging / "new", symlinks=True)
    try:
        (staging / "new").rename(target)
    except OSError:
        if not target.exists():
            raise
    finally:
        shutil.rmtree(staging)
