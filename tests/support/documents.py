"""Extracts code blocks, tables and names in code from the documents of the project."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .checkout import ROOT

README: Final = ROOT / "README.md"
CONTRIBUTING: Final = ROOT / "CONTRIBUTING.md"
DOCUMENTS: Final = (
    README,
    CONTRIBUTING,
    ROOT / "CHANGELOG.md",
    ROOT / "tests" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    blocks = _FENCED.findall(document.read_text(encoding="utf-8"))
    return [text for name, text in blocks if name == language]


def code_files(document: Path, language: str) -> dict[str, str]:
    """The fenced blocks of one language that begin with a file's name as a comment, by name."""
    blocks = [text.partition("\n") for text in code_blocks(document, language)]
    return {
        first.removeprefix("# "): first + end + rest
        for first, end, rest in blocks
        if first.startswith("# ")
    }


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return _FENCED.sub("", document.read_text(encoding="utf-8"))


def code_names(text: str) -> Iterator[str]:
    """Everything between single backticks."""
    yield from re.findall(r"`([^`]+)`", text)


def table(document: Path, *headings: str) -> list[list[str]]:
    """The rows of the one table that begins with these headings; cells have no backticks."""
    tables = re.findall(r"(?:^\|.*\|\n)+", document.read_text(encoding="utf-8"), re.MULTILINE)
    found = []
    for text in tables:
        heading, _, *rows = [_cells(line) for line in text.splitlines()]
        if heading[: len(headings)] == list(headings):
            found.append(rows)
    assert len(found) == 1, f"{len(found)} tables headed {headings} in {document.name}"
    return found[0]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
