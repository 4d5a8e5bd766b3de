"""Where the assumptions on an activation hold, and the constants that they give, exactly where that can be decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from sympy import Abs, Expr, Integer, cancel, oo, simplify

from derivations.analysis.generator import Curve, curves
from derivations.analysis.measured import measured_intervals
from derivations.analysis.roots import between, limit_at, number, poles, sign_at, value_at, zeros
from derivations.checks.points import finite_value
from derivations.errors import DerivationError
from derivations.functions import ActivationDerivative
from derivations.pointwise import unit_derivative
from derivations.printing import latex
from derivations.stable import exposed
from derivations.unit import UnitFunction


@dataclass(frozen=True)
class Interval:
    """An open interval of pre-activations."""

    low: Expr
    high: Expr

    @property
    def everything(self) -> bool:
        """Whether it is the whole line."""
        return bool(self.low == -oo and self.high == oo)

    def contains(self, z: float) -> bool:
        """Whether a number lies in it."""
        return number(self.low) < z < number(self.high)


@dataclass(frozen=True)
class Extremum:
    """The infimum of one function over the interval on which A1 holds.

    Args:
        name: The constant: "rho1", "rho2", "gamma" or "beta".
        function: The function of z that it bounds from below.
        critical: Where the function's derivative vanishes in the interval, with the function's values there.
        ends: The function's limits at the lower and the upper end.
        infimum: The least of these.
    """

    name: str
    function: Expr
    critical: tuple[tuple[Expr, Expr], ...]
    ends: tuple[Expr, Expr]
    infimum: Expr

    @property
    def attained(self) -> bool:
        """Whether the infimum is a value."""
        return any(value == self.infimum for _, value in self.critical)


@dataclass(frozen=True)
class Assumptions:
    """What is known of A1 and A3 for one activation.

    Args:
        unit: The unit a phi(z).
        exact: Whether signs were decided exactly; otherwise they were only looked at on a grid.
        holds: The intervals on which phi' > 0 and phi''' > 0, in ascending order.
        interval: The one that the constants are for: that around 0, else the one nearest to 0; None if there is none.
        extrema: The constants over it; empty where they were not found exactly.
        reason: Why A1 holds nowhere, or why nothing could be decided exactly; otherwise empty.
    """

    unit: UnitFunction
    exact: bool
    holds: tuple[Interval, ...]
    interval: Interval | None
    extrema: tuple[Extremum, ...]
    reason: str

    @property
    def everywhere(self) -> bool:
        """Whether A1 holds on the whole line."""
        return self.interval is not None and self.interval.everything

    def extremum(self, name: str) -> Extremum | None:
        """The constant of this name, where it was found."""
        return next((found for found in self.extrema if found.name == name), None)


def derivatives(unit: UnitFunction) -> tuple[Expr, ...]:
    """Phi and its first three derivatives.

    Raises:
        DerivationError: the unit is not of the form a phi(z).

    >>> derivatives(UnitFunction("z**3"))
    (z**3, 3*z**2, 6*z, 6)
    """
    if unit.phi is None:
        raise DerivationError(f"{unit!r} is not of the form a phi(z)")
    return tuple(exposed(unit_derivative(unit, ActivationDerivative(order, unit.z))) for order in range(4))


def functions(unit: UnitFunction) -> dict[str, Expr]:
    """The function of z whose infimum each constant is.

    >>> functions(UnitFunction("z**3 + z"))["beta"]
    (3*z**2 + 1)**2*Abs(1/z)
    """
    _, first, second, third = derivatives(unit)
    normal = _simple(first**2 * third / second) if second != 0 else oo
    return {"rho1": first, "rho2": third, "gamma": _simple(third / first), "beta": Abs(normal)}


def _simple(expr: Expr) -> Expr:
    """Simplified where that is quick: SymPy takes minutes over a long formula."""
    return simplify(expr) if expr.count_ops() <= _QUICK else expr


_QUICK = 50
_LONGEST = 400


@lru_cache(maxsize=64)
def assumptions(unit: UnitFunction) -> Assumptions:
    """Decide where A1 holds, and find the constants there.

    >>> assumptions(UnitFunction("z**3 + z")).extremum("beta").infimum
    16/3
    >>> assumptions(UnitFunction("z**2")).interval is None
    True
    """
    _, first, second, third = derivatives(unit)
    opposed = _opposed(first, third)
    if opposed:
        return Assumptions(unit, True, (), None, (), opposed)
    long = sum(x.count_ops() for x in (first, second, third)) > _LONGEST
    found = None if long else curves({"1": first, "2": second, "3": third}, unit.z)
    if found is None:
        reason = "no substitution makes the derivatives rational and short, so signs were looked at on a grid only"
        holds = tuple(Interval(*ends) for ends in measured_intervals(unit))
        return Assumptions(unit, False, holds, _nearest(holds), (), reason)
    spans = _spans(unit, found)
    generator = found["1"].generator
    holds = tuple(Interval(generator.back(low), generator.back(high)) for low, high in spans)
    chosen = _nearest(holds)
    if chosen is None:
        return Assumptions(unit, True, (), None, (), r"$\phi'$ and $\phi'''$ are nowhere positive together")
    return Assumptions(unit, True, holds, chosen, _extrema(unit, found, *spans[holds.index(chosen)]), "")


def _opposed(first: Expr, third: Expr) -> str:
    """Why A1 holds nowhere, where the ratio of the derivatives is a constant that is not positive."""
    if third == 0:
        return r"$\phi'''$ vanishes identically"
    ratio = _simple(third / first)
    shown = rf"$\phi''' = \left({latex(ratio)}\right) \phi'$, so they never have the same sign"
    return shown if ratio.is_negative else ""


def _spans(unit: UnitFunction, found: Mapping[str, Curve]) -> list[tuple[Expr, Expr]]:
    """The intervals of t on which phi' and phi''' are positive and phi is real."""
    low, high = found["1"].generator.range
    marks = {x for name in "13" for x in zeros(found[name].ratio, low, high)}
    marks |= {x for name in "123" for x in poles(found[name].ratio, low, high)}
    ends = [low, *sorted(marks, key=number), high]
    return [span for span in pairwise(ends) if _positive(unit, found, between(*span))]


def _positive(unit: UnitFunction, found: Mapping[str, Curve], t: Expr) -> bool:
    signs = [sign_at(found[name].ratio, t) for name in "13"]
    z = number(found["1"].generator.back(t))
    return signs == [1, 1] and unit.phi is not None and finite_value(unit.phi, {unit.z: z}) is not None


def _nearest(holds: tuple[Interval, ...]) -> Interval | None:
    """The interval around 0, else the one nearest to it."""
    return min(holds, key=lambda x: (not x.contains(0.0), _distance(x), -number(x.low)), default=None)


def _distance(interval: Interval) -> float:
    """Of an interval without 0 from 0; rounded, so that mirror images are as far."""
    return round(min(abs(number(interval.low)), abs(number(interval.high))), 12)


def _extrema(unit: UnitFunction, found: Mapping[str, Curve], low: Expr, high: Expr) -> tuple[Extremum, ...]:
    first, second, third = (found[name] for name in "123")
    shown = functions(unit)
    one = Integer(1)
    sources: dict[str, tuple[Expr, Expr]] = {
        "rho1": (first.factor, first.ratio),
        "rho2": (first.factor, third.ratio),
        "gamma": (one, cancel(third.ratio / first.ratio)),
    }
    if second.ratio != 0:
        sources["beta"] = (first.factor**2, cancel(first.ratio**2 * third.ratio / second.ratio))
    built = {
        name: Curve(shown[name], unit.z, factor, ratio, first.generator) for name, (factor, ratio) in sources.items()
    }
    return tuple(_extremum(name, curve, low, high) for name, curve in built.items())


def _extremum(name: str, curve: Curve, low: Expr, high: Expr) -> Extremum:
    back = curve.generator.back
    critical = [(back(t), value_at(curve, t)) for t in zeros(curve.slope, low, high)]
    ends = (limit_at(curve, low, "+"), limit_at(curve, high, "-"))
    least = min([value for _, value in critical] + list(ends), key=number)
    return Extremum(name, curve.source, tuple(critical), ends, least)
