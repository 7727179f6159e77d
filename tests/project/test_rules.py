"""Every cited rule is defined in ``docs/spec``, once, and a test or a fixture covers it.

A rule's id is a prefix, a hyphen and a number, sometimes with a letter. Each test below reports all
offending ids in one failure.
"""

import ast
import importlib
import inspect
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tests.support.checkout import ROOT
from tests.support.documents import table

SPEC: Final = sorted((ROOT / "docs" / "spec").glob("*.md"))
DIVERGENCES: Final = ROOT / "docs" / "divergences.md"
PRODUCT: Final = ("protocol", "signalr_gateway")
CITING: Final = (*PRODUCT, "tests", "spec-fixtures", "benchmarks", "docs")
SUFFIXES: Final = {".py", ".md", ".json", ".toml", ".js", ".html", ".cs"}
RULE: Final = re.compile(r"(?<![\w-])((?:[A-Z]{1,3}|TS_)-\d+[a-z]?)(?!\w)")
DEFINITION: Final = re.compile(r"^- \*\*(\S+)\*\* ", re.MULTILINE)
MODULE_DOCSTRING: Final = re.compile(r'\A""".*?"""', re.DOTALL)
NO_RULES: Final = {"UTF-8", "UTF-16", "BSD-2", "BSD-3"}
"""Other words of the same form."""


def prefix(rule: str) -> str:
    return rule.rpartition("-")[0]


def rules_in(text: str) -> set[str]:
    return set(RULE.findall(text)) - NO_RULES


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def where(rules: Iterable[str], places: Mapping[str, set[str]]) -> list[str]:
    """The offenders, each with the first few files that it occurs in."""
    return [f"{rule}: {', '.join(sorted(places[rule])[:3])}" for rule in sorted(rules)]


def assert_none(offenders: Iterable[str], advice: str) -> None:
    """Fail with the advice and all offenders, a line each."""
    lines = list(offenders)
    if lines:
        pytest.fail("\n".join((f"{advice}:", *lines)), pytrace=False)


@cache
def defined() -> Counter[str]:
    """How often each rule is defined."""
    return Counter(rule for page in SPEC for rule, _ in definitions(page))


def definitions(page: Path | str) -> Iterator[tuple[str, str]]:
    """The rules of a page or of a part of one, each with its text."""
    text = page if isinstance(page, str) else page.read_text("utf-8")
    _, *parts = DEFINITION.split(text)
    yield from zip(parts[::2], parts[1::2], strict=True)


@cache
def citations() -> dict[str, set[str]]:
    """The rules that occur anywhere, with the files; definitions do not count."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (*ROOT.glob("*.md"), *files(*CITING)):
        text = path.read_text("utf-8")
        if path in SPEC:
            text = DEFINITION.sub("", text)
        for rule in rules_in(text):
            found[rule].add(name_of(path))
    return found


@cache
def coverage() -> dict[str, set[str]]:
    """The rules that a fixture or a test names; what a module says of itself does not count."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in files("spec-fixtures"):
        for rule in rules_in(path.read_text("utf-8")):
            found[rule].add(name_of(path))
    for path in modules_of_tests():
        for rule in rules_in(MODULE_DOCSTRING.sub("", path.read_text("utf-8"))):
            found[rule].add(name_of(path))
    return found


@cache
def modules_of_tests() -> tuple[Path, ...]:
    contracts = (ROOT / "protocol" / "testing").glob("*_contract.py")
    return (*(ROOT / "tests").rglob("test_*.py"), *contracts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def sources() -> Iterator[Path]:
    return (path for path in files(*PRODUCT) if path.suffix == ".py")


def files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in SUFFIXES and path.is_file():
                yield path


# ---- definitions


def test_every_rule_is_defined_once() -> None:
    assert_none(
        (rule for rule, times in defined().items() if times > 1),
        "defined more than once in docs/spec; give one of them another number",
    )


def test_every_definition_has_the_form_of_a_rule() -> None:
    assert_none(
        (rule for rule in defined() if rules_in(rule) != {rule}),
        "not of the form of an id: up to three capital letters, a hyphen, a number",
    )


def test_every_prefix_is_listed() -> None:
    """On the page that defines its rules; and a prefix that is listed has rules."""
    listed = {(name_of(page), row[0]) for page in SPEC for row in table(page, "prefix")}
    used = {(name_of(page), prefix(rule)) for page in SPEC for rule, _ in definitions(page)}
    assert_none(
        (" ".join(each) for each in sorted(listed ^ used)),
        "prefixes that are only in the table of the page, or only in its rules",
    )
    known = {each for _, each in listed}
    assert_none(
        where({rule for rule in citations() if prefix(rule) not in known}, citations()),
        "cited with a prefix that no page in docs/spec lists (no ids? add them to NO_RULES)",
    )


# ---- citations


def test_every_cited_rule_is_defined() -> None:
    assert_none(
        where(set(citations()) - set(defined()), citations()),
        "cited but not defined; define them in docs/spec as list items, `- **GW-9** …`",
    )


def test_every_fixture_names_rules() -> None:
    """Where a fixture says what it exercises, it says nothing but defined rules."""
    assert_none(
        (
            f"{name_of(path)}: {rule}"
            for path in files("spec-fixtures")
            if path.suffix == ".json"
            for rule in exercised(json.loads(path.read_bytes()))
            if rule not in defined()
        ),
        "not a rule of docs/spec, but in `rule` or `rules` of a fixture",
    )


def exercised(fixture: Any) -> Iterator[str]:
    """The rules of a recording or of the vectors of a file."""
    if isinstance(fixture, dict):
        yield from fixture.get("rules", ())
        for vector in fixture.get("vectors", ()):
            yield vector["rule"]


def test_every_defined_rule_is_cited() -> None:
    """By something else than the pages that define the rules."""
    pages = {name_of(page) for page in SPEC}
    assert_none(
        (rule for rule in defined() if not citations().get(rule, set()) - pages),
        "defined but not cited; cite them in a test, a fixture or a comment of the code",
    )


def test_every_rule_is_covered() -> None:
    assert_none(
        (rule for rule in defined() if rule not in coverage()),
        "defined but not covered; cite them in the docstring of a test, or in `rules` of a fixture",
    )


def test_rules_that_are_only_recorded_say_so() -> None:
    """A rule that only recordings left for later cover is marked, or its whole section is.

    Once all recordings of a rule pass, its mark has to go.
    """
    waiting = {rule for rule, places in coverage().items() if places & left_for_later()}
    recorded = {rule for rule in waiting if coverage()[rule] <= left_for_later()}
    pages = "".join(page.read_text("utf-8") for page in SPEC)
    marked = {rule for rule, text in definitions(pages) if "*Not built yet.*" in text}
    sections = [it for it in pages.split("\n## ") if "(not built yet)" in it.partition("\n")[0]]
    unbuilt = {rule for section in sections for rule, _ in definitions(section)}
    assert_none(
        sorted((recorded - unbuilt - marked) | (marked - waiting)),
        "marked *Not built yet* though all recordings pass, or unmarked though none passes",
    )


@cache
def left_for_later() -> frozenset[str]:
    """The recordings that do not pass yet, and the scripts with which clients are recorded."""
    folder = ROOT / "spec-fixtures" / "recorded-client"
    return frozenset({"spec-fixtures/recorded-client/scenarios.py"}) | {
        name_of(folder / "dotnet-10.0.15" / f"{scenario}.json")
        for each in json.loads((folder / "left_for_later.json").read_bytes())
        for scenario in each["scenarios"]
    }


def test_rules_that_differ_here_say_so() -> None:
    """Those that the list of divergences cites, and no others."""
    mark = f"[Differs](../{DIVERGENCES.name})"
    differing = {rule for page in SPEC for rule, text in definitions(page) if mark in text}
    assert_none(
        sorted(differing ^ rules_in(DIVERGENCES.read_text("utf-8"))),
        f"with *Differs* in docs/spec but no row in docs/{DIVERGENCES.name}, or the reverse",
    )


# ---- what users read


def test_public_docstrings_cite_no_rules() -> None:
    """Users see them in ``help`` and do not know the rules; comments may cite them."""
    assert_none(
        sorted(
            {
                f"{place}: {rule}"
                for package in public_packages()
                for place, text in public_docstrings(package)
                for rule in rules_in(text)
            }
        ),
        "ids in docstrings of public names; move them to a comment behind the docstring",
    )


def test_texts_cite_no_rules() -> None:
    """Error texts, log texts and answers; docstrings are no such texts."""
    assert_none(
        (
            f"{name_of(path)}:{line}: {text}"
            for path in sources()
            for line, text in texts(tree_of(path))
            if rules_in(text)
        ),
        "ids in texts that users see; move them to a comment",
    )


def public_packages() -> Iterator[ModuleType]:
    """Packages whose names users import and look up with ``help``: those that list them."""
    for path in sources():
        if path.stem == "__init__" and "__all__" in path.read_text("utf-8"):
            yield importlib.import_module(".".join(path.parent.relative_to(ROOT).parts))


def public_docstrings(package: ModuleType) -> Iterator[tuple[str, str]]:
    """Every docstring of a package's public names, of their public members and attributes."""
    yield package.__name__, package.__doc__ or ""
    for name in package.__all__:
        value = getattr(package, name)
        if isinstance(value, type):
            for each in value.__mro__:
                if each.__module__.startswith(PRODUCT):
                    yield from docstrings_of(each.__name__, Path(inspect.getfile(each)))
        else:  # a type alias does not say in which module it is
            for path in sources():
                yield from docstrings_of(name, path)


def docstrings_of(name: str, path: Path) -> Iterator[tuple[str, str]]:
    """The docstrings of what a module defines as ``name``: a class, a function or a value."""
    body = tree_of(path).body
    for node, below in zip_longest(body, body[1:]):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
                yield from docstrings_in(name, node)
            case ast.Assign() | ast.AnnAssign() if name in targets(node):
                if text := bare_string(below):
                    yield name, text


def docstrings_in(
    name: str, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[tuple[str, str]]:
    """Those of the definition itself, of its public methods and of its attributes."""
    for part in node.body:
        if text := bare_string(part):
            yield name, text
        elif isinstance(node, ast.ClassDef) and isinstance(
            part, ast.FunctionDef | ast.AsyncFunctionDef
        ):
            if not part.name.startswith("_") or part.name.endswith("__"):
                yield from docstrings_in(f"{name}.{part.name}", part)


def bare_string(node: ast.stmt | None) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value.value if isinstance(node.value.value, str) else None
    return None


def targets(node: ast.Assign | ast.AnnAssign) -> set[str]:
    nodes = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {it.id for it in nodes if isinstance(it, ast.Name)}


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The strings of a module that are values rather than docstrings, with their lines."""
    documentation = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            if isinstance(node.value, str):
                yield node.lineno, node.value
