"""LaTeX of the derivations: SymPy's printer, with names from the notation table and sums as on paper."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from sympy import Add, Basic, Expr, Indexed, Mul, Pow, Sum, Symbol
from sympy.printing.latex import LatexPrinter

from derivations.notation import NOTATION


class _Printer(LatexPrinter):
    """SymPy's LaTeX printer with the project's names."""

    def _print_Symbol(self, expr: Symbol, style: str = "plain") -> str:  # noqa: N802 (SymPy's name)
        if "\\" in expr.name:
            return str(expr.name)
        entry = NOTATION.get(expr.name)
        return entry.latex if entry else str(super()._print_Symbol(expr, style))

    def _print_Indexed(self, expr: Indexed, exp: str | None = None) -> str:  # noqa: N802
        name = str(expr.base.label)
        head, _, number = name.partition("_")
        owned = number.isdigit()
        base = NOTATION[head].latex if owned else self._print(expr.base.label)
        indices = " ".join(self._print(index) for index in expr.indices)
        subscript = f"{number}, {indices}" if owned else indices
        printed = rf"({base})_{{{subscript}}}" if "^" in base else f"{base}_{{{subscript}}}"
        return printed if exp is None else rf"{printed}^{{{exp}}}"

    def _print_Sum(self, expr: Sum) -> str:  # noqa: N802
        signs = "".join(
            rf"\sum_{{{self._print(index)}={self._print(low)}}}^{{{self._print(high)}}} "
            for index, low, high in reversed(expr.limits)
        )
        body = self._print(expr.function)
        return signs + (rf"\left({body}\right)" if expr.function.is_Add else body)

    def _as_ordered_terms(self, expr: Add, order: str | None = None) -> list[Expr]:
        """The terms in SymPy's order, but where the first is negative, one that is not comes before it: 1 - x."""
        found = list(super()._as_ordered_terms(expr, order=order))
        plus = next((place for place, term in enumerate(found) if not term.could_extract_minus_sign()), 0)
        return [found[plus], *found[:plus], *found[plus + 1 :]]

    def _print_Tuple(self, expr: Basic) -> str:  # noqa: N802
        return r"\left(" + r",\; ".join(self._print(x) for x in expr.args) + r"\right)"


_SETTINGS = {"order": "lex", "fold_short_frac": False, "inv_trig_style": "full"}

RELATIONS: Mapping[str, str] = MappingProxyType({"==": "=", ">=": r"\geq", "<=": r"\leq", "iff": r"= 0 \iff 0 ="})
"""The relations between the sides of a formula, in LaTeX."""


@lru_cache(maxsize=8192)
def latex(expr: Basic) -> str:
    r"""Write an expression in LaTeX.

    >>> from derivations import symbols as sym
    >>> latex(Sum(sym.y[sym.i] * sym.lam[sym.i], (sym.i, 1, sym.n)))
    '\\sum_{i=1}^{n} \\lambda_{i} y_{i}'
    """
    # GitHub refuses operatorname, and everything else sets mathrm as well.
    printed = str(_Printer(_SETTINGS).doprint(expr)).replace(r"\operatorname", r"\mathrm")
    return _NAME.sub(r" \, ", _FLAT.sub(r"(\1)", printed))


# Brackets around what is no higher than a letter need not stretch.
_PLAIN = r"[A-Za-z0-9 ,;]|\\[;,] |\\(?:phi|psi|lambda|zeta|nu|Theta)(?![A-Za-z])|_\{[A-Za-z0-9 ,]*\}|_[a-z0-9]"
_FLAT = re.compile(rf"\\left\((-?(?:{_PLAIN})*?) ?\\right\)")

# A name of several letters keeps its distance from the factor before it.
_NAME = re.compile(r"(?<=[A-Za-z0-9})]) (?=\\mathrm\{[a-z]{2,}\})")


def terms(expr: Add) -> list[tuple[str, Expr]]:
    """The terms of a sum in the order in which they are printed, each with its sign.

    >>> x, y = Symbol("x"), Symbol("y")
    >>> terms(x - y)
    [('', x), ('-', y)]
    """
    found = []
    for place, term in enumerate(_Printer(_SETTINGS)._as_ordered_terms(expr, order="lex")):
        negative = latex(term).lstrip().startswith("-")
        found.append(("-" if negative else "+" if place else "", -term if negative else term))
    return found


def width(text: str) -> float:
    r"""How wide LaTeX is when set, in characters; roughly.

    >>> width(r"\frac{a}{b} + \rho_{1}") < 8
    True
    """
    plain = re.sub(r"\\(left|right|mathrm|Bigl|Bigr|biggl|biggr|quad|cdot|,|;|!)\b ?", "", text)
    plain = re.sub(r"\\(?:frac|tfrac)", "", plain)
    plain = re.sub(r"\\((?:sin|cos|tan)h?|log|arctan)(?![A-Za-z])", r"\1", plain)
    plain = re.sub(r"\\[A-Za-z]+", "x", plain)
    scripts = sum(len(x) for x in re.findall(r"[_^]\{([^{}]*)\}", plain))
    return len(re.sub(r"[{}_^\\\s]", "", plain)) - 0.4 * scripts


def drawn_out(expr: Basic) -> Basic:
    """Numbers that every term has in common, in front of sums and of sums of terms.

    >>> from derivations import symbols as sym
    >>> drawn_out(Sum(-2 * sym.y[sym.i] * (2 * sym.f[sym.i] + 2), (sym.i, 1, sym.n)))
    -4*Sum((f[i] + 1)*y[i], (i, 1, n))
    """
    if isinstance(expr, Indexed) or not isinstance(expr, Sum | Add | Mul | Pow):
        return expr
    if isinstance(expr, Sum):
        number, rest = drawn_out(expr.function).as_coeff_Mul()
        return number * Sum(rest, *expr.limits)
    parts = [drawn_out(part) for part in expr.args]
    if isinstance(expr, Mul):
        parts = [piece for part in parts for piece in (part.primitive() if isinstance(part, Add) else (part,))]
    return expr.func(*parts)
