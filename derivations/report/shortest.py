"""The shortest of several forms of a derivative.

Only what a report shows passes through here; records, checks and kernels keep the forms in which they were derived.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from sympy import Expr, factor, factor_terms, together

from derivations.checks.points import finite_value
from derivations.printing import latex, width

_LONGEST = 300
"""Operations; SymPy takes long to factor more."""

_FORMS: tuple[Callable[[Expr], Expr], ...] = (factor_terms, factor, lambda x: factor_terms(together(x)))

_TRIALS = (0.3, 0.7, 1.1, -0.6)
_CLOSE = 1e-9


@lru_cache(maxsize=2048)
def shortest(expr: Expr) -> Expr:
    """The narrowest of several forms of an expression in plain symbols, as it stands where none is narrower.

    A form counts only where it agrees with the expression at the points of a trial, for the machinery that made it is
    not ours.

    >>> from sympy import Symbol
    >>> z = Symbol("z", real=True)
    >>> shortest((z**2 / (z**2 + 1) - 1) / (z**2 + 1))
    -1/(z**2 + 1)**2
    """
    if expr.count_ops() > _LONGEST:
        return expr
    forms = (make(expr) for make in _FORMS)
    return min((expr, *[form for form in forms if agree(form, expr)]), key=lambda x: width(latex(x)))


def agree(form: Expr, expr: Expr) -> bool:
    """Whether two expressions have equal values at every point of the trial at which both are finite, and one is.

    >>> from sympy import Symbol
    >>> z = Symbol("z", real=True)
    >>> agree(z * (z + 1), z**2 + z), agree(z * (z - 1), z**2 + z)
    (True, False)
    """
    symbols = sorted(expr.free_symbols, key=str)
    pairs = []
    for place, value in enumerate(_TRIALS):
        at = {symbol: value + 0.1 * (place + 1) * number for number, symbol in enumerate(symbols)}
        pairs.append((finite_value(form, at), finite_value(expr, at)))
    known = [(x, y) for x, y in pairs if x is not None and y is not None]
    return bool(known) and all(abs(x - y) <= _CLOSE * max(abs(x), abs(y)) for x, y in known)
