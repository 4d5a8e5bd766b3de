"""The part of a report about the activation: its derivatives, where the assumptions hold, the constants."""

from __future__ import annotations

from collections.abc import Iterator

from sympy import Abs, CRootOf, Expr, Symbol, exp, oo, radsimp, simplify

from derivations.analysis.assumptions import Assumptions, Extremum, Interval, assumptions, derivatives, functions
from derivations.analysis.closed import LEVEL, confinement, inverse
from derivations.analysis.enclosed import Enclosed
from derivations.analysis.roots import number
from derivations.checks.constants import check_constants
from derivations.errors import DerivationError
from derivations.functions import ActivationDerivative
from derivations.notation import NOTATION
from derivations.printing import latex, width
from derivations.report.checks_text import outcome
from derivations.report.document import Block, Formula, Heading, Paragraph, Spans, Table, spans
from derivations.report.layout import relation
from derivations.report.shortest import shortest
from derivations.unit import UnitFunction

_SHORT, _SHORT_NUMBER = 30, 15
"""Operations; a number that needs more is shown by its digits."""

_QUICK = 40
"""Operations; SymPy takes minutes over more."""

_COLUMN = 30
"""Characters of a function that a column of a table holds."""


def activation_blocks(unit: UnitFunction, enclosed: Enclosed | None = None) -> Iterator[Block]:
    """Derivatives, assumptions and constants of a unit a phi(z)."""
    yield Heading(1, spans("The activation"), "sec-activation")
    yield Paragraph(spans(r"The unit is $\psi = a\, \phi(z)$. Its derivatives, by SymPy:"))
    yield from _derivatives(unit)
    found = assumptions(unit)
    yield Heading(2, spans("Where the assumptions hold"), "sec-assumptions")
    yield Paragraph(spans(_ASSUMPTIONS))
    yield Paragraph(spans(_where(found) if enclosed is None else _proved(found, enclosed)))
    if found.extrema:
        yield Heading(2, spans("The constants"), "sec-constants")
        yield from _constants(found)
    elif enclosed is not None:
        yield Heading(2, spans("The constants"), "sec-constants")
        yield from _bounds(unit, enclosed)


def _derivatives(unit: UnitFunction) -> Iterator[Block]:
    for order, expr in enumerate(derivatives(unit)):
        yield relation(ActivationDerivative(order, unit.z), "==", shortest(expr), f"eq-phi{order}")


_ASSUMPTIONS = (
    r"A1 asks for $\phi' \ge \rho_1 > 0$ and $\phi''' \ge \rho_2 > 0$, A2 for $\mu > 0$ (independent samples, so "
    r"$n \le d$), and A3 for some $\beta > 0$ with $\beta |\phi''| \le \phi'^2 \phi'''$. A1 and A3 are needed only for "
    "the pre-activations that occur; A2 is a property of the data."
)

_HOW = (
    r"The zeros of $\phi'$ and $\phi'''$ are found exactly, as real roots of polynomials, and the signs between them "
    "are exact."
)


def _where(found: Assumptions) -> str:
    """Where A1 holds, and how that is known."""
    if not found.exact:
        return _undecided(found)
    if found.interval is None:
        return f"A1 holds on no interval: {found.reason}."
    if found.everywhere:
        return rf"{_HOW} $\phi'$ and $\phi'''$ are positive on the whole line."
    holds = " and on ".join(f"${interval_latex(x)}$" for x in found.holds)
    return (
        rf"{_HOW} $\phi'$ and $\phi'''$ are both positive on {holds}, and nowhere else. The statements below apply to "
        "flows whose pre-activations all stay in such an interval; the constants are for "
        f"${interval_latex(found.interval)}$."
    )


def _undecided(found: Assumptions) -> str:
    holds = " and ".join(f"${interval_latex(x)}$" for x in found.holds)
    positive = f"are positive together at the grid points of {holds}" if holds else "are nowhere positive together"
    return (
        rf"Nothing is proved about A1 here: {found.reason} (241 points from -6 to 6). There $\phi'$ and $\phi'''$ "
        f"{positive}. No constants are given."
    )


def _proved(found: Assumptions, enclosed: Enclosed) -> str:
    """What is proved where nothing is decided exactly."""
    return (
        rf"Nothing is decided exactly about A1: {found.reason}. Interval arithmetic ({enclosed.arithmetic}) proves that "
        rf"$\phi'$ and $\phi'''$ are positive on all of ${enclosed.latex}$; nothing is known beyond. The statements below "
        "apply to flows whose pre-activations stay there."
    )


def _bounds(unit: UnitFunction, enclosed: Enclosed) -> Iterator[Block]:
    """The constants between proved bounds."""
    text = rf"Each constant is the infimum of a function over ${enclosed.latex}$, proved to lie between two numbers."
    yield Paragraph(spans(text))
    known = functions(unit)
    rows = [_bound(name, known[name], *ends) for name, ends in enclosed.constants.items()]
    yield Table(tuple(map(spans, ("constant", "function", "at least", "at most"))), tuple(rows))


def _bound(name: str, function: Expr, low: str, high: str) -> tuple[Spans, ...]:
    return tuple(map(spans, (f"${NOTATION[name].latex}$", _shown(name, function), f"${low}$", f"${high}$")))


def _shown(name: str, function: Expr) -> str:
    """A function in a table: by the derivatives, which stand above, where no column holds it."""
    formula = latex(function.replace(Abs, lambda inner: Abs(shortest(inner))) if function.has(Abs) else shortest(function))
    return f"${_DEFINED[name]}$" if width(formula) > _COLUMN else rf"$\displaystyle {formula}$"


_DEFINED = {
    "rho1": r"\phi'",
    "rho2": r"\phi'''",
    "gamma": r"\phi''' / \phi'",
    "beta": r"\phi'^2 \phi''' / |\phi''|",
}
"""As `functions` has them; a test compares."""


def interval_latex(interval: Interval) -> str:
    r"""An open interval.

    >>> interval_latex(Interval(-oo, oo))
    '\\left(-\\infty, \\infty\\right)'
    """
    return rf"\left({number_latex(interval.low)}, {number_latex(interval.high)}\right)"


def number_latex(x: Expr) -> str:
    r"""A number: exactly where that is short, with its digits where it is not rational.

    >>> number_latex(oo)
    '\\infty'
    """
    if x in (oo, -oo):
        return r"\infty" if x == oo else r"-\infty"
    if x.is_Rational:
        return latex(x)
    digits = f"{number(x):.6g}"
    return rf"\approx {digits}" if x.has(CRootOf) or x.count_ops() > _SHORT_NUMBER else rf"{latex(x)} \approx {digits}"


_CONSTANTS = (
    r"Each constant is the infimum of a function of $z$. The table gives all points of the interval at which the "
    r"function's derivative vanishes, found as roots of polynomials, and the limits at both ends. Over a smaller "
    r"interval $[z_-, z_+]$, such as that of [](#eq-confinement), the infimum is the least of the values at $z_-$, at "
    r"$z_+$ and at those of the points that lie between. The check computes the functions by central differences of "
    "the activation at two hundred digits, at these points and at a hundred random ones."
)


def _constants(found: Assumptions) -> Iterator[Block]:
    yield Paragraph(spans(_CONSTANTS))
    header = ("constant", "function", "points: values", "limits at the ends", "infimum")
    results = check_constants(found)
    refused = [result.record for result in results if not result.passed]
    if refused:
        raise DerivationError(f"machine checks refused the constants {', '.join(refused)}: please report the formula")
    yield Table(tuple(map(spans, header)), tuple(map(_constant, found.extrema)))
    said = "; ".join(f"${NOTATION[result.record].latex}$ {outcome(result)}" for result in results)
    yield Paragraph(spans(f"Checked: {said}."))
    yield from _missing(found)


def _constant(found: Extremum) -> tuple[Spans, ...]:
    points = "; ".join(f"${number_latex(z)}$: ${number_latex(value)}$" for z, value in found.critical) or "none"
    ends = "constant" if found.function.is_number else ", ".join(f"${number_latex(end)}$" for end in found.ends)
    function = _shown(found.name, found.function)
    cells = (f"${NOTATION[found.name].latex}$", function, points, ends, f"${number_latex(found.infimum)}$")
    return tuple(map(spans, cells))


def _missing(found: Assumptions) -> Iterator[Block]:
    """What an infimum of nought means."""
    zero = [NOTATION[x.name].latex for x in found.extrema if x.infimum == 0]
    if zero:
        names = ", ".join(f"${name}$" for name in zero)
        verb = "is" if len(zero) == 1 else "are"
        text = f"Over the whole interval {names} {verb} nought; a smaller one is needed for a positive constant."
        yield Paragraph(spans(text))


def confinement_formula(unit: UnitFunction) -> Formula | None:
    """The interval to which a bound on the slope confines z, in closed form where there is one."""
    ends = confinement(unit)
    if ends is None:
        return None
    bound = Symbol("b", positive=True)
    low, high = (latex(end.subs(LEVEL, bound)) for end in ends)
    return Formula((rf"{{}}&\left\{{z : \phi'(z) \leq b\right\}} = \left[{low},\; {high}\right]",))


def inverse_formula(unit: UnitFunction, order: int) -> Formula | None:
    """The inverse of phi or phi'', in closed form where there is one."""
    found = inverse(unit, order)
    name = r"\phi^{-1}" if order == 0 else r"(\phi'')^{-1}"
    return Formula((rf"{name}(b) = {latex(found)}",)) if found is not None else None


def least_sharpness(unit: UnitFunction) -> Expr | None:
    """phi'(phi^-1(b))^2 in closed form, where phi has an inverse in closed form."""
    found = inverse(unit, 0)
    if found is None:
        return None
    slope = derivatives(unit)[1].subs(unit.z, found).rewrite(exp)
    if slope.count_ops() > _QUICK:
        return None
    value = radsimp(simplify(simplify(slope**2)))
    return value if value.count_ops() <= _SHORT and not value.has(Abs) else None
