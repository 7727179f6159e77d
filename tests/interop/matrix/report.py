"""The matrix as text: a table for each target, and the meaning of its symbols."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tests.interop.matrix.cells import CLIENTS, HUB_PROTOCOLS, IMPOSSIBLE, TARGETS, TRANSPORTS, Cell

_SHORT: Final = {"json": "JSON", "newtonsoft": "Newton", "messagepack": "MsgPack"}
_NAME: Final = "test_matrix.py::test_cell["
_WIDTH: Final = 8
_CLIENT: Final = max(map(len, CLIENTS)) + 1


def lines(stats: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """`stats` has pytest's reports by outcome. No lines if no cell was tested.

    Cells that are missing did not run.
    """
    outcomes = {
        found.nodeid.partition(_NAME)[2].removesuffix("]"): outcome
        for outcome in ("passed", "skipped", "failed", "error")
        for found in stats.get(outcome, ())
        if _NAME in found.nodeid
    }
    if not outcomes:
        return
    for target in TARGETS:
        if any(name.startswith(f"{target} /") for name in outcomes):
            yield from _table(target, outcomes)
    for sign, reason in zip("abcd", IMPOSSIBLE, strict=True):
        yield f"–{sign}  cannot be, as was seen: {reason}"
    yield ".   not among the selected tests"


def _table(target: str, outcomes: Mapping[str, str]) -> Iterator[str]:
    per_transport = _WIDTH * len(HUB_PROTOCOLS)
    yield f"{target}:"
    yield " " * _CLIENT + "".join(name.ljust(per_transport) for name in TRANSPORTS).rstrip()
    names = "".join(_SHORT[name].ljust(_WIDTH) for name in HUB_PROTOCOLS)
    yield " " * _CLIENT + (names * len(TRANSPORTS)).rstrip()
    for client in TARGETS[target]:
        row = (
            _sign(Cell(target, client, transport, hub_protocol), outcomes)
            for transport in TRANSPORTS
            for hub_protocol in HUB_PROTOCOLS
        )
        yield client.ljust(_CLIENT) + "".join(sign.ljust(_WIDTH) for sign in row).rstrip()
    yield ""


def _sign(cell: Cell, outcomes: Mapping[str, str]) -> str:
    outcome = outcomes.get(str(cell), ".")
    if outcome == "passed":
        if cell.impossible is None:
            return "ok"
        return "–" + "abcd"[IMPOSSIBLE.index(cell.impossible)]
    return outcome if outcome in (".", "skipped") else "FAILED"
