"""Phase diagrams over (y/m, coefficient): the rank-one point, where flows end, how many critical points there are.

One sample with |x| = 1 and m units. Families phi + e z^3: at e = 0 the activation, and above some e A1 holds again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from manifoldflow.certificates import stability_thresholds
from manifoldflow.errors import InputError
from verification.files import write_text
from verification.results import as_json, versions

from .family import Array, Family
from .geometry import spectrum
from .one_sample import ENDS, RANDOM, TIME, UNITS, flows, point
from .patterns import REACH, pattern_counts

KINDS = ("minimum", "maximum", "undecided", "none")


@dataclass(frozen=True)
class Diagram:
    """A family with one coefficient and the window that is drawn."""

    name: str
    text: str
    labels: tuple[float, float]
    coefficients: tuple[float, float]

    @property
    def family(self) -> Family:
        """The family, with e as its coefficient."""
        return Family.of(self.text, {"e": self.coefficients})


DIAGRAMS: tuple[Diagram, ...] = (
    Diagram("tanh", "tanh(z) + e*z**3", (-1.3, 1.3), (0.0, 0.4)),
    Diagram("sigmoid", "sigmoid(z) + e*z**3", (-0.2, 1.2), (0.0, 0.023)),
    Diagram("softplus", "softplus(z) + e*z**3", (0.05, 5.0), (0.0, 0.018)),
    Diagram("arctan", "arctan(z) + e*z**3", (-1.4, 1.4), (0.0, 0.4)),
)


@dataclass(frozen=True, eq=False)
class Row:
    """Everything at one coefficient: for each y/m the kind of the rank-one point with the Hessian's two ends, where the
    flows from beside it and from `RANDOM` random points end, the number of disagreeing critical points; and the
    thresholds.
    """

    coefficient: float
    kinds: tuple[str, ...]
    smallest: Array
    largest: Array
    nearby: tuple[str, ...]
    random: tuple[str, ...]
    patterns: Array
    thresholds: Array
    proved: bool


@dataclass(frozen=True, eq=False)
class Found:
    """A diagram: its rows, from the smallest coefficient up."""

    diagram: Diagram
    labels: Array
    rows: tuple[Row, ...]
    seed: int

    @property
    def consistent(self) -> bool:
        """Whether the kind changes between two labels exactly where an odd number of thresholds lies between them."""
        return not self.contradictions

    @property
    def contradictions(self) -> list[tuple[float, float]]:
        """(coefficient, y/m) where eigenvalues and thresholds disagree."""
        places = [(row.coefficient, k) for row in self.rows for k in _contradictions(row, self.labels)]
        return [(coefficient, float(self.labels[k])) for coefficient, k in places]

    @property
    def bistable(self) -> list[tuple[float, float]]:
        """(coefficient, y/m) where the rank-one point is a minimum and a flow from a random point ends elsewhere."""
        return [(row.coefficient, float(label)) for row in self.rows
                for kind, end, label in zip(row.kinds, row.random, self.labels, strict=True)
                if kind == "minimum" and end == "disagreeing"]  # fmt: skip

    @property
    def text(self) -> str:
        """Counts."""
        kinds = [kind for row in self.rows for kind in row.kinds]
        first, last = self.rows[0].coefficient, self.rows[-1].coefficient
        window = f"y/m in [{self.labels[0]:g}, {self.labels[-1]:g}], e in [{first:g}, {last:g}]"
        lines = [f"{self.diagram.text}, {window}, m = {UNITS}, n = 1, seed {self.seed}"]
        lines.append("rank-one point: " + _counted(kinds, KINDS))
        for kind in KINDS[:2]:
            for what, name in (("beside it", "nearby"), ("random points", "random")):
                ends = [end for row in self.rows for k, end in enumerate(getattr(row, name)) if row.kinds[k] == kind]
                lines.append(f"  where it is a {kind}, flows from {what} end: {_counted(ends, ENDS)}")
        lines.append(f"bistable, a minimum and a flow that ends elsewhere: {len(self.bistable)}")
        shown = ", ".join(f"{value:.6f}" for value in self.rows[0].thresholds) or "none"
        lines.append(f"thresholds of y/m at e = {self.rows[0].coefficient:g}: {shown}")
        agreement = "agree at every point" if self.consistent else f"contradict each other at {self.contradictions[:3]}"
        lines.append(f"Eigenvalues and thresholds {agreement}.")
        return "\n".join(lines)

    @property
    def numbers(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {"family": self.diagram.text, "units": UNITS, "random_starts": RANDOM, "seed": self.seed, "time": TIME,
                "reach": REACH, "labels": self.labels, "rows": [vars(row) for row in self.rows],
                "consistent": self.consistent, "bistable": self.bistable, "versions": versions()}  # fmt: skip


def _counted(values: Sequence[str], words: Sequence[str]) -> str:
    return ", ".join(f"{values.count(word)} {word}" for word in words if word in values) or "none"


def _contradictions(row: Row, labels: Array) -> list[int]:
    found = []
    for k in range(labels.size - 1):
        pair = row.kinds[k : k + 2]
        between = int(((row.thresholds > labels[k]) & (row.thresholds < labels[k + 1])).sum())
        if set(pair) <= {"minimum", "maximum"} and (pair[0] != pair[1]) != bool(between % 2):
            found.append(k)
    return found


def diagram(name: str, grid: int = 24, *, seed: int = 0, processes: int = 0) -> Found:
    """Compute a diagram on grid x grid points, a coefficient a task.

    Raises `InputError` for a name that is none of `DIAGRAMS`, or a grid with fewer than two points a side.

    >>> found = diagram("tanh", 3)
    >>> found.rows[0].kinds, found.consistent
    (('none', 'maximum', 'none'), True)
    """
    chosen = [item for item in DIAGRAMS if item.name == name]
    if not chosen or grid < 2:
        names = ", ".join(item.name for item in DIAGRAMS)
        raise InputError(f"A phase diagram is one of {names} with at least 2 points a side; got {name!r}, {grid}.")
    labels = np.linspace(*chosen[0].labels, grid)
    coefficients = np.linspace(*chosen[0].coefficients, grid)
    with _mapping(processes) as mapping:
        rows = tuple(mapping(partial(_row, chosen[0], labels, seed), coefficients))
    return Found(chosen[0], labels, rows, seed)


@contextmanager
def _mapping(processes: int) -> Iterator[Any]:
    """`map`, or that of a pool of new processes."""
    if processes == 0:
        yield map
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield pool.map


def _row(chosen: Diagram, labels: Array, seed: int, coefficient: float) -> Row:
    family, values = chosen.family, (float(coefficient),)
    z = [_rank_one(family, values, label) for label in labels]
    ends = [(np.nan, np.nan) if x is None else _curvature(family, values, x) for x in z]
    # The stream depends on the seed and the place only, whatever the number of processes.
    streams = [np.random.default_rng([seed, k, round(1e9 * float(coefficient))]) for k in range(labels.size)]
    words = [("none", "none") if x is None else flows(family, values, x, UNITS * label, rng)
             for x, label, rng in zip(z, labels, streams, strict=True)]  # fmt: skip
    nearby, random = zip(*words, strict=True)
    found = stability_thresholds(family.unit(values))
    counts = pattern_counts(family, values, UNITS * labels, UNITS)
    smallest, largest = np.array(ends).T
    return Row(values[0], tuple(_kind(*pair) for pair in ends), smallest, largest, nearby, random, counts,
               np.array(found.values.mid), found.certificate.proved)  # fmt: skip


def _rank_one(family: Family, values: tuple[float, ...], label: float) -> float | None:
    """phi^{-1}(y/m), the solution nearest to 0; None where there is none within `REACH`."""
    low = np.linspace(-REACH, REACH, 4801)
    excess = family.table(low, values)[0] - label
    crossing = np.flatnonzero(excess[1:] * excess[:-1] <= 0.0)
    if crossing.size == 0:
        return None
    k = int(crossing[np.argmin(np.abs(low[crossing]))])
    z = low[k]
    for _ in range(50):
        table = family.table(np.array([z]), values)[:, 0]
        z -= (table[0] - label) / table[1]
    return float(z)


def _curvature(family: Family, values: tuple[float, ...], z: float) -> tuple[float, float]:
    """The ends of the Hessian's spectrum at the rank-one point."""
    found = spectrum(point(family, values, np.full(UNITS, z)), (1,) * UNITS)[0]
    return float(found[0]), float(found[-1])


def _kind(smallest: float, largest: float) -> str:
    if np.isnan(smallest):
        return "none"
    rounding = 1e-12
    return "minimum" if smallest > rounding else "maximum" if largest < -rounding else "undecided"


def write(found: Found, folder: Path) -> Path:
    """The diagram as SVG, its points as CSV, everything as JSON."""
    from .phase_figure import figure

    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow(["e", "y_over_m", "rank_one", "smallest", "largest", "from_beside", "from_random", "patterns"])
    for row in found.rows:
        for k, label in enumerate(found.labels):
            lines.writerow([row.coefficient, float(label), row.kinds[k], float(row.smallest[k]), float(row.largest[k]),
                            row.nearby[k], row.random[k], int(row.patterns[k])])  # fmt: skip
    name = f"phase-{found.diagram.name}"
    write_text(folder / f"{name}.csv", stream.getvalue())
    write_text(folder / f"{name}.svg", figure(found))
    return write_text(folder / f"{name}.json", as_json(found.numbers) + "\n")
