"""Derivatives of a formula in a form that keeps its digits and does not overflow.

1 - tanh(z)^2 loses every digit for large z, and sinh(z)^2/cosh(z)^4 is inf/inf there. While differentiating,
tanh and 1/cosh are therefore replaced by functions whose derivatives are products of the two.
"""

from __future__ import annotations

from sympy import Add, Expr, Function, Mul, Pow, cosh, expand_mul, factor_terms, tanh


class _Tanh(Function):
    """Tanh, with derivative sech^2."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Expr:
        return _Sech(self.args[0]) ** 2


class _Sech(Function):
    """1/cosh, with derivative -tanh sech."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> Expr:
        return -_Tanh(self.args[0]) * _Sech(self.args[0])


def shielded(expr: Expr) -> Expr:
    """Replace tanh and negative powers of cosh before differentiating.

    >>> from sympy import Symbol
    >>> z = Symbol("z")
    >>> exposed(shielded(tanh(z)).diff(z, 2))
    -2*tanh(z)/cosh(z)**2
    """
    inner = expr.replace(lambda x: isinstance(x, tanh), lambda x: _Tanh(x.args[0]))
    return inner.replace(_is_sech_power, lambda x: _Sech(x.base.args[0]) ** -x.exp)


def exposed(expr: Expr) -> Expr:
    """Put tanh and cosh back.

    >>> from sympy import Symbol
    >>> exposed(_Sech(Symbol("z")) ** 2)
    cosh(z)**(-2)
    """
    inner = expr.replace(lambda x: isinstance(x, _Sech), lambda x: 1 / cosh(x.args[0]))
    return inner.replace(lambda x: isinstance(x, _Tanh), lambda x: tanh(x.args[0]))


def divided_out(expr: Expr) -> Expr:
    """Divide a quotient term by term, so that a factor common to all cancels before it underflows.

    >>> from sympy import Symbol, exp
    >>> z = Symbol("z")
    >>> divided_out((exp(z) * z + exp(z)) / exp(z))
    z + 1
    """
    numerator, denominator = _as_quotient(expr)
    factored = factor_terms(denominator)
    return Add(*[term / factored for term in Add.make_args(expand_mul(numerator))])


def _as_quotient(expr: Expr) -> tuple[Expr, Expr]:
    """The factors with positive and with negative powers; exp(-z) counts as a factor of the numerator."""
    factors = Mul.make_args(expr)
    below = [x for x in factors if isinstance(x, Pow) and x.exp.could_extract_minus_sign()]
    above = [x for x in factors if x not in below]
    return Mul(*above), 1 / Mul(*below)


def _is_sech_power(expr: Expr) -> bool:
    return isinstance(expr, Pow) and isinstance(expr.base, cosh) and bool(expr.exp.is_Integer and expr.exp < 0)
