"""Checks of the two inequalities: where they hold, and that their constants cannot be improved.

A bound with too small a constant would be true as well, so each is also tried at its case of equality; a
constant that is off by a thousandth either way is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from derivations import symbols as sym
from derivations.checks.equations import derivative_value
from derivations.checks.evaluate import Arithmetic, evaluate_array
from derivations.checks.points import SIZES, derivative_values
from derivations.checks.result import CheckResult, unchecked, verdict
from derivations.checks.space import Point, Space, eliminate
from derivations.checks.ways import Way
from derivations.records import Record
from derivations.unit import UnitFunction

Array = Any

_GRID = np.linspace(-6.0, 6.0, 241)
_SMALLEST = 1e-2
_LARGEST = 1e4


@dataclass(frozen=True)
class _Trial:
    """Both sides at several points; where `equal`, the sides must also agree."""

    left: Array
    right: Array
    equal: bool


def check_inequality(record: Record, unit: UnitFunction, way: Way, seed: int) -> CheckResult:
    """Try a bound at random points where its hypotheses hold, and at its case of equality.

    Args:
        record: "convexity_bound" or "global_rate".
        unit: A unit a phi(z).
        way: How the left side is differentiated.
        seed: Seed of the random points.
    """
    interval = admissible_interval(unit)
    if interval is None:
        reason = "no interval was found on which A1 holds (phi', phi''' > 0) and phi'' keeps its sign"
        return unchecked(record.name, way.method, way.slack, reason)
    trials = _TRIALS[record.name](record, unit, way, interval, np.random.default_rng(seed))
    excess = max(_excess(trial) for trial in trials)
    detail = "holds at random points and is attained at its case of equality"
    return verdict(record.name, way.method, excess, way.slack, detail)


def _excess(trial: _Trial) -> float:
    """How far right exceeds left, or how far both differ where they should be equal, by their size."""
    gaps = trial.right - trial.left
    size = max(abs(trial.left).max(), abs(trial.right).max())
    worst = abs(gaps).max() if trial.equal else max(gaps.max(), 0 * size)
    return float(worst / size)


def admissible_interval(unit: UnitFunction) -> tuple[float, float] | None:
    """An interval on which phi' and phi''' are positive and phi'' has one sign, or None.

    >>> admissible_interval(UnitFunction("z**2")) is None
    True
    """
    fits = [_admissible(unit, float(z)) for z in _GRID]
    runs, start = [], 0
    for at in range(1, len(fits) + 1):
        if at == len(fits) or fits[at] != fits[start]:
            runs.append((at - start, start, at - 1))
            start = at
    good = [run for run in runs if fits[run[1]] and run[0] > 2]
    return (float(_GRID[max(good)[1]]), float(_GRID[max(good)[2]])) if good else None


def _admissible(unit: UnitFunction, z: float) -> int:
    """The sign of phi'' where A1 holds with room to spare, otherwise nought."""
    point = Point(np.ones((1, 1)), np.ones((1, 1)), np.full((1, 1), z), np.zeros((1, 1)), np.zeros(1))
    found = [derivative_values(unit, (order,), point) for order in range(5)]
    if any(x is None or abs(x[0, 0]) > _LARGEST for x in found):
        return 0
    _, slope, bend, third, _ = (float(x[0, 0]) for x in found if x is not None)
    return int(np.sign(bend)) if min(slope, third, abs(bend)) > _SMALLEST else 0


def _right(record: Record, unit: UnitFunction, way: Way, entries: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    """A record's right side over units and samples, or (shape ()) as one number."""

    def derivative(node: Any, arguments: tuple[Any, ...]) -> Any:
        return derivative_value(unit, node, arguments, way.arithmetic)

    arithmetic = Arithmetic(way.arithmetic.rational, derivative=derivative)
    return evaluate_array(
        record.right,
        (sym.j, sym.i)[: len(shape)],
        shape,
        lambda name, at: entries[name][at] if at else entries[name],
        arithmetic,
    )


def _convexity_trials(
    record: Record, unit: UnitFunction, way: Way, interval: tuple[float, float], rng: np.random.Generator
) -> list[_Trial]:
    """S3 at single pre-activations: C within its bound, and at the end of it that lowers E."""
    shape = (1, 8)
    z, a, s = (
        way.array(rng.uniform(*interval, shape)),
        way.array(_signed(rng, shape)),
        way.array(rng.uniform(0.5, 2, shape)),
    )
    space = way.space(Point(np.ones((1, 1)), a, z, z, np.zeros(1)), unit)
    trials = []
    for share, room, equal in (
        (rng.uniform(-1, 1, shape), rng.uniform(0.5, 1, shape), False),
        (np.ones(shape), np.ones(shape), True),
    ):
        kappa, tau = way.number(float(rng.uniform(0.5, 4.0))), way.array(room) * a**2 * s
        weight = -kappa * tau * way.array(share) * _signed_normality(space, z)
        entries = {"kappa": kappa, "z": z}
        right = [_right(record, unit, way, entries | {"tau": x}, shape).flat[at] for at, x in enumerate(tau.flat)]
        trials.append(_Trial(_entry_of_hessian(space, z, s, weight), np.array(right).reshape(shape), equal))
    return trials


def _signed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def _signed_normality(space: Space, z: Array) -> Array:
    """The largest beta of A3 at each z, with the sign of phi''."""
    first = space.by_z(lambda x: space.unit(x, (), 0 * z + 1))
    second = space.by_z(first)
    return first(z) ** 2 * space.by_z(second)(z) / second(z)


def _entry_of_hessian(space: Space, z: Array, s: Array, weight: Array) -> Array:
    """E as the second derivative of h - lambda psi, lambda such that the first derivative is C."""
    psi = lambda x: space.unit(x, (), space.at.a)  # noqa: E731 (as on paper)
    slope = space.by_z(psi)
    h = lambda x: 2 * s * slope(x) ** 2  # noqa: E731
    multiplier = (space.by_z(h)(z) - weight) / slope(z)
    return space.by_z(space.by_z(lambda x: h(x) - multiplier * psi(x)))(z)


def _rate_trials(
    record: Record, unit: UnitFunction, way: Way, interval: tuple[float, float], rng: np.random.Generator
) -> list[_Trial]:
    """S13 at random points, and close to the flattest point of orthogonal data, where it is attained."""
    low, high = interval
    m, n, d = SIZES
    data = way.array(rng.normal(size=(n, d)))
    trials = [_rate_trial(record, unit, way, data, way.array(rng.uniform(low, high, (m, n))), rng, equal=False)]
    middle = way.number(float(rng.uniform(0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high)))
    near = middle + way.number(way.nearness) * way.array(rng.normal(size=(m, n)))
    trials.append(_rate_trial(record, unit, way, way.array(2 * np.eye(n, d)), near, rng, equal=True))
    return trials


def _rate_trial(
    record: Record,
    unit: UnitFunction,
    way: Way,
    data: Array,
    z: Array,
    rng: np.random.Generator,
    *,
    equal: bool,
) -> _Trial:
    """Both sides at the pre-activations z; the units of a sample share its coefficient, so F* is known."""
    scale = np.ones(data.shape[0]) if equal else rng.uniform(0.5, 1.5, data.shape[0])
    a = way.array(np.ones(z.shape) * scale)
    space, weights = _on_manifold(way, unit, data, a, z)
    flattest = _parameters(data, 0 * z + _flattest(space, z))
    gradient = space.tangential(space.derivative(space.laplacian(space.loss))(weights), weights)
    entries = _constants(space, z) | {
        "F": space.laplacian(space.loss)(weights),
        "Fstar": space.laplacian(space.loss)(flattest),
    }
    left = np.array([space.xp.sum(gradient**2)])
    return _Trial(left, np.array([_right(record, unit, way, entries, ())[()]]), equal)


def _on_manifold(way: Way, unit: UnitFunction, data: Array, a: Array, z: Array) -> tuple[Space, Array]:
    """A space whose manifold goes through the parameters that give these pre-activations."""
    weights = _parameters(data, z)
    free = way.space(Point(data, a, weights, weights, np.zeros(len(data))), unit)
    return way.space(Point(data, a, weights, weights, free.output(weights)), unit), weights


def _parameters(data: Array, z: Array) -> Array:
    """The parameters in the span of the data with these pre-activations, Z G^-1 X."""
    return np.dot(eliminate(np, np.dot(data, data.T), z.T).T, data)


def _flattest(space: Space, z: Array) -> Array:
    """For each sample the pre-activation at which phi takes its mean over the units (S1), by bisection."""
    ones = 0 * z + 1
    phi = lambda x: space.unit(x + 0 * z, (), ones)  # noqa: E731 (as on paper)
    target = np.sum(phi(z), axis=0) / len(z)
    low, high = np.min(z, axis=0), np.max(z, axis=0)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        below = phi(middle)[0] < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _constants(space: Space, z: Array) -> dict[str, Any]:
    """The constants of S13, bounds over the interval of the pre-activations."""
    ones = 0 * z + 1
    first = space.by_z(lambda x: space.unit(x, (), ones))
    third = space.by_z(space.by_z(first))
    grid = [z.min() + (z.max() - z.min()) * at / _POINTS for at in range(_POINTS + 1)]
    slopes, ratios = zip(
        *[(first(x * ones).min(), (third(x * ones) / first(x * ones)).min()) for x in grid], strict=True
    )
    data = space.at.X
    return {
        "mu": _smallest_eigenvalue(np.dot(data, data.T)),
        "s_min": np.sum(data**2, axis=1).min(),
        "a2_min": (space.at.a**2).min(),
        "rho1": min(slopes),
        "gamma": min(ratios),
    }


def _smallest_eigenvalue(gram: Array) -> Any:
    """Of a symmetric matrix of two rows (the random networks have two samples), in any kind of number."""
    (first, off), (_, second) = gram
    return (first + second - ((first - second) ** 2 + 4 * off**2) ** 0.5) / 2


_BISECTIONS = 700
_POINTS = 20

_TRIALS: Mapping[str, Callable[..., list[_Trial]]] = MappingProxyType(
    {"convexity_bound": _convexity_trials, "global_rate": _rate_trials}
)
