"""Checks of the two inequalities: where they hold, and that their constants cannot be improved.

A bound with too small a constant would be true as well, so each is also tried at its case of equality; a
constant that is off by a thousandth either way is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from derivations.checks.points import SIZES, activation_derivatives
from derivations.checks.result import CheckResult, unchecked, verdict
from derivations.checks.space import Point, Space
from derivations.checks.theorems import THEOREM_TRIALS
from derivations.checks.trials import (
    Trial,
    beside_rest,
    clear_of_rounding,
    constants,
    flattest,
    lost,
    on_manifold,
    parameters,
    right_value,
    signed,
    signed_normality,
)
from derivations.checks.ways import Way
from derivations.records import Record
from derivations.unit import UnitFunction

Array = Any

_GRID = np.linspace(-6.0, 6.0, 241)


def check_inequality(record: Record, unit: UnitFunction, way: Way, seed: int) -> CheckResult:
    """Try a bound at random points where its hypotheses hold, and at its case of equality.

    Args:
        record: A record that is not among the equations of `definitions`.
        unit: A unit a phi(z).
        way: How the left side is differentiated.
        seed: Seed of the random points.
    """
    interval = admissible_interval(unit, way.spread, way.room)
    if interval is None:
        reason = (
            "no interval was found on which A1 holds (phi', phi''' > 0), phi'' keeps its sign and all of them are of "
            "like size"
        )
        return unchecked(record.name, way.method, way.slack, reason)
    trials = _TRIALS[record.name](record, unit, way, interval, np.random.default_rng(seed))
    excess = max(_excess(trial, record.relation) for trial in trials)
    attained = any(trial.equal for trial in trials)
    tolerance = way.slack + max(trial.rounding for trial in trials)
    detail = "holds at random points" + (" and is attained at its case of equality" if attained else "")
    return verdict(record.name, way.method, excess, tolerance, detail)


def _excess(trial: Trial, relation: str) -> float:
    """How far the smaller side exceeds the larger, or how far both differ where they should be equal, by their size."""
    gaps = (trial.right - trial.left) * (-1 if relation == "<=" else 1)
    size = max(abs(trial.left).max(), abs(trial.right).max())
    worst = abs(gaps).max() if trial.equal else max(gaps.max(), 0 * size)
    return float(worst / size)


@lru_cache(maxsize=64)
def admissible_interval(unit: UnitFunction, spread: float = 1e4, room: float = 1e2) -> tuple[float, float] | None:
    """An interval on which phi' and phi''' are positive and phi'' has one sign, or None.

    No derivative is more than `spread` times as large as phi' there, phi not more than `room` times, and phi'' and
    phi''' not more than `room` times as small.

    >>> admissible_interval(UnitFunction("z**2")) is None
    True
    """
    fits = [_admissible(unit, float(z), spread, room) for z in _GRID]
    runs, start = [], 0
    for at in range(1, len(fits) + 1):
        if at == len(fits) or fits[at] != fits[start]:
            runs.append((at - start, start, at - 1))
            start = at
    good = [run for run in runs if fits[run[1]] and run[0] > 2]
    return (float(_GRID[max(good)[1]]), float(_GRID[max(good)[2]])) if good else None


def _admissible(unit: UnitFunction, z: float, spread: float, room: float) -> int:
    """The sign of phi'' where A1 holds with room to spare, otherwise nought."""
    found = activation_derivatives(unit, z)
    if found is None or max(map(abs, found)) > spread * found[1]:
        return 0
    value, slope, bend, third, _ = found
    fits = min(third, abs(bend)) > slope / room > 0 and abs(value) <= room * slope
    return int(np.sign(bend)) if fits else 0


def _convexity_trials(
    record: Record, unit: UnitFunction, way: Way, interval: tuple[float, float], rng: np.random.Generator
) -> list[Trial]:
    """S3 at single pre-activations: C within its bound, and at the end of it that lowers E."""
    shape = (1, 8)
    z, a, s = (
        way.array(rng.uniform(*interval, shape)),
        way.array(signed(rng, shape)),
        way.array(rng.uniform(0.5, 2, shape)),
    )
    space = way.space(Point(np.ones((1, 1)), a, z, z, np.zeros(1)), unit)
    trials = []
    for share, room, equal in (
        (rng.uniform(-1, 1, shape), rng.uniform(0.5, 1, shape), False),
        (np.ones(shape), np.ones(shape), True),
    ):
        kappa, tau = way.number(float(rng.uniform(0.5, 4.0))), way.array(room) * a**2 * s
        weight = -kappa * tau * way.array(share) * signed_normality(space, z)
        entries = {"kappa": kappa, "z": z}
        right = [right_value(record, unit, way, entries | {"tau": x}, shape).flat[at] for at, x in enumerate(tau.flat)]
        trials.append(Trial(_entry_of_hessian(space, z, s, weight), np.array(right).reshape(shape), equal))
    return trials


def _entry_of_hessian(space: Space, z: Array, s: Array, weight: Array) -> Array:
    """E as the second derivative of h - lambda psi, lambda such that the first derivative is C."""
    psi = lambda x: space.unit(x, (), space.at.a)  # noqa: E731 (as on paper)
    slope = space.by_z(psi)
    h = lambda x: 2 * s * slope(x) ** 2  # noqa: E731
    multiplier = (space.by_z(h)(z) - weight) / slope(z)
    return space.by_z(space.by_z(lambda x: h(x) - multiplier * psi(x)))(z)


def _rate_trials(
    record: Record, unit: UnitFunction, way: Way, interval: tuple[float, float], rng: np.random.Generator
) -> list[Trial]:
    """S13 at random points, and close to the flattest point of orthogonal data, where it is attained."""
    low, high = interval
    m, n, d = SIZES
    data = way.array(rng.normal(size=(n, d)))
    trials = [_rate_trial(record, unit, way, data, way.array(rng.uniform(low, high, (m, n))), rng, equal=False)]
    beside, orthogonal = beside_rest(unit, way, interval, rng), way.array(2 * np.eye(n, d))
    near = lambda distance: _rate_trial(  # noqa: E731 (as on paper)
        record, unit, way, orthogonal, beside(distance), rng, equal=True
    )
    return [*trials, clear_of_rounding(way, near)]


def _rate_trial(
    record: Record,
    unit: UnitFunction,
    way: Way,
    data: Array,
    z: Array,
    rng: np.random.Generator,
    *,
    equal: bool,
) -> Trial:
    """Both sides at the pre-activations z; the units of a sample share its coefficient, so F* is known."""
    scale = np.ones(data.shape[0]) if equal else rng.uniform(0.5, 1.5, data.shape[0])
    a = way.array(np.ones(z.shape) * scale)
    space, weights = on_manifold(way, unit, data, a, z)
    at_rest = parameters(data, 0 * z + flattest(space, z))
    gradient = space.tangential(space.derivative(space.steepness)(weights), weights)
    sharpness, least = (space.steepness(point) for point in (weights, at_rest))
    entries = constants(space, z) | {"F": sharpness, "Fstar": least}
    left = np.array([space.xp.sum(gradient**2)])
    right = np.array([right_value(record, unit, way, entries, ())[()]])
    return Trial(left, right, equal, lost(way, space, z, sharpness - least) if equal else 0.0)


OF_PATHS = frozenset({"entry_time"})
"""Statements about the flow's whole path, of which single points say nothing; they have a certificate only."""

_TRIALS: Mapping[str, Callable[..., list[Trial]]] = MappingProxyType(
    {"convexity_bound": _convexity_trials, "global_rate": _rate_trials, **THEOREM_TRIALS}
)
