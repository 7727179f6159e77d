"""The exact versions of tests and tools: complete, and within the declared ranges."""

import importlib.util
import re
import subprocess
import tomllib
from typing import Any, Final

import pytest
from packaging.requirements import Requirement

from tests.support.checkout import ROOT
from tests.support.documents import CONTRIBUTING

CONSTRAINTS: Final = ROOT / ".ci" / "constraints.txt"
PYPROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def declared() -> list[Requirement]:
    """The requirements of the package, of its extras, and of its build."""
    project = PYPROJECT["project"]
    texts = [*PYPROJECT["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        texts += extra
    requirements = map(Requirement, texts)
    return [each for each in requirements if each.name != project["name"]]


def lowest(requirement: Requirement) -> str:
    return next(it.version for it in requirement.specifier if it.operator == ">=")


def locked() -> dict[str, str]:
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    return dict(line.lower().split("==") for line in lines)


@pytest.mark.parametrize("requirement", declared(), ids=lambda each: each.name)
def test_exact_versions_are_within_the_ranges(requirement: Requirement) -> None:
    version = locked()[requirement.name.lower()]
    assert version in requirement.specifier


def test_every_line_is_an_exact_version() -> None:
    for name, version in locked().items():
        assert re.fullmatch(r"[a-z0-9._-]+", name)
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version)


@pytest.mark.parametrize("requirement", declared(), ids=lambda each: each.name)
def test_ranges_of_unstable_packages_end(requirement: Requirement) -> None:
    """A next minor version of a 0.x package may break us."""
    if lowest(requirement).startswith("0."):
        assert any(it.operator == "<" for it in requirement.specifier)


def test_the_lowest_versions_are_those_of_the_ranges() -> None:
    path = ROOT / ".ci" / "lowest.py"
    spec = importlib.util.spec_from_file_location("lowest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    printed = dict(line.split("==") for line in module.lowest_versions())
    tools = {"mypy", "ruff", "orjson"}  # of the extra `dev`, which the tests do not need
    assert printed == {each.name: lowest(each) for each in declared() if each.name not in tools}


def test_the_documented_interpreters_are_those_of_the_package() -> None:
    classifiers = PYPROJECT["project"]["classifiers"]
    named = re.findall(r"Python :: (3\.\d+)", " ".join(classifiers))
    assert named == ["3.11", "3.12", "3.13"]
    text = " ".join(CONTRIBUTING.read_text().split())
    assert (
        "lowest versions on CPython 3.11, the exact ones on 3.12, the newest ones on 3.13" in text
    )


def test_what_ci_needs_can_be_run() -> None:
    for script in ("run", "renew"):
        path = ROOT / ".ci" / script
        assert path.stat().st_mode & 0o100
        subprocess.run(["bash", "-n", str(path)], check=True)
