"""Random networks and points at which a given unit is finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from sympy import Expr, Symbol
from sympy.core.numbers import ImaginaryUnit

from derivations.checks.evaluate import Arithmetic, evaluate
from derivations.checks.space import Point
from derivations.functions import UnitDerivative
from derivations.pointwise import plain_derivative
from derivations.unit import UnitFunction

Array = Any

SIZES = (3, 2, 3)
"""m, n and d of the random networks; n <= d, so that G is invertible."""

SMALLER = (2, 2, 2)
"""The same for units with scalars of their own, which have more parameters to differentiate by."""

_ORDER = 4
_DRAWS = 20


def float_functions() -> dict[str, Callable[[float], float]]:
    """The elementary functions at a float.

    >>> float_functions()["sigmoid"](0.0)
    0.5
    """
    plain = ["exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh", "atan", "erf"]
    smooth = {
        "sigmoid": lambda x: 0.5 * (1 + math.tanh(x / 2)),
        "softplus": lambda x: math.log1p(math.exp(x)),
    }
    return {name: getattr(math, name) for name in plain} | smooth


FLOATS = Arithmetic(lambda x: float(x.p) / float(x.q), constant=float, functions=float_functions())


@lru_cache(maxsize=64)
def find_point(unit: UnitFunction, seed: int, spread: float = 1e4) -> Point | None:
    """Draw a network and a point at which the unit and its derivatives are finite, or None.

    Rounding stays small there: the unit and its derivatives are at most `spread` times its slope, which makes a
    unit as good as any multiple of it, the Gram matrix of the Jacobian has no larger condition, and the slopes of
    different units of an activation are as near each other.

    >>> find_point(UnitFunction("log(z)"), 0) is None
    False
    >>> find_point(UnitFunction("log(-1 - z**2)"), 0) is None
    True
    """
    rng = np.random.default_rng(seed)
    return next((point for point in _candidates(_sizes(unit), unit.p, rng) if _usable(unit, point, spread)), None)


def slopes(unit: UnitFunction, point: Point) -> list[Array | None]:
    """The first derivatives by z and by each own scalar; None for one that is not finite.

    >>> unit = UnitFunction("c*z", own=("c",))
    >>> by_z, by_c = slopes(unit, find_point(unit, 0))
    >>> by_z.shape, by_c.shape  # units, samples
    ((2, 2), (2, 2))
    """
    return [derivative_values(unit, tuple(row), point) for row in np.eye(unit.p + 1, dtype=int)]


def _sizes(unit: UnitFunction) -> tuple[int, int, int]:
    """m, n and d: so many units that their parameters outnumber the samples, and the manifold has a tangent."""
    if unit.p == 0:
        return SIZES
    m, n, d = SMALLER
    # Of a unit without z only the own scalars act.
    return (m if unit.z in unit.psi.free_symbols or unit.p > 1 else m + 1), n, d


def _candidates(sizes: tuple[int, int, int], p: int, rng: np.random.Generator) -> Iterator[Point]:
    """Mixed signs first, then one sign, then other scales."""
    for scale in (1.0, 0.3, 3.0, 10.0):
        for sign in (0, 1, -1):
            for _ in range(_DRAWS):
                yield _draw(sizes, p, rng, scale, sign)


def _draw(sizes: tuple[int, int, int], p: int, rng: np.random.Generator, scale: float, sign: int) -> Point:
    m, n, d = sizes
    data, weights = rng.normal(size=(n, d)), scale * rng.normal(size=(m, d))
    if sign:
        data, weights = abs(data), sign * abs(weights)
    own = rng.uniform(0.5, 1.5, size=(m, p)) * (1 if sign else rng.choice([-1.0, 1.0], size=(m, p)))
    a = rng.uniform(0.5, 1.5, size=(m, n)) * (1 if sign else rng.choice([-1.0, 1.0], size=(m, n)))
    return Point(data, a, np.concatenate([weights, own], axis=1), rng.normal(size=(m, d + p)), rng.normal(size=n))


def _usable(unit: UnitFunction, point: Point, spread: float) -> bool:
    """Whether every derivative up to the fourth is finite and moderate, and K well conditioned."""
    first = [slope for slope in slopes(unit, point) if slope is not None]
    if len(first) <= unit.p:
        return False
    if unit.p == 0 and not abs(first[0]).min() >= abs(first[0]).max() / spread:  # records divide by the slope
        return False
    largest = spread * max(abs(slope).max() for slope in first)
    orders = (order for order in np.ndindex(*[_ORDER + 1] * (unit.p + 1)) if sum(order) <= _ORDER)
    values = (derivative_values(unit, order, point) for order in orders)
    moderate = all(array is not None and abs(array).max() <= largest for array in values)
    return bool(moderate and np.linalg.cond(_gram(point, first)) < spread)


def derivative_values(unit: UnitFunction, order: tuple[int, ...], point: Point) -> Array | None:
    """A derivative of psi at every unit and sample, or None where it is not finite and real.

    >>> point = find_point(UnitFunction("z"), 0)
    >>> bool(derivative_values(UnitFunction("z"), (2,), point).any())
    False
    """
    node = UnitDerivative(*order, unit.z, *unit.c, unit.a)
    expr = plain_derivative(unit, node)
    z = point.X @ point.W[:, : point.d].T
    out = np.empty(point.a.shape)
    for j, i in np.ndindex(out.shape):
        arguments = (z[i, j], *point.W[j, point.d :], point.a[j, i])
        value = finite_value(expr, dict(zip((unit.z, *unit.c, unit.a), map(float, arguments), strict=True)))
        if value is None:
            return None
        out[j, i] = value
    return out


def activation_derivatives(unit: UnitFunction, z: float) -> list[float] | None:
    """phi and its first four derivatives at z, or None where one is not finite and real.

    >>> activation_derivatives(UnitFunction("z**3 + z"), 2.0)
    [10.0, 13.0, 12.0, 6.0, 0.0]
    """
    point = Point(np.ones((1, 1)), np.ones((1, 1)), np.full((1, 1), z), np.zeros((1, 1)), np.zeros(1))
    found = [derivative_values(unit, (order,), point) for order in range(_ORDER + 1)]
    return None if any(x is None for x in found) else [float(x[0, 0]) for x in found if x is not None]


def finite_value(expr: Expr, values: dict[Symbol, float]) -> float | None:
    """An expression at floats, or None where it is not a finite real number.

    >>> z = Symbol("z")
    >>> finite_value(1 / z, {z: 0.0}) is None
    True
    """
    if expr.has(ImaginaryUnit):
        return None
    table = {symbol.name: value for symbol, value in values.items()}
    try:
        value = evaluate(expr, lambda name, index: table[name], FLOATS)
    except (ValueError, OverflowError, ZeroDivisionError):
        return None
    return value if isinstance(value, float) and math.isfinite(value) else None


def _gram(point: Point, slopes: list[Array]) -> Array:
    """K, only to see whether it is well conditioned."""
    rows = [point.X @ point.X.T, *[1.0] * (len(slopes) - 1)]
    return sum(weight * (slope.T @ slope) for weight, slope in zip(rows, slopes, strict=True))
