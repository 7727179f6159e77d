"""Every claim of docs/security.md names a test that exists."""

import re
from pathlib import Path
from typing import Final

from tests.support.checkout import ROOT

PAGE: Final = ROOT / "docs" / "security.md"
CLAIM: Final = re.compile(r"^\| (?P<attack>.+?) \| .+ \| (?P<test>[^|]+) \|$", re.MULTILINE)
NAMED: Final = re.compile(r"`(tests/\S+\.py)` `(test_\w+)`")


def claims() -> dict[str, str]:
    """Attack → the cell of its test, of all tables that have such a column."""
    found = {match["attack"]: match["test"] for match in CLAIM.finditer(PAGE.read_text())}
    return {attack: test for attack, test in found.items() if test not in ("test", "---")}


def test_every_claim_has_its_test() -> None:
    assert len(claims()) >= 30
    for attack, cell in claims().items():
        named = NAMED.fullmatch(cell)
        assert named is not None, f"{attack}: the last column names a file and a test"
        path, name = named.groups()
        source = (ROOT / Path(path)).read_text(encoding="utf-8")
        assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE), f"{path}: no {name}"
