"""The constants of the theorems over an interval, fast enough to be inside an optimiser; and the interval of S7."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .family import Array, Family

_GRID, _FINE, _ROUNDS = 129, 17, 7
_STEPS = 1e-3 * np.cumsum(1.5 ** np.arange(60))


@dataclass(frozen=True)
class Extrema:
    """Infima over an interval: rho1 of phi', rho2 of phi''', beta of phi'^2 phi'''/|phi''|, ratio of phi'''/phi', and
    product of phi' phi'''.
    """

    rho1: Any
    rho2: Any
    beta: Any
    ratio: Any
    product: Any

    @property
    def positive(self) -> bool:
        """Whether A1 and A3 hold with them."""
        return bool(min(self.rho1, self.rho2, self.beta) > 0.0)


def extrema(family: Family, values: Sequence[float], low: float, high: float) -> Extrema:
    """The infima over [low, high], from a grid that is laid again and again around each smallest entry.

    No proof: `enclosed.extrema` is one, for an instance that is reported.
    """
    lows, highs = np.full(5, low), np.full(5, high)
    best, size = np.full(5, np.inf), _GRID
    for _ in range(_ROUNDS):
        grids = np.linspace(lows, highs, size, axis=1)
        found = np.stack([row[k] for k, row in enumerate(quantities(family.table(grids, values)))])
        at = np.argmin(found, axis=1)
        best = np.minimum(best, found[np.arange(5), at])
        lows = grids[np.arange(5), np.maximum(at - 1, 0)]
        highs = grids[np.arange(5), np.minimum(at + 1, size - 1)]
        size = _FINE
    return Extrema(*best)


def quantities(table: NDArray[Any]) -> NDArray[Any]:
    """Of what `Extrema` has the infima, (5, ...), from a table of phi's derivatives in any arithmetic."""
    first, second, third = table[1:]
    level = second == 0.0
    with np.errstate(all="ignore"):
        normality = np.where(level, np.inf, first**2 * third / np.where(level, 1.0, np.abs(second)))
        return np.stack([first, third, normality, third / first, first * third])


def interval(family: Family, values: Sequence[float], Z: Array, bound: float) -> tuple[float, float] | None:
    """The interval around the features in which phi' <= bound, ends just outside; None where there is none."""
    ends = [_escape(family, values, float(edge), sign, bound) for edge, sign in ((Z.min(), -1.0), (Z.max(), 1.0))]
    return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])


def _escape(family: Family, values: Sequence[float], start: float, sign: float, bound: float) -> float | None:
    points = start + sign * np.concatenate([[0.0], _STEPS * max(1.0, abs(start))])
    for _ in range(7):
        slopes = np.abs(family.table(points, values)[1])
        outside = np.flatnonzero(slopes[1:] > bound)
        if outside.size == 0 or not np.isfinite(slopes[outside[0] + 1]):
            return None
        k = int(outside[0])
        points = np.linspace(points[k], points[k + 1], 3 * _FINE)
    return float(points[-1])
