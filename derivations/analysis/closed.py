"""Closed forms of what theorems leave implicit: inverse functions, and the interval that a bound on phi' leaves."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from sympy import Expr, Poly, Rational, Symbol, cancel, expand, fraction, simplify, sqrt

from derivations.analysis.assumptions import Interval, assumptions, derivatives
from derivations.analysis.generator import Curve, T, curves, reduced
from derivations.analysis.roots import number
from derivations.unit import UnitFunction

LEVEL = Symbol("b", real=True)
"""The value that a function is to take."""

_DIGITS = 30
_AGREE = Rational(1, 10**20)


@lru_cache(maxsize=64)
def inverse(unit: UnitFunction, order: int) -> Expr | None:
    """The inverse of phi (order 0) or of phi'' (order 2) as a function of `LEVEL`, which may be of any sign; or None.

    >>> inverse(UnitFunction("z**3 + z"), 2)
    b/6
    """
    found = assumptions(unit)
    curve = _curve(unit, order)
    if curve is None or found.interval is None:
        return None
    samples = _samples(found.interval)
    return _matching(_solutions(curve), curve.source, unit.z, samples)


@lru_cache(maxsize=64)
def confinement(unit: UnitFunction) -> tuple[Expr, Expr] | None:
    """The ends of {z : phi'(z) <= `LEVEL`} where phi' has its least value inside the line; or None.

    >>> confinement(UnitFunction("z**3 + z"))[1].subs(LEVEL, 4)
    1
    """
    found, curve = assumptions(unit), _curve(unit, 1)
    least = found.extremum("rho1")
    if curve is None or found.interval is None or least is None or len(least.critical) != 1:
        return None
    bottom = number(least.critical[0][0])
    below, above = ([Rational(str(round(bottom + side * step, 6))) for step in (0.5, 1.0, 1.4)] for side in (-1, 1))
    if not all(found.interval.contains(float(z)) for z in (*below, *above)):
        return None
    solutions = list(_solutions(curve))
    low, high = (_matching(solutions, curve.source, unit.z, side) for side in (below, above))
    return (low, high) if low is not None and high is not None else None


def _curve(unit: UnitFunction, order: int) -> Curve | None:
    found = curves({"f": derivatives(unit)[order]}, unit.z)
    return found["f"] if found and not found["f"].factor.has(unit.z) else None


def _samples(interval: Interval) -> list[Expr]:
    """Three points of an interval, on both sides of 0 where it holds both."""
    low = max(number(interval.low), min(-2.0, number(interval.high) - 2.0))
    high = min(number(interval.high), max(2.0, low + 2.0))
    return [Rational(str(round(low + share * (high - low), 6))) for share in (0.2, 0.45, 0.85)]


def _solutions(curve: Curve) -> Iterable[Expr]:
    """The z at which a curve has the value `LEVEL`, where the equation is quadratic in a power of the generator."""
    above, below = fraction(cancel(curve.ratio))
    poly = Poly(expand(curve.factor * above - LEVEL * below), T)
    inner, step = reduced(poly)
    if inner.degree() not in (1, 2):
        return
    for u in _quadratic(inner):
        root = u ** Rational(1, step)
        for t in (root,) if step % 2 else (root, -root):
            yield curve.generator.back(t)


def _quadratic(poly: Poly) -> list[Expr]:
    if poly.degree() == 1:
        a, b = poly.all_coeffs()
        return [cancel(-b / a)]
    a, b, c = poly.all_coeffs()
    root = sqrt(simplify(cancel((b**2 - 4 * a * c) / (4 * a**2))))
    return [cancel(-b / (2 * a)) + root, cancel(-b / (2 * a)) - root]


def _matching(solutions: Iterable[Expr], source: Expr, z: Symbol, samples: list[Expr]) -> Expr | None:
    """The solution that leads back to every sample, or None; this is what decides between the branches."""
    levels = [source.subs(z, x).evalf(_DIGITS) for x in samples]
    for solution in solutions:
        if all(_agrees(solution.subs(LEVEL, level), x) for level, x in zip(levels, samples, strict=True)):
            return solution
    return None


def _agrees(back: Expr, z: Expr) -> bool:
    distance = (back - z).evalf(_DIGITS, chop=True)
    return bool(distance.is_real and abs(distance) < _AGREE)
