"""Where the smallest eigenvalue of the Hessian changes sign, on rays and flows, against the threshold of S3.

One unit apart from m - 1 that agree, as in the instances where the search finds the threshold attained as m grows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from manifoldflow.errors import InputError
from manifoldflow.reproducible import reproducible
from verification.files import write_text
from verification.results import as_json, versions
from verification.tables import align

from .driver import FAMILIES
from .family import Array, Family
from .geometry import Geometry, geometry, spectrum
from .inequalities import Inequality
from .instance import inequality_named
from .layout import FARTHEST, Layout, Point
from .measured import measured
from .optimise import Effort, along_ray, moved, search

SIZES = (2, 3, 4, 8, 16, 32, 64, 96)
PATHS = ("ray", "flow", "search")
EFFORT = Effort(pools=3, starts=1, evaluations=120)
_ATTEMPTS = 8  # directions for each path that is wanted
_SETTLED = 1e-6  # of the gradient at the start of a flow: all changes of sign lie before
_LATEST = 1e6
_BISECTIONS = 30


@dataclass(frozen=True)
class Crossing:
    """|grad F| / (4 sqrt(mu) beta s_min) where the smallest eigenvalue changes sign, just where it is negative."""

    path: str
    activation: str
    m: int
    n: int
    ratio: float


@dataclass(frozen=True)
class Found:
    """All crossings, the sizes that were asked for, and the seed."""

    crossings: tuple[Crossing, ...]
    sizes: tuple[int, ...]
    seed: int

    def ratios(self, path: str, m: int) -> list[float]:
        """In ascending order."""
        return sorted(item.ratio for item in self.crossings if (item.path, item.m) == (path, m))

    @property
    def smallest(self) -> Crossing:
        """The one nearest to the threshold."""
        return min(self.crossings, key=lambda item: item.ratio)

    @property
    def refuted(self) -> bool:
        """Whether a negative eigenvalue was met below the threshold; 1e-6 is for float64 at the change of sign."""
        return bool(self.crossings) and self.smallest.ratio < 1.0 - 1e-6

    @property
    def complete(self) -> bool:
        """Whether every path of every size met a change of sign."""
        return all(self.ratios(path, m) for path in PATHS for m in self.sizes)

    @property
    def text(self) -> str:
        """A line for each size."""
        header = ("m", "rays", "smallest", "median", "flows", "smallest", "median", "search")
        lines = align([header, *(self._cells(m) for m in self.sizes)], set(range(len(header))))
        lines.insert(0, "|grad F| / (4 sqrt(mu) beta s_min) where lambda_min(Hess F) changes sign")
        if self.crossings:
            least = self.smallest
            where = f"{least.path}, {least.activation}, m = {least.m}, n = {least.n}"
            lines.append(f"smallest: {least.ratio:.6f} ({where})")
        return "\n".join(lines)

    def _cells(self, m: int) -> tuple[str, ...]:
        cells = [str(m)]
        for path in PATHS[:2]:
            ratios = self.ratios(path, m)
            cells += [str(len(ratios)), *(f"{f(ratios):.4g}" if ratios else "-" for f in (np.min, np.median))]
        searched = self.ratios("search", m)
        return (*cells, f"{searched[0]:.6f}" if searched else "-")

    @property
    def numbers(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {"seed": self.seed, "sizes": self.sizes, "refuted": self.refuted, "complete": self.complete,
                "crossings": [vars(item) for item in self.crossings], "versions": versions()}  # fmt: skip


@reproducible
def thresholds(
    families: Sequence[Family] = FAMILIES, *, sizes: Sequence[int] = SIZES, samples: Sequence[int] = (1, 2),
    count: int = 3, effort: Effort = EFFORT, rng: int = 0,
) -> Found:  # fmt: skip
    """Follow `count` rays and flows for each family, width and number of samples, and search at each width.

    Raises `InputError` for a width below 2, where no unit is apart from the others.

    >>> cubic = Family.of("z**3 + nu*z", {"nu": (0.05, 5.0)})
    >>> found = thresholds([cubic], sizes=(3,), samples=(1,), count=2, effort=Effort(1, 1, 30))
    >>> found.complete, found.refuted
    (True, False)
    """
    if not sizes or min(sizes) < 2 or count < 1:
        raise InputError(f"Widths must be at least 2 and there must be a path for each; got {sizes}, {count}.")
    generator, inequality = np.random.default_rng(rng), inequality_named("S3r")
    found: list[Crossing] = []
    for m in sizes:
        layouts = [Layout(family, (1, m - 1), n) for family in families for n in samples]
        for layout in layouts:
            found += _sampled(layout, inequality, count, generator)
        found += [Crossing("search", least.candidate.layout.family.text, m, least.candidate.layout.n,
                           float(np.exp(least.candidate.ratio)))
                  for least in search(layouts, [inequality], effort, generator)]  # fmt: skip
    return Found(tuple(found), tuple(sizes), rng)


def _sampled(layout: Layout, inequality: Inequality, count: int, rng: np.random.Generator) -> list[Crossing]:
    """The first `count` of either path that meet a change of sign where S3 says something."""
    kept: dict[str, list[float]] = {"ray": [], "flow": []}
    for _ in range(_ATTEMPTS * count):
        x = layout.random(rng)
        for path, follow in (("ray", _on_ray), ("flow", _on_flow)):
            if len(kept[path]) < count:
                ratios = [_ratio(layout, point, inequality) for point in follow(layout, x)]
                seen = [ratio for ratio in ratios if np.isfinite(ratio)]
                kept[path] += [min(seen)] if seen else []
    text, m = layout.family.text, sum(layout.groups)
    return [Crossing(path, text, m, layout.n, ratio) for path, ratios in kept.items() for ratio in ratios]


def _ratio(layout: Layout, point: Point, inequality: Inequality) -> float:
    found = measured(layout.family, point.values, point.X, point.Z, point.a, point.flattest, layout.groups)
    return np.nan if found is None else float(inequality.ratio(found))


def _on_ray(layout: Layout, x: Array) -> Iterator[Point]:
    """The first change of sign on the ray."""
    place = along_ray(layout, x)
    point = None if place is None else layout.point(place)
    if point is not None:
        yield point


def _on_flow(layout: Layout, x: Array) -> Iterator[Point]:
    """Every change of sign on the flow that starts at the far end of the ray, on its negative side."""
    start = layout.point(moved(layout, x, FARTHEST))
    if start is None or not _smallest(layout, start) < 0.0:
        return
    firsts = np.cumsum((0, *layout.groups[:-1]))

    def at(features: Array) -> Point:
        Z = np.repeat(features.reshape(-1, layout.n), layout.groups, axis=0)
        return Point(start.values, start.X, Z, start.a, start.flattest)

    def field(t: float, features: Array) -> Array:
        point = _geometry(layout, at(features))
        return np.asarray(-(point.C @ point.G)[firsts].ravel())

    def settled(t: float, features: Array) -> float:
        return float(_geometry(layout, at(features)).gradient_norm / limit) - _SETTLED

    limit = _geometry(layout, start).gradient_norm
    settled.terminal = True  # type: ignore[attr-defined]
    flow = solve_ivp(field, (0.0, _LATEST), start.Z[firsts].ravel(), method="LSODA", rtol=1e-9, atol=1e-11,
                     events=settled, dense_output=True)  # fmt: skip
    signs = np.array([_smallest(layout, at(features)) < 0.0 for features in flow.y.T])
    for k in np.flatnonzero(signs[1:] != signs[:-1]):
        inside, outside = (flow.t[k], flow.t[k + 1]) if signs[k] else (flow.t[k + 1], flow.t[k])
        for _ in range(_BISECTIONS):
            middle = 0.5 * (inside + outside)
            negative = _smallest(layout, at(flow.sol(middle))) < 0.0
            inside, outside = (middle, outside) if negative else (inside, middle)
        yield at(flow.sol(inside))


def _geometry(layout: Layout, point: Point) -> Geometry:
    return geometry(point.X, point.a, layout.family.table(point.Z, point.values))


def _smallest(layout: Layout, point: Point) -> float:
    found = _geometry(layout, point)
    return float(spectrum(found, layout.groups)[0][0]) if np.isfinite(found.E).all() else np.nan


def write(found: Found, folder: Path) -> Path:
    """The plot as SVG, the crossings as CSV, everything as JSON."""
    from .threshold_figure import figure

    stream = io.StringIO()
    lines = csv.DictWriter(stream, list(Crossing.__dataclass_fields__), lineterminator="\n")
    lines.writeheader()
    lines.writerows([vars(item) for item in found.crossings])
    write_text(folder / "threshold.csv", stream.getvalue())
    write_text(folder / "threshold.svg", figure(found))
    return write_text(folder / "threshold.json", as_json(found.numbers) + "\n")
