"""Give symbolic sums a value: at given arrays, in any kind of number.

The same walk serves fractions, mpmath numbers, floats, autograd's boxes and numbers that carry something
along. A node of an unknown kind raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sympy import Abs, Add, Expr, Indexed, Mul, NumberSymbol, Pow, Rational, Sum, Symbol

from derivations.errors import DerivationError
from derivations.functions import ActivationDerivative, UnitDerivative

Number = Any
"""A number of whatever kind: Fraction, mpf, float, SymPy expression, autograd box."""


def _no_value(expr: Expr) -> Number:
    raise DerivationError(f"this kind of number has no value for {expr}")


def _no_derivative(expr: Expr, arguments: tuple[Number, ...]) -> Number:
    return _no_value(expr)


@dataclass(frozen=True)
class Arithmetic:
    """How one kind of number is made and which functions it has.

    Args:
        rational: Make a number from a SymPy Rational.
        constant: Make a number from pi or E.
        functions: The elementary functions by SymPy name.
    """

    rational: Callable[[Rational], Number]
    constant: Callable[[NumberSymbol], Number] = _no_value
    functions: Mapping[str, Callable[..., Number]] = field(default_factory=dict)
    derivative: Callable[[Expr, tuple[Number, ...]], Number] = _no_derivative


def evaluate(expr: Expr, entries: Callable[[str, tuple[int, ...]], Number], arithmetic: Arithmetic) -> Number:
    """Evaluate an expression with all its indices bound.

    Args:
        expr: The expression.
        entries: The value of a symbol or an array entry: name and indices from 0 (none for a symbol).
        arithmetic: The kind of number.

    Raises:
        DerivationError: the expression contains a kind of node that has no value.

    >>> from derivations import symbols as sym
    >>> values = {"n": 3, "y": [1, 2, 3]}
    >>> look_up = lambda name, index: values[name][index[0]] if index else values[name]
    >>> evaluate(Sum(sym.y[sym.i] ** 2, (sym.i, 1, sym.n)), look_up, Arithmetic(int))
    14
    """
    return _Walk(entries, arithmetic).value(expr, {})


def evaluator(entries: Callable[[str, tuple[int, ...]], Number], arithmetic: Arithmetic) -> Callable[[Expr], Number]:
    """A function that evaluates many expressions, each common subexpression once.

    >>> evaluator(lambda name, index: 2, Arithmetic(int))(Symbol("x") ** 2)
    4
    """
    walk = _Walk(entries, arithmetic)
    return lambda expr: walk.value(expr, {})


def evaluate_array(
    expr: Expr,
    indices: tuple[Symbol, ...],
    shape: tuple[int, ...],
    entries: Callable[[str, tuple[int, ...]], Number],
    arithmetic: Arithmetic,
) -> np.ndarray:
    """Evaluate an expression with free indices, as an array over them.

    >>> from derivations import symbols as sym
    >>> evaluate_array(sym.y[sym.i], (sym.i,), (2,), lambda name, index: index[0], Arithmetic(int)).tolist()
    [0, 1]
    """
    walk = _Walk(entries, arithmetic)
    out = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        out[place] = walk.value(expr, {index: at + 1 for index, at in zip(indices, place, strict=True)})
    return out


class _Walk:
    """One evaluation; `bound` holds the current values of the indices, from 1.

    Outside sums nothing depends on an index, so each common subexpression is evaluated once.
    """

    def __init__(self, entries: Callable[[str, tuple[int, ...]], Number], arithmetic: Arithmetic) -> None:
        self.entries = entries
        self.arithmetic = arithmetic
        self.known: dict[Expr, Number] = {}

    def value(self, expr: Expr, bound: Mapping[Symbol, int]) -> Number:
        if bound:
            return self._value(expr, bound)
        if expr not in self.known:
            self.known[expr] = self._value(expr, bound)
        return self.known[expr]

    def _value(self, expr: Expr, bound: Mapping[Symbol, int]) -> Number:
        if isinstance(expr, Rational):
            return self.arithmetic.rational(expr)
        if isinstance(expr, Symbol):
            return bound[expr] if expr in bound else self.entries(expr.name, ())
        if isinstance(expr, Indexed):
            return self.entries(str(expr.base.label), tuple(bound[index] - 1 for index in expr.indices))
        if isinstance(expr, Sum):
            return self._sum(expr, bound)
        if isinstance(expr, NumberSymbol):
            return self.arithmetic.constant(expr)
        return self._apply(expr, bound)

    def _sum(self, expr: Sum, bound: Mapping[Symbol, int]) -> Number:
        (index, _, size), *outer = expr.limits[::-1]
        body = expr.func(expr.function, *outer[::-1]) if outer else expr.function
        terms = [self.value(body, {**bound, index: at}) for at in range(1, self.entries(size.name, ()) + 1)]
        return sum(terms[1:], terms[0])

    def _apply(self, expr: Expr, bound: Mapping[Symbol, int]) -> Number:
        if isinstance(expr, UnitDerivative | ActivationDerivative):
            variables = expr.args[len(expr.orders) :]
            return self.arithmetic.derivative(expr, tuple(self.value(arg, bound) for arg in variables))
        if isinstance(expr, Pow) and isinstance(expr.exp, Rational):
            return self._power(self.value(expr.base, bound), expr.exp)
        values = [self.value(arg, bound) for arg in expr.args]
        if isinstance(expr, Add):
            return sum(values[1:], values[0])
        if isinstance(expr, Mul):
            return _product(values)
        return self._function(expr, values)

    def _power(self, base: Number, exponent: Rational) -> Number:
        if exponent.is_Integer:
            whole = int(exponent)
            return base**whole if whole > 0 else 1 / base**-whole
        return base ** self.arithmetic.rational(exponent)

    def _function(self, expr: Expr, values: list[Number]) -> Number:
        if isinstance(expr, Pow):
            return values[0] ** values[1]
        if isinstance(expr, Abs):
            return abs(values[0])
        name = type(expr).__name__
        if name not in self.arithmetic.functions:
            raise DerivationError(f"no value is known for {name} in {expr}")
        return self.arithmetic.functions[name](*values)


def _product(values: list[Number]) -> Number:
    result = values[0]
    for value in values[1:]:
        result = result * value
    return result
