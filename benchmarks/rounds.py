"""Measures several subjects, such as servers, in short rounds, and compares them in each round.

The speed of a virtual machine varies: at another time the same work may take half or twice as long.
Two measurements of one round are taken close together, under the same conditions. So a ratio is the
median of the ratios of all rounds, not the ratio of two medians.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import median
from typing import TypeAlias, TypeVar

Subject = TypeVar("Subject")
Measure: TypeAlias = Callable[[Subject], Mapping[str, float]]
"""Measures one subject. Returns the cost of each case, by the name of the case."""


@dataclass(frozen=True)
class Row:
    """The costs of one case: one value per round for each subject."""

    case: str
    values: dict[str, list[float]]

    def typical(self, subject: str) -> float:
        """Return the median of a subject's rounds."""
        return median(self.values[subject])

    def ratio(self, subject: str, other: str) -> float:
        """Return the median, over all rounds, of one subject's cost divided by the other's."""
        pairs = zip(self.values[subject], self.values[other], strict=True)
        return median(one / another for one, another in pairs)


def interleaved(
    subjects: Mapping[str, Subject], measure: Measure[Subject], rounds: int, warm_up: int = 1
) -> list[Row]:
    """Measure each subject once per round, in ``rounds`` rounds. Returns one row per case.

    The results of ``warm_up`` further rounds at the beginning are not used. Every other round takes
    the subjects in the reverse order.
    """
    rows: dict[str, Row] = {}
    names = list(subjects)
    for number in range(warm_up + rounds):
        for name in names if number % 2 else reversed(names):
            try:
                costs = measure(subjects[name])
            except Exception as error:
                error.add_note(f"measured: {name}")
                raise
            for case, value in costs.items():
                row = rows.setdefault(case, Row(case, {each: [] for each in names}))
                if number >= warm_up:
                    row.values[name].append(value)
    return list(rows.values())


def table(
    title: str,
    rows: Sequence[Row],
    subjects: Sequence[str],
    ratios: Sequence[tuple[str, str]],
    scale: float = 1.0,
) -> str:
    """Return the medians, multiplied by ``scale``, and the ratios as a table in Markdown.

    A cost is nan if a server refuses the input of the measurement. The cell of such a cost is
    empty.
    """
    heads = [*subjects, *(f"{one} / {other}" for one, other in ratios)]
    lines = [title, "", _line("", heads), _line("---", ["---:"] * len(heads))]
    for row in rows:
        cells = [_cell(row.typical(subject) * scale, "{:.1f}") for subject in subjects]
        cells += [_cell(row.ratio(*pair), "**{:.2f}**") for pair in ratios]
        lines.append(_line(row.case, cells))
    return "\n".join([*lines, ""])


def _cell(value: float, form: str) -> str:
    return "" if isnan(value) else form.format(value)


def _line(first: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([first, *cells])} |"
