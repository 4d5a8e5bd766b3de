"""What a kernel evaluates at each unit and sample, read off the records.

Nothing is typed here a second time: each expression is a coefficient of a derived formula, with the
generic unit's derivatives replaced by those of the unit at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sympy import Expr, Mul, Pow, Symbol, nan, zoo
from sympy.core.numbers import ImaginaryUnit

from derivations import symbols as sym
from derivations.blocks import components
from derivations.calculus import coefficient, form_entry
from derivations.errors import DerivationError
from derivations.functions import ActivationDerivative, UnitDerivative
from derivations.records import Record
from derivations.rules.convexity import normality
from derivations.stable import divided_out, exposed, shielded
from derivations.sums import summand
from derivations.unit import LAMBDA, S, UnitFunction


@dataclass(frozen=True)
class PointwiseExpression:
    """One expression in z, c, a, s = |x_i|^2 and the multiplier lambda_i.

    Args:
        name: What it is, such as "h" or "E".
        index: Its place where it is an entry of a vector or a symmetric matrix (0 is z, q is c_q).
        expression: The expression for the unit at hand.
        record: Name of the record that it was read off.
    """

    name: str
    index: tuple[int, ...]
    expression: Expr
    record: str


@dataclass(frozen=True)
class _Reading:
    """An expression as it stands in a record, in generic derivatives and indexed entries."""

    name: str
    index: tuple[int, ...]
    generic: Expr
    record: str


def pointwise_expressions(
    unit: UnitFunction | None, p: int, records: Mapping[str, Record]
) -> tuple[PointwiseExpression, ...]:
    """Read every pointwise expression off the records.

    Args:
        unit: The unit whose derivatives take the place of the generic ones; None keeps these.
        p: Number of own scalars.
        records: The derived records by name.
    """
    names = _local_names(unit, p)
    found = []
    for reading in (*_readings(p, records), *_activation_readings(records)):
        expression = _specialised(reading.generic, unit, names)
        if not expression.has(zoo, nan):
            found.append(PointwiseExpression(reading.name, reading.index, expression, reading.record))
    return tuple(found)


def _readings(p: int, records: Mapping[str, Record]) -> Iterator[_Reading]:
    """Those that every unit has."""
    moves = [sym.direction(kind, sym.j, sym.i) for kind in range(p + 1)]
    pairs = [(q, r) for q in range(p + 1) for r in range(q, p + 1)]
    bend = summand(records["output_hessian"].right)
    curve = summand(records["riemannian_hessian"].right)
    yield _Reading("psi", (), summand(records["output"].right), "output")
    for q, part in enumerate(components(records["jacobian"].right)):
        yield _Reading("g", (q,), _per_feature(part, q), "jacobian")
    for q, r in pairs:
        yield _Reading("H", (q, r), form_entry(bend, moves[q], moves[r]), "output_hessian")
    yield _Reading("h", (), summand(records["sharpness"].right), "sharpness")
    for q, part in enumerate(components(records["euclidean_gradient"].right)):
        yield _Reading("alpha", (q,), _per_feature(summand(part), q), "euclidean_gradient")
    for name, rate in (("D", 0), ("E", sym.lam[sym.i])):
        for q, r in pairs:
            entry = form_entry(curve, moves[q], moves[r])
            yield _Reading(name, (q, r), entry.xreplace({sym.lam[sym.i]: rate}), "riemannian_hessian")


def _activation_readings(records: Mapping[str, Record]) -> Iterator[_Reading]:
    """Those of a unit a phi(z)."""
    if "convexity_bound" not in records:
        return
    activation = summand(records["output"].right) / sym.a[sym.j, sym.i]
    for order in range(4):
        yield _Reading("phi", (order,), activation.diff(sym.Z[sym.j, sym.i], order), "output")
    yield _Reading("convexity", (), records["hidden_convexity"].right / 2, "hidden_convexity")
    yield _Reading("beta", (), normality(records), "convexity_bound")


def _per_feature(part: Expr, kind: int) -> Expr:
    """The coefficient of X_ik in the block of Theta; the blocks of c have no such factor."""
    return coefficient(part, sym.X[sym.i, sym.k]) if kind == 0 else part


def _local_names(unit: UnitFunction | None, p: int) -> dict[Expr, Symbol]:
    """The plain symbols that stand for the indexed entries at one unit and sample."""
    own = unit.c if unit else tuple(Symbol(f"c_{q}", real=True) for q in range(1, p + 1))
    z, a = (Symbol(name, real=True) for name in ("z", "a"))
    entries = [sym.variable(q, sym.j, sym.i) for q in range(p + 1)]
    named = dict(zip(entries, (z, *own), strict=True))
    return named | {sym.a[sym.j, sym.i]: a, sym.s[sym.i]: S, sym.lam[sym.i]: LAMBDA}


def _specialised(generic: Expr, unit: UnitFunction | None, names: dict[Expr, Symbol]) -> Expr:
    """Put the unit's derivatives in the place of the generic ones, in a numerically safe form."""
    local = generic.xreplace(names)
    if unit is None:
        return local
    derivatives = local.atoms(UnitDerivative, ActivationDerivative)
    special = local.xreplace({x: unit_derivative(unit, x) for x in derivatives})
    if special.has(ImaginaryUnit):
        raise DerivationError(
            f"the formula {unit.formula!r} has a complex derivative, so it is real nowhere; change it"
        )
    return exposed(divided_out(special) if _is_quotient(generic) else special)


def _is_quotient(generic: Expr) -> bool:
    return any(isinstance(factor, Pow) and factor.exp.is_negative for factor in Mul.make_args(generic))


@lru_cache(maxsize=512)
def unit_derivative(unit: UnitFunction, generic: Expr) -> Expr:
    """The derivative of psi, or of phi, that a generic one stands for, shielded against overflow.

    Raises:
        DerivationError: phi is asked of a unit that is not a phi(z).

    >>> unit_derivative(UnitFunction("z**3"), ActivationDerivative(2, Symbol("z")))
    6*z
    """
    source = unit.psi if isinstance(generic, UnitDerivative) else unit.phi
    if source is None:
        raise DerivationError(f"{unit!r} is not of the form a phi(z), so {generic} has no meaning")
    shield = shielded(source)
    for variable, order in zip((unit.z, *unit.c), generic.orders, strict=False):
        shield = shield.diff(variable, order)
    return shield


@lru_cache(maxsize=512)
def plain_derivative(unit: UnitFunction, generic: Expr) -> Expr:
    """The same in elementary functions alone, to be evaluated.

    >>> plain_derivative(UnitFunction("tanh(z)"), ActivationDerivative(1, Symbol("z")))
    cosh(z)**(-2)
    """
    return exposed(unit_derivative(unit, generic))
