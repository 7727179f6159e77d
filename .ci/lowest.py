"""Prints the lowest version of each range in pyproject.toml, as constraints for pip."""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def lowest_versions() -> list[str]:
    """The lowest versions of what the package, its extras, its tests and its build require."""
    document = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    project = document["project"]
    extras = project["optional-dependencies"]
    requirements = [
        *document["build-system"]["requires"],
        *project["dependencies"],
        *(each for extra in ("jwt", "swagger", "uvloop", "test") for each in extras[extra]),
    ]
    ranges = (re.match(r"([\w.-]+)>=([\d.]+)", requirement) for requirement in requirements)
    return [f"{found[1]}=={found[2]}" for found in ranges if found]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest_versions()) + "\n")
