"""Exact certificates of the two inequalities.

Each hypothesis "x >= y" is written x = y + (a slack that is at least 0). The difference of both sides is
then a polynomial, over a denominator with positive coefficients; that none of its coefficients is negative
proves the inequality, and that it vanishes with all slacks at nought shows that its constant is the best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from sympy import Expr, Indexed, Poly, Symbol, cancel, exp, expand, fraction, integrate, oo, symbols

from derivations import symbols as sym
from derivations.checks.result import CheckResult, verdict
from derivations.checks.space import Point
from derivations.checks.symbolic import SymbolicSpace
from derivations.errors import DerivationError
from derivations.functions import ActivationDerivative
from derivations.records import Record
from derivations.sums import summand

_SLACKS = symbols("w_0:6", nonnegative=True)
_FIRST, _SECOND, _THIRD = symbols("first second third", positive=True)
_Z = Symbol("z", real=True)


@lru_cache(maxsize=64)
def check_certificate(record: Record) -> CheckResult:
    """Write the difference of both sides with slacks and look at its coefficients.

    Args:
        record: A record that is not among the equations of `definitions`.
    """
    worst = max(_defect(difference) for difference in _DIFFERENCES[record.name](record))
    detail = "the difference is a polynomial in slacks without negative coefficients and vanishes with them"
    return verdict(record.name, "symbolic", worst, 0.0, detail)


def _defect(difference: Expr) -> float:
    """The size of the most negative coefficient, or of what is left without slacks; nought proves."""
    above, below = fraction(cancel(_with_names(difference)))
    if min(_coefficients(below)) < 0:
        raise DerivationError(f"the denominator {below} may change its sign")
    rest = _coefficients(above.subs(dict.fromkeys(_SLACKS, 0)))
    return float(max([-min(_coefficients(above)), *map(abs, rest), 0]))


def _with_names(expr: Expr) -> Expr:
    """A positive symbol for every derivative and entry that is left; all of these are positive where they occur."""
    parts = sorted(expr.atoms(ActivationDerivative, Indexed), key=lambda x: (-x.count_ops(), str(x)))
    return expr.xreplace({part: Symbol(f"part_{at}", positive=True) for at, part in enumerate(parts)})


def _coefficients(expr: Expr) -> list[Expr]:
    names = sorted(expr.free_symbols, key=str)
    return list(Poly(expr, *names).coeffs()) if names else [expr]


def _unit_space() -> SymbolicSpace:
    """One unit a phi(z) at one sample."""
    one = np.ones((1, 1), dtype=object)
    coefficient = np.array([[Symbol("a", positive=True)]], dtype=object)
    return SymbolicSpace(Point(one, coefficient, 0 * one, 0 * one, one[0]), separable=True)


def _at_unit(function: Callable[[SymbolicSpace], Callable[[np.ndarray], np.ndarray]]) -> Expr:
    """The value of an entrywise function of one pre-activation."""
    return function(_unit_space())(np.array([[_Z]], dtype=object))[0, 0]


def _convexity_differences(record: Record) -> list[Expr]:
    """S3 for either sign of phi'': A3, the bound on C and a^2 s >= tau, each with its slack."""
    entry = _entry_of_hessian()
    return [_convexity_difference(record, entry, sign) for sign in (1, -1)]


def _convexity_difference(record: Record, entry: Expr, sign: int) -> Expr:
    third = (sym.beta * _SECOND + _SLACKS[0]) / _FIRST**2
    weight = sign * (-sym.kappa * sym.beta * sym.tau + _SLACKS[1])
    squares = (sym.tau + _SLACKS[2]) / Symbol("a", positive=True) ** 2
    values = {ActivationDerivative(1, _Z): _FIRST, ActivationDerivative(2, _Z): sign * _SECOND}
    values |= {ActivationDerivative(3, _Z): third, _WEIGHT: weight, _SQUARES: squares}
    right = record.right.xreplace({sym.Z[sym.j, sym.i]: _Z})
    return (entry - right).subs(values)


_WEIGHT, _SQUARES = Symbol("C", real=True), Symbol("s", positive=True)


def _entry_of_hessian() -> Expr:
    """E as the second derivative of h - lambda psi, lambda such that the first derivative is C."""
    multiplier = Symbol("multiplier", real=True)

    def lagrangian(space: SymbolicSpace) -> Callable[[np.ndarray], np.ndarray]:
        psi = lambda z: space.unit(z, (), space.at.a)  # noqa: E731 (as on paper)
        return lambda z: 2 * _SQUARES * space.by_z(psi)(z) ** 2 - multiplier * psi(z)

    first = _at_unit(lambda space: space.by_z(lagrangian(space)))
    second = _at_unit(lambda space: space.by_z(space.by_z(lagrangian(space))))
    slope = first.coeff(multiplier)
    solved = (_WEIGHT - (first - slope * multiplier)) / slope
    return second.subs(multiplier, cancel(expand(solved)))


def _rate_differences(record: Record) -> list[Expr]:
    """S13: first the lemma on strongly convex functions, then the chain of bounds."""
    return [_lemma(), -_lemma(), _rate_difference(record)]


def _lemma() -> Expr:
    """|p|^2 - 2 sigma (F - F*) = |p + sigma x|^2 + 2 sigma w, for the slack w of strong convexity.

    F* = F + p x + sigma x^2 / 2 + w at the distance x; returned is the difference of both sides, nought.
    """
    p, x, sigma, w = symbols("p x sigma w", real=True)
    excess = -(p * x + sigma * x**2 / 2 + w)
    return expand(p**2 - 2 * sigma * excess - ((p + sigma * x) ** 2 + 2 * sigma * w))


def _rate_difference(record: Record) -> Expr:
    """|grad F|^2 = mu |C|^2 + slack, C = B r, |r|^2 = |p|^2 + slack, |p|^2 = 2 sigma (F - F*) + slack."""
    gap = Symbol("gap", nonnegative=True)
    modulus = 2 * (sym.s_min + _SLACKS[0]) * _convexity(sym.gamma + _SLACKS[1])
    projected = 2 * modulus * gap + _SLACKS[2]
    weights = (sym.a2_min * sym.rho1**2 + _SLACKS[3]) * (projected + _SLACKS[4])
    left = sym.mu * weights + _SLACKS[5]
    return expand(left - record.right.subs(sym.F, sym.Fstar + gap))


def _convexity(ratio: Expr) -> Expr:
    """The second derivative of g by q when phi\'\'\'/phi' is this ratio, from the explicit functions."""

    def by_q(space: SymbolicSpace) -> Callable[[np.ndarray], np.ndarray]:
        slope = space.by_z(lambda z: space.unit(z, (), space.at.a))
        first = lambda z: space.by_z(lambda x: slope(x) ** 2)(z) / slope(z)  # noqa: E731
        return lambda z: space.by_z(first)(z) / slope(z)

    value = cancel(_at_unit(by_q))
    return cancel(value.subs(ActivationDerivative(3, _Z), ratio * ActivationDerivative(1, _Z)))


def _least_differences(record: Record) -> list[Expr]:
    """S2: m equal summands 2 s (psi')^2 with a = 1, an equation."""
    slope = _at_unit(lambda space: space.by_z(lambda z: space.unit(z, (), space.at.a)))
    share = (2 * _SQUARES * slope**2).subs({Symbol("a", positive=True): 1, _Z: sym.zeta[sym.i]})
    gap = expand(summand(record.right) - sym.m * share.subs(_SQUARES, sym.s[sym.i]))
    return [gap, -gap]


def _slope_differences(record: Record) -> list[Expr]:
    """S10: the unit's slope over its third derivative, an equation."""

    def nth(order: int) -> Expr:
        def derivative(space: SymbolicSpace) -> Callable[[np.ndarray], np.ndarray]:
            found = lambda z: space.unit(z, (), space.at.a)  # noqa: E731 (as on paper)
            for _ in range(order):
                found = space.by_z(found)
            return found

        return _at_unit(derivative)

    gap = cancel(summand(record.right).subs(sym.Z[sym.j, sym.i], _Z) - nth(1) / nth(3))
    return [gap, -gap]


def _modulus_difference(record: Record) -> Expr:
    """S3: the bound on E, those on the slopes, and sum u^2 >= mu |U|^2, with |U| = 1 and kappa = 4 - room."""
    slopes = (sym.rho1 + _SLACKS[0]) * (sym.rho2 + _SLACKS[1])
    room = Symbol("room", positive=True)
    entry = room * sym.tau * slopes + _SLACKS[2]
    return expand(entry * (sym.mu + _SLACKS[3]) - record.right.subs(sym.kappa, 4 - room))


def _decay_difference(record: Record) -> Expr:
    """S4: Hess F[U, U] = c |U|^2 + slack in the exact rate -2 Hess F[U, U]."""
    return expand(record.right + 2 * (sym.modulus * sym.gnorm**2 + _SLACKS[0]))


def _time_difference(record: Record) -> Expr:
    """S4: F at the start is at least the radius squared times the time outside, F at the end not negative."""
    start = sym.radius**2 * sym.t + _SLACKS[0]
    return cancel(record.right.subs(sym.F0, start) - sym.t)


def _local_difference(record: Record) -> Expr:
    """S5: F - F* = |grad F|^2 / (2 c) - slack, the integral of the bound of S4 over all later times."""
    gap = sym.gnorm**2 * _total_decay() - _SLACKS[0]
    return expand(sym.gnorm**2 - record.right.subs(sym.F, sym.Fstar + gap))


def _total_decay() -> Expr:
    """The integral of exp(-2 c t) over t > 0."""
    time = Symbol("time", positive=True)
    return integrate(exp(-2 * sym.modulus * time), (time, 0, oo))


def _distance_difference(record: Record) -> Expr:
    """S6: 4 s |phi'' - phi''| = |C / phi' - C / phi'|, each |C| <= |grad F| / sqrt(mu), third derivative >= rho2."""
    root = Symbol("root", positive=True)
    spread = 2 * sym.gnorm / (root * sym.rho1) - _SLACKS[0]
    apart = spread / (4 * _SQUARES * (sym.rho2 + _SLACKS[1]))
    return record.right.subs(sym.s[sym.i], _SQUARES).subs(sym.mu, root**2) - apart


def _confinement_difference(record: Record) -> Expr:
    """S7: F at the start is a summand and a slack."""
    slope, a = Symbol("slope", positive=True), Symbol("a", positive=True)
    right = record.right.subs({sym.a[sym.j, sym.i]: a, sym.s[sym.i]: _SQUARES})
    return cancel(right.subs(sym.F0, 2 * a**2 * _SQUARES * slope**2 + _SLACKS[0]) - slope**2)


_DIFFERENCES: Mapping[str, Callable[[Record], list[Expr]]] = MappingProxyType(
    {
        "convexity_bound": _convexity_differences,
        "global_rate": _rate_differences,
        "flattest_value": _least_differences,
        "feature_slope": _slope_differences,
        "modulus": lambda record: [_modulus_difference(record)],
        "local_decay": lambda record: [_decay_difference(record)],
        "entry_time": lambda record: [_time_difference(record)],
        "local_pl": lambda record: [_local_difference(record)],
        "distance": lambda record: [_distance_difference(record)],
        "confinement": lambda record: [_confinement_difference(record)],
    }
)
