"""The paper's assumptions A1-A3 on the range of pre-activations that can occur, and the constants they give (S7).

A1: phi' >= rho1 > 0 and phi''' >= rho2 > 0.  A2: mu = lambda_min(X X^T) > 0.  A3: beta |phi''| <= phi'^2 phi'''.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .compiled import geometry
from .errors import AssumptionWarning, InputError
from .reproducible import reproducible
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

# Which statements need which assumption (docs/theory.md).
NEEDS = {
    "A1": ("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S13"),
    "A2": ("S1", "S2", "S3", "S4", "S5", "S6", "S13"),
    "A3": ("S3", "S4", "S5"),
}
_FAR = 1e8
_AWAY = np.concatenate([[0.0], np.cumsum(1e-3 * 1.5 ** np.arange(80))])  # steps that grow by one half, to beyond _FAR
_GRID_POINTS = 4001
_COARSE = np.linspace(0.0, 1.0, 1001)  # where assumptions hold with room to spare, this many points show it
_FINE_POINTS = 65
_RESOLVED = 1e-12  # width of an interval that is not divided again, relative beyond 1


@dataclass(frozen=True)
class Constants:
    """Constants of the theorems for one starting point.

    `interval` holds every pre-activation that the flow can reach from there when `confined` (S7), else only those that
    occur at the start; rho1, rho2, beta and ratio = inf phi'''/phi' are extrema over it, beta 0 where no positive one
    will do. They come from a grid, refined: fast, but no proof (`manifoldflow.certificates.enclose_constants` is one).
    `weight` = min_j a_j^2.
    """

    interval: tuple[float, float]
    confined: bool
    rho1: float
    rho2: float
    beta: float
    ratio: float
    mu: float
    s_min: float
    weight: float
    sharpness: float

    @property
    def failing(self) -> tuple[str, ...]:
        """Names of the assumptions that fail, of A1, A2, A3."""
        holds = {"A1": self.rho1 > 0 and self.rho2 > 0, "A2": self.mu > 0, "A3": self.beta > 0}
        return tuple(name for name, good in holds.items() if not good)

    @property
    def inapplicable(self) -> tuple[str, ...]:
        """Statements that do not apply because an assumption fails."""
        names = {statement for assumption in self.failing for statement in NEEDS[assumption]}
        return tuple(sorted(names, key=lambda name: int(name[1:])))

    def radius(self, kappa: float = 2.0) -> float:
        """r = kappa sqrt(mu) beta s_min: the theorems' region is {|grad F| <= r} (S3, S4)."""
        return kappa * np.sqrt(self.mu) * self.beta * self.s_min * self.weight

    def convexity(self, kappa: float = 2.0) -> float:
        """c = (4 - kappa) rho1 rho2 s_min mu: the Hessian's lower bound in that region (S3), half the rate of S4."""
        return (4.0 - kappa) * self.rho1 * self.rho2 * self.s_min * self.mu * self.weight

    def global_rate(self) -> float:
        """8 s_min mu rho1^2 inf(phi'''/phi'): the global Polyak-Lojasiewicz constant and rate of F - F* (S13)."""
        return 8.0 * self.s_min * self.mu * self.rho1**2 * self.ratio * self.weight


@reproducible
def constants(manifold: ZeroLossManifold, theta: ArrayLike) -> Constants:
    """The constants of S3-S7 and S13 for the flow that starts at theta, a point of the manifold.

    Raises `InputError` for units that are not a*phi(z): the assumptions are about phi.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), data.X, data.y)
    >>> found = constants(man, man.random_point(rng=0))
    >>> found.failing, found.rho1, found.rho2
    ((), 1.0, 6.0)
    """
    return reduced_constants(manifold, manifold.coordinates.reduce(manifold.point("theta", theta)))


def reduced_constants(manifold: ZeroLossManifold, W: Array) -> Constants:
    """`constants` at a point in reduced coordinates."""
    if manifold.network.unit.phi is None:
        raise InputError(f"A1-A3 are about units a*phi(z); {manifold.network.unit.formula!r} is not of this form.")
    work = manifold.workspace()
    F = float(geometry.sharpness(W, manifold.problem, work))
    return _constants(manifold, work.z, F)


def _constants(manifold: ZeroLossManifold, z: Array, F: float) -> Constants:
    weight = float((manifold.a**2).min())
    interval, confined = confinement(manifold, z, _steepest(manifold, F))
    rho1, rho2, beta, ratio = _extrema(manifold, interval)
    return Constants(interval, confined, rho1, rho2, beta, ratio, manifold.mu, manifold.s_min, weight, F)


def warn_where_theorems_do_not_apply(manifold: ZeroLossManifold, z: Array, sharpness: float) -> None:
    """Issue an `AssumptionWarning` naming what fails on the range that occurs and the statements that need it.

    The range is that of a flow from a point with the pre-activations z (m, n) and that sharpness.
    """
    if manifold.network.unit.phi is None or _hold_clearly(manifold, z, sharpness):
        return
    found = _constants(manifold, z, sharpness)
    if found.failing:
        low, high = found.interval
        warnings.warn(
            f"{', '.join(found.failing)} fail for {manifold.network.unit.formula} with z in [{low:.4g}, {high:.4g}] "
            f"(rho1 = {found.rho1:.3g}, rho2 = {found.rho2:.3g}, beta = {found.beta:.3g}, mu = {found.mu:.3g}): "
            f"{', '.join(found.inapplicable)} do not apply. The computation goes on.",
            AssumptionWarning,
            stacklevel=4,  # past sharpness_flow and its wrapper, to the caller
        )


def _hold_clearly(manifold: ZeroLossManifold, z: Array, sharpness: float) -> bool:
    """True where A1 and A2 hold with room to spare on an interval somewhat wider than that of S7, and A3 with them.

    Near a point of the grid phi' or phi''' would have to fall by three times what it does to its neighbours. Done at
    the start of every flow, so that it does not wait for the constants.
    """
    bound = _steepest(manifold, sharpness)
    brackets = [_bracket(manifold, end, way, bound) for end, way in ((z.min(), -1.0), (z.max(), 1.0))]
    if manifold.mu == 0.0 or None in brackets:
        return False
    low, high = (float(bracket[1]) for bracket in brackets if bracket)
    table = manifold.kernel.table(low + (high - low) * _COARSE)
    return _clear_of_zero(_slope(table)) and _clear_of_zero(_third(table))


def _steepest(manifold: ZeroLossManifold, sharpness: float) -> float:
    """What |phi'| of no unit exceeds on any sample where F is at most `sharpness` (S7)."""
    return float(np.sqrt(sharpness / (2.0 * manifold.s_min * (manifold.a**2).min())))


def _clear_of_zero(values: Array) -> bool:
    with np.errstate(invalid="ignore"):
        changes = np.abs(values[1:] - values[:-1])
        clear = values[1:-1] > 3.0 * np.maximum(changes[1:], changes[:-1])
        return bool(clear.all() and values[0] > 0.0 and values[-1] > 0.0)  # a NaN is not


def confinement(manifold: ZeroLossManifold, z: Array, bound: float) -> tuple[tuple[float, float], bool]:
    """The interval around the given z on which |phi'| <= bound; not confined when an end is beyond 1e8."""
    low = _escape(manifold, float(z.min()), -1.0, bound)
    high = _escape(manifold, float(z.max()), 1.0, bound)
    if low is None or high is None:
        return (float(z.min()), float(z.max())), False
    return (low, high), True


def _escape(manifold: ZeroLossManifold, start: float, direction: float, bound: float) -> float | None:
    """The first point from start in that direction at which |phi'| exceeds the bound."""

    def excess(z: float) -> float:
        slope = manifold.kernel.table(np.array([z]))[1, 0]
        return abs(slope) - bound if np.isfinite(slope) else np.inf

    bracket = _bracket(manifold, start, direction, bound)
    return None if bracket is None else _boundary(excess, *bracket)


def _bracket(manifold: ZeroLossManifold, start: float, direction: float, bound: float) -> tuple[float, float] | None:
    """Points before and after the first one from start at which |phi'| exceeds the bound; None beyond 1e8."""
    reached = start + direction * max(1.0, abs(start)) * _AWAY
    reached = reached[: 2 + int(np.count_nonzero(np.abs(reached[1:]) < _FAR))]
    slopes = np.abs(manifold.kernel.table(reached)[1])
    outside = ~(slopes[1:] <= bound)
    if not outside.any():
        return None
    k = int(np.argmax(outside))
    return float(reached[k]), float(reached[k + 1])


def _boundary(excess: Callable[[float], float], inside: float, outside: float) -> float:
    if excess(inside) >= 0.0:
        return inside
    if not np.isfinite(excess(outside)):
        # Bisection is all that works where the activation stops being finite.
        for _ in range(80):
            middle = 0.5 * (inside + outside)
            inside, outside = (middle, outside) if excess(middle) < 0.0 else (inside, middle)
        return inside
    return float(brentq(excess, inside, outside, xtol=1e-13))


def _extrema(manifold: ZeroLossManifold, interval: tuple[float, float]) -> tuple[float, float, float, float]:
    grid = np.linspace(*interval, _GRID_POINTS)
    table = manifold.kernel.table(grid)
    rho1, rho2, beta, ratio = (
        _minimum(manifold, quantity, grid, table) for quantity in (_slope, _third, _normality, _ratio)
    )
    return rho1, rho2, beta if beta > 0.0 else 0.0, ratio


def _slope(table: Array) -> Array:
    return table[1]


def _third(table: Array) -> Array:
    return table[3]


def _normality(table: Array) -> Array:
    with np.errstate(all="ignore"):
        value = table[1] ** 2 * table[3] / np.abs(table[2])
    return np.where((table[2] == 0.0) & (table[1] ** 2 * table[3] > 0.0), np.inf, value)


def _ratio(table: Array) -> Array:
    with np.errstate(all="ignore"):
        return table[3] / table[1]


def _minimum(manifold: ZeroLossManifold, quantity: Callable[[Array], Array], grid: Array, table: Array) -> float:
    """Minimum of a quantity of the table over the grid's range; NaN if it is not defined on all of it.

    The grid is laid again, finer, between the neighbours of its smallest entry. Whole tables are cheaper than the
    single values that a scalar minimiser asks for: this is done at the start of every flow.
    """
    least = np.inf
    while True:
        values = quantity(table)
        k = int(np.argmin(values))  # a NaN, where there is one
        if np.isnan(values[k]):
            return float("nan")
        least = min(least, float(values[k]))
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, grid.size - 1)]
        if not np.isfinite(least) or high - low <= _RESOLVED * max(1.0, abs(low)):
            return least
        grid = np.linspace(low, high, _FINE_POINTS)
        table = manifold.kernel.table(grid)
