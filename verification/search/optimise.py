"""The search: a pool of random and near-critical starts, then L-BFGS-B and Nelder-Mead from the best of them.

Ratios have kinks (smallest eigenvalues, largest entries, infima), where a quasi-Newton method stops short and a simplex
goes on (docs/counterexamples.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import minimize

from .family import Array
from .geometry import geometry, spectrum
from .inequalities import Inequality
from .layout import FARTHEST, Layout, Point
from .measured import Measured, measured

REFUSED = 50.0
"""Logarithm of the ratio where an inequality says nothing: above every other, and flat."""
_ALONG = np.linspace(np.log(0.05), FARTHEST, 12)
_BISECTIONS = 20


@dataclass(frozen=True)
class Effort:
    """How much is tried: pools of starts for each layout, optimisations for each inequality, evaluations in each."""

    pools: int
    starts: int
    evaluations: int


QUICK = Effort(pools=4, starts=2, evaluations=200)
FULL = Effort(pools=8, starts=3, evaluations=500)


@dataclass(frozen=True, eq=False)
class Candidate:
    """Variables of a layout and the ratio of an inequality there."""

    layout: Layout
    x: Array
    ratio: float


@dataclass(frozen=True, eq=False)
class Found:
    """The smallest ratio of an inequality, the instance that has it, and how many points were evaluated."""

    inequality: Inequality
    candidate: Candidate
    point: Point
    evaluations: int


def search(
    layouts: Sequence[Layout], inequalities: Sequence[Inequality], effort: Effort, rng: np.random.Generator,
    report: Callable[[str], object] = lambda line: None,
) -> list[Found]:  # fmt: skip
    """Minimise the ratio of each inequality over the instances of all layouts that have its kind of weights."""
    pool = [_Start(layout, x) for layout in layouts for x in _starts(layout, effort.pools, rng)]
    found = []
    for inequality in inequalities:
        best = _ranked(pool, inequality)[: effort.starts]
        if not best:
            continue
        counter = _Counter(inequality)
        results = [_descend(counter, candidate, effort.evaluations) for candidate in best]
        least = min(results, key=lambda candidate: candidate.ratio)
        report(f"{inequality.name}: {np.exp(least.ratio):.6g} ({least.layout.name})")
        found.append(Found(inequality, least, _final(inequality, least), counter.calls))
    return found


def _starts(layout: Layout, pools: int, rng: np.random.Generator) -> list[Array]:
    starts = [layout.random(rng) for _ in range(4 * pools)]
    for _ in range(pools):
        starts += layout.near_critical(rng)
    return starts


@dataclass(frozen=True, eq=False)
class _Start:
    """A start of the pool; what is measured there serves every inequality."""

    layout: Layout
    x: Array

    @cached_property
    def measured(self) -> Measured | None:
        return _measure(self.layout, self.x)

    @cached_property
    def on_ray(self) -> Measured | None:
        return _measured_on_ray(self.layout, self.x)

    def candidate(self, inequality: Inequality) -> Candidate:
        found = self.on_ray if inequality.threshold else self.measured
        return Candidate(self.layout, self.x, _logarithm(inequality, found))


def _ranked(pool: Sequence[_Start], inequality: Inequality) -> list[Candidate]:
    """The best start of each layout, best first, then the others."""
    fitting = [start.candidate(inequality) for start in pool if start.layout.signed == inequality.signed]
    ordered = sorted((found for found in fitting if found.ratio < REFUSED), key=lambda found: found.ratio)
    firsts = {found.layout: found for found in reversed(ordered)}
    leading = sorted(firsts.values(), key=lambda found: found.ratio)
    return leading + [found for found in ordered if firsts[found.layout] is not found]


def objective(inequality: Inequality, layout: Layout, x: Array) -> float:
    """Logarithm of the ratio; `REFUSED` where the inequality says nothing."""
    found = _measured_on_ray(layout, x) if inequality.threshold else _measure(layout, x, inequality.hessian)
    return _logarithm(inequality, found)


def _logarithm(inequality: Inequality, found: Measured | None) -> float:
    if found is None:
        return REFUSED
    with np.errstate(all="ignore"):
        ratio = float(inequality.ratio(found))
    if ratio <= 0.0:
        return -REFUSED
    return min(float(np.log(ratio)), REFUSED) if np.isfinite(ratio) else REFUSED


def _measure(layout: Layout, x: Array, hessian: bool = True) -> Measured | None:
    point = layout.point(x)
    if point is None:
        return None
    groups = layout.groups if hessian else None
    return measured(layout.family, point.values, point.X, point.Z, point.a, point.flattest, groups)


def _measured_on_ray(layout: Layout, x: Array) -> Measured | None:
    found = along_ray(layout, x)
    return None if found is None else _measure(layout, found)


def along_ray(layout: Layout, x: Array) -> Array | None:
    """The first point along the ray of x's direction with a negative eigenvalue, just beyond where it appears."""
    distances = [x[layout.distance], *_ALONG] if x[layout.distance] < _ALONG[0] else list(_ALONG)
    before = None
    for after in distances:
        if _is_negative(layout, moved(layout, x, after)):
            return None if before is None else _bisected(layout, x, before, after)
        before = after
    return None


def moved(layout: Layout, x: Array, distance: float) -> Array:
    """The same direction, another distance."""
    found = x.copy()
    found[layout.distance] = distance
    return found


def _is_negative(layout: Layout, x: Array) -> bool:
    """Whether the Hessian has a negative eigenvalue."""
    point = layout.point(x)
    if point is None:
        return False
    table = layout.family.table(point.Z, point.values)
    if not np.isfinite(table).all():
        return False
    return bool(spectrum(geometry(point.X, point.a, table), layout.groups)[0][0] < 0.0)


def _bisected(layout: Layout, x: Array, before: float, after: float) -> Array:
    for _ in range(_BISECTIONS):
        middle = 0.5 * (before + after)
        if _is_negative(layout, moved(layout, x, middle)):
            after = middle
        else:
            before = middle
    return moved(layout, x, after)


class _Counter:
    """The objective of one inequality, with a count of its calls."""

    def __init__(self, inequality: Inequality) -> None:
        self.inequality, self.calls = inequality, 0

    def __call__(self, x: Array, layout: Layout) -> float:
        self.calls += 1
        return objective(self.inequality, layout, x)


def _descend(function: _Counter, start: Candidate, evaluations: int) -> Candidate:
    """L-BFGS-B with finite differences, then Nelder-Mead from where it stops."""
    layout, best = start.layout, start
    bounds = layout.bounds
    for method, options in (
        ("L-BFGS-B", {"maxfun": evaluations // 2, "eps": 1e-6}),
        ("Nelder-Mead", {"maxfev": evaluations // 2, "adaptive": True, "xatol": 1e-7, "fatol": 1e-10}),
    ):
        x = np.clip(best.x, *bounds.T)
        result = minimize(function, x, args=(layout,), method=method, bounds=bounds, options=options)
        if result.fun < best.ratio:
            best = Candidate(layout, np.asarray(result.x), float(result.fun))
    return best


def _final(inequality: Inequality, least: Candidate) -> Point:
    """The instance itself; for a threshold the point of the ray."""
    x = least.x
    if inequality.threshold:
        found = along_ray(least.layout, x)
        x = x if found is None else found
    point = least.layout.point(x)
    assert point is not None  # its ratio is finite
    return point
