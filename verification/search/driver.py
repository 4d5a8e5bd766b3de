"""The driver: families and sizes in, the smallest ratio of each inequality out, each evaluated again and saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manifoldflow.reproducible import reproducible
from verification.files import write_text
from verification.results import as_json, versions
from verification.study.tables import Table

from .family import Family
from .inequalities import INEQUALITIES, Inequality
from .instance import Instance
from .layout import Layout
from .optimise import QUICK, Effort, Found, search
from .replay import REFUTED, Replay, replay

FAMILIES: tuple[Family, ...] = (
    Family.of("z**3 + nu*z", {"nu": (0.05, 5.0)}),
    Family.of("sinh(w*z)/w", {"w": (0.2, 3.0)}),
    Family.of("a*sinh(z) + b*z**3", {"a": (0.1, 3.0), "b": (0.01, 3.0)}),
)
"""What is searched by default."""


@dataclass(frozen=True, eq=False)
class Row:
    """An inequality, the instance with its smallest ratio, and that ratio at 50 digits."""

    inequality: Inequality
    instance: Instance
    replay: Replay
    evaluations: int
    file: Path | None = None


def layouts(families: Sequence[Family]) -> list[Layout]:
    """Small sizes, all units different, and large ones with one unit apart from the others."""
    alike = [Layout(family, groups, n) for family in families for groups, n in
             (((1, 1), 1), ((1, 1, 1), 2), ((1, 1, 1, 1), 3), ((1, 95), 1), ((1, 95), 2))]  # fmt: skip
    mixed = (((1, 1), 1), ((1, 1, 1), 2))
    return alike + [Layout(family, groups, n, signed=True) for family in families for groups, n in mixed]


@reproducible
def run(
    families: Sequence[Family] = FAMILIES, *, inequalities: Sequence[Inequality] = INEQUALITIES, effort: Effort = QUICK,
    rng: int = 0, out: Path | None = None, report: Callable[[str], Any] = lambda line: None,
) -> list[Row]:  # fmt: skip
    """Search, evaluate each instance again at 50 digits, and save it under `out`.

    >>> from verification.search import FAMILIES, Effort, inequality_named, run
    >>> [row] = run(FAMILIES[:1], inequalities=[inequality_named("S7")], effort=Effort(1, 1, 100))
    >>> row.replay.verdict(), row.replay.verdict(1.0)
    ('not refuted', 'refuted')
    """
    found = search(layouts(families), inequalities, effort, np.random.default_rng(rng), report)
    return [_row(item, rng, out) for item in found]


def _row(found: Found, seed: int, out: Path | None) -> Row:
    point, layout = found.point, found.candidate.layout
    rows = np.cumsum((0, *layout.groups[:-1]))
    # Solved once for each group, so that its units are equal to the last bit.
    theta = np.repeat(np.linalg.solve(point.X, point.Z[rows].T).T, layout.groups, axis=0)
    instance = Instance(
        found.inequality, layout.family, point.values, point.X, theta, point.a, point.flattest,
        float(np.exp(found.candidate.ratio)), seed,
    )  # fmt: skip
    file = None if out is None else instance.save(out / f"{_file_name(found.inequality)}.json")
    return Row(found.inequality, instance, replay(instance), found.evaluations, file)


def _file_name(inequality: Inequality) -> str:
    return inequality.name.replace("*", "-sharp").replace("/", "-")


def table(rows: Sequence[Row], percent: float, quote: str = "") -> Table:
    """The smallest ratios, the verdicts on the statements, and on the statements with a constant too large.

    Formulas stand between two of `quote`: in Markdown their stars would mean emphasis.
    """
    broken = f"{percent:g} % too large"
    header = ("", "smallest ratio", "verdict", broken, "activation", "m", "n", "points", "inequality")
    cells = [
        (row.inequality.name, f"{float(row.replay.high):.6f}", row.replay.verdict(), row.replay.verdict(percent),
         f"{quote}{row.instance.family.text}{quote}", str(len(row.instance.a)), str(len(row.instance.X)),
         str(row.evaluations), f"{quote}{row.inequality.text}{quote}")
        for row in rows
    ]  # fmt: skip
    note = (
        "Measured side over proved side: 1 is an equality. Each instance was evaluated again at 50 digits with "
        "enclosed constants. A star is a form sharper than the statement's."
    )
    return Table("search", "Adversarial search", header, tuple(cells), note)


def missed(rows: Sequence[Row], percent: float) -> list[str]:
    """The sharpest forms whose constant, made too large by so many per cent, was not refuted."""
    names = {row.inequality.name for row in rows}
    sharpest = [row for row in rows if f"{row.inequality.name}*" not in names]
    return [row.inequality.name for row in sharpest if row.replay.verdict(percent) != REFUTED]


def numbers(rows: Sequence[Row], percent: float, command: str) -> dict[str, Any]:
    """Everything as plain data."""
    return {
        "command": command, "versions": versions(), "percent": percent,
        "inequalities": [
            {"name": row.inequality.name, "claim": row.inequality.text, "ratio": row.instance.ratio,
             "low": float(row.replay.low), "high": float(row.replay.high), "verdict": row.replay.verdict(),
             "broken": row.replay.verdict(percent), "reason": row.replay.reason, "activation": row.instance.formula,
             "evaluations": row.evaluations, "file": None if row.file is None else row.file.name}
            for row in rows
        ],
    }  # fmt: skip


def write(rows: Sequence[Row], percent: float, out: Path, command: str) -> Path:
    """Table as Markdown and CSV, and all numbers as JSON; returns the last."""
    write_text(out / "search.md", table(rows, percent, "`").markdown() + "\n")
    write_text(out / "search.csv", table(rows, percent).csv())
    return write_text(out / "search.json", as_json(numbers(rows, percent, command)) + "\n")
