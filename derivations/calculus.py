"""Differentiation of sums of symbolic length, and coefficients of what results."""

from __future__ import annotations

from collections.abc import Callable

from sympy import Add, Expr, Function, Indexed, Integer, Mul, Pow, Sum, expand, factor_terms

from derivations import symbols as sym
from derivations.errors import DerivationError
from derivations.sums import contract, limited, merge, rebuild


def derivative(expr: Expr, x: Expr) -> Expr:
    """Differentiate by an indexed entry or a symbol: SymPy's rules, applied from the leaves up.

    `Expr.diff` does the same, but asks of every sum whether it is nought by its assumptions, which takes most
    of the time; comparing with 0 is enough here.

    Raises:
        DerivationError: there is no rule for a kind of expression.

    >>> derivative(Sum(sym.y[sym.i] ** 2, (sym.i, 1, sym.n)), sym.y[sym.l])
    Sum(2*KroneckerDelta(i, l)*y[i], (i, 1, n))
    """
    return _derivative(expr, x, {})


def _derivative(expr: Expr, x: Expr, known: dict[Expr, Expr]) -> Expr:
    """The derivative, each common subexpression differentiated once."""
    if not expr.args or isinstance(expr, Indexed):
        return _leaf(expr, x)
    if expr not in known:
        known[expr] = _compound(expr, x, known)
    return known[expr]


def _leaf(expr: Expr, x: Expr) -> Expr:
    """Of a symbol or an entry; only entries of one array depend on each other, by their indices."""
    if isinstance(expr, Indexed) and isinstance(x, Indexed) and expr.base == x.base:
        return expr.diff(x)
    return Integer(expr == x)


def _compound(expr: Expr, x: Expr, known: dict[Expr, Expr]) -> Expr:
    if isinstance(expr, Sum):
        return limited(_derivative(expr.function, x, known), expr.limits)
    slopes = [_derivative(arg, x, known) for arg in expr.args]
    if isinstance(expr, Add):
        return Add(*slopes)
    return Add(*[_partial(expr, place) * slope for place, slope in enumerate(slopes) if slope != 0])


def differentiate(expr: Expr, parameter: Indexed) -> Expr:
    """Differentiate by one parameter and carry out the sums over the deltas that arise.

    >>> differentiate(Sum(sym.y[sym.i] ** 2, (sym.i, 1, sym.n)), sym.y[sym.l])
    2*y[l]
    """
    return contract(derivative(expr, parameter))


def along(expr: Expr, order: int, moving: Callable[[Indexed], Expr]) -> Expr:
    """Differentiate at t = 0 when each indexed entry x moves as x + t moving(x).

    >>> along(sym.y[sym.i] ** 2, 2, lambda entry: entry)
    2*y[i]**2
    """
    moved = rebuild(expr, Indexed, lambda entry: entry + sym.t * moving(entry))
    for _ in range(order):
        moved = derivative(moved, sym.t)
    return merge(contract(moved.xreplace({sym.t: Integer(0)})))


def coefficient(expr: Expr, *factors: Expr) -> Expr:
    """The coefficient of a product of factors, in an expression that is linear in each.

    >>> coefficient(sym.y[sym.i] * sym.f[sym.i] + 2 * sym.y[sym.i], sym.y[sym.i])
    f[i] + 2
    """
    for factor in factors:
        expr = derivative(expr, factor)
    return expr


def form_entry(body: Expr, first: Expr, second: Expr) -> Expr:
    """An entry of the symmetric matrix of a quadratic form: half the mixed second derivative.

    >>> form_entry(sym.s[sym.i] * sym.y[sym.i] ** 2, sym.y[sym.i], sym.y[sym.i])
    s[i]
    """
    return factor_terms(expand(coefficient(body, first, second) / 2))


def _partial(expr: Expr, place: int) -> Expr:
    """The derivative of a product, a power or a function by one of its arguments."""
    if isinstance(expr, Mul):
        return Mul(*expr.args[:place], *expr.args[place + 1 :])
    if isinstance(expr, Pow) and place == 0:
        return expr.exp * expr.base ** (expr.exp - 1)
    if isinstance(expr, Function):
        return expr.fdiff(place + 1)
    raise DerivationError(f"no rule differentiates {type(expr).__name__} by its argument {place + 1}: {expr}")
