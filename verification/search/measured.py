"""What the inequalities compare, at one point of one M, with either set of constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np

from .extrema import Extrema, extrema, interval
from .family import Family
from .geometry import Geometry, Numbers, geometry, inverse_diagonal, smallest_eigenvalue, spectrum, square_root

RESOLVED = 1e-7  # of C, relative to the two terms that it is the difference of
SMALLEST_EXCESS = 1e-9  # of F - F*, relative to F, whose rounding it contains
LARGEST_SLOPE = 1e6  # beyond, float64 has too few digits left for a difference F - F*


@dataclass(frozen=True, eq=False)
class Data:
    """Of the data: mu of G, nu of S^(1/2) G S^(1/2) with S = diag(s), s_min, and t = min_i s_i / sqrt((G^-1)_ii)."""

    mu: Any
    nu: Any
    s_min: Any
    t: Any

    @classmethod
    def of(cls, G: Numbers) -> Data:
        """From the Gram matrix."""
        s = np.diagonal(G)
        roots = np.array([square_root(value) for value in s], dtype=G.dtype)
        inverse = np.array([square_root(value) for value in inverse_diagonal(G)], dtype=G.dtype)
        scaled = G * roots[:, None] * roots[None, :]
        return cls(smallest_eigenvalue(G), smallest_eigenvalue(scaled), s.min(), (s / inverse).min())


@dataclass(frozen=True, eq=False)
class Measured:
    """A point, the features of its flattest point, and what was measured.

    `stated` are the constants over the interval of S7, `sharp` those over the smaller one of S7*; `smallest` is the
    smallest eigenvalue of the Hessian on T within the data's span, None where it was not asked for.
    """

    point: Geometry
    Z: Numbers
    data: Data
    flattest: Numbers
    excess: Any
    weight: Any
    stated: Extrema
    sharp: Extrema
    smallest: Any = None

    def with_constants(self, stated: Extrema, sharp: Extrema) -> Measured:
        """The same with other constants."""
        return replace(self, stated=stated, sharp=sharp)


def measured(
    family: Family, values: Sequence[float], X: Numbers, Z: Numbers, a: Numbers, flattest: Numbers,
    groups: tuple[int, ...] | None = None,
) -> Measured | None:  # fmt: skip
    """Measure at features Z (m, n), floats; None where A1, A3 or S7's interval fails, or rounding is all there is.

    `groups`: sizes of the groups of equal units, where the smallest eigenvalue is wanted.
    """
    table = family.table(Z, values)
    if not (np.isfinite(table).all() and (table[1] > 0.0).all() and table[1].max() < LARGEST_SLOPE):
        return None
    point = geometry(X, a, table)
    if not is_resolved(point):
        return None
    difference = excess(point, family.table(flattest, values))
    if not difference > SMALLEST_EXCESS * point.F:
        return None
    found = _constants(family, values, point, Z, flattest)
    if found is None:
        return None
    smallest = None if groups is None else spectrum(point, groups)[0][0]
    return Measured(point, Z, Data.of(point.G), flattest, difference, (a**2).min(), *found, smallest)


def is_resolved(point: Geometry) -> bool:
    """Whether C = A - B lambda is more than the rounding of its two terms: at a critical point it is not."""
    normal = np.abs(point.B * point.lam).max()
    size = np.abs(point.C + point.B * point.lam).max() + normal
    return bool(np.abs(point.C).max() > RESOLVED * size)


def excess(point: Geometry, best: Numbers) -> Any:
    """F - F*, each term a difference of squares of slopes, for fewer digits lost."""
    scale = 2 * (point.a**2)[:, None] * point.s[None, :]
    return (scale * (point.table[1] - best[1]) * (point.table[1] + best[1])).sum()


def _constants(
    family: Family, values: Sequence[float], point: Geometry, Z: Numbers, flattest: Numbers
) -> tuple[Extrema, Extrema] | None:
    every = np.concatenate([Z, flattest])
    bound = interval(family, values, every, stated_slope(point))
    if bound is None:
        return None
    stated = extrema(family, values, *bound)
    if not stated.positive:
        return None
    inner = interval(family, values, every, sharp_slope(point, stated.rho1))
    return None if inner is None else (stated, extrema(family, values, *inner))


def stated_slope(point: Geometry) -> Any:
    """The largest phi' that F allows (S7): sqrt(F / (2 s_min min a^2))."""
    return square_root(point.F / (2 * point.s.min() * (point.a**2).min()))


def sharp_slope(point: Geometry, rho1: Any) -> Any:
    """The same where every other term of F is at least 2 a^2 s rho1^2 (S7*)."""
    rest = point.F - 2 * rho1**2 * total(point)
    return square_root(max(rest, 0 * rest) / (2 * point.s.min() * (point.a**2).min()) + rho1**2)


def total(point: Geometry) -> Any:
    """sum_ji a_j^2 s_i."""
    return (point.a**2).sum() * point.s.sum()


def logarithm(value: Any) -> Any:
    """log(1 + value), of a float or a number of mpmath."""
    return mpmath.log1p(value) if isinstance(value, mpmath.mpf) else np.log1p(value)
