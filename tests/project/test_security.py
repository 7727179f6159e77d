"""Every claim of docs/security.md names tests that exist."""

import re
from pathlib import Path
from typing import Final

from tests.support.checkout import ROOT

PAGE: Final = ROOT / "docs" / "security.md"
CLAIM: Final = re.compile(r"^\| (?P<attack>.+?) \| .+ \| (?P<test>[^|]+) \|$", re.MULTILINE)
FILE: Final = r"`tests/\S+\.py`(?: `test_\w+`,?)+"
NAMED: Final = re.compile(rf"{FILE}(?: {FILE})*")


def claims() -> dict[str, str]:
    """Attack → the cell of its test, of all tables that have such a column."""
    found = {match["attack"]: match["test"] for match in CLAIM.finditer(PAGE.read_text())}
    return {attack: test for attack, test in found.items() if test not in ("test", "---")}


def test_every_claim_has_its_test() -> None:
    assert len(claims()) >= 30
    for attack, cell in claims().items():
        assert NAMED.fullmatch(cell), f"{attack}: the last column names files and tests"
        source = ""
        for word in re.findall(r"`(.+?)`", cell):
            if word.startswith("tests/"):
                source = (ROOT / Path(word)).read_text(encoding="utf-8")
            else:
                found = re.search(rf"^ *(async )?def {word}\(", source, re.MULTILINE)
                assert found, f"{attack}: there is no {word}"
