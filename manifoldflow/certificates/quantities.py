"""The activation's derivatives and the ratios that the constants are extrema of, as programs for rigorous arithmetic.

Each comes from the unit's formula by SymPy, with its own derivative next to it, which mean value forms need. The
programs are those of the kernels' code generator, checked against the expressions at 50 digits, but with powers left
whole: an interval's square is not its product with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sympy import Expr, Integer

from derivations import UnitFunction
from derivations.functions import ActivationDerivative
from derivations.pointwise import unit_derivative
from derivations.stable import divided_out, exposed

from ..codegen.lower import lower
from ..codegen.passes import check_program, drop_unused
from ..codegen.program import Program
from ..errors import CertificateError, InputError


@dataclass(frozen=True)
class Quantity:
    """A function of z: what messages call it, and a program with the outputs `value` and `slope`."""

    name: str
    program: Program


@lru_cache(maxsize=256)
def derivative(unit: UnitFunction, order: int) -> Quantity:
    """The derivative of phi of that order.

    >>> print(derivative(UnitFunction("z**3 + z"), 1).program)
    %0: float64 = constant 3
    %1: float64 = input z
    %2: float64 = constant 2
    %3: float64 = pow %1, %2
    %4: float64 = mul %0, %3
    %5: float64 = constant 1
    %6: float64 = add %4, %5
    %7: float64 = constant 6
    %8: float64 = mul %1, %7
    value <- %6
    slope <- %8
    """
    name = f"phi^({order})" if order > 3 else "phi" + order * "'"
    return Quantity(name, _program({"value": _phi(unit, order), "slope": _phi(unit, order + 1)}))


@lru_cache(maxsize=64)
def ratio(unit: UnitFunction) -> Quantity:
    """phi'''/phi', whose infimum S13 needs."""
    return _quotient(unit, "phi'''/phi'", divided_out(_phi(unit, 3) / _phi(unit, 1)))


@lru_cache(maxsize=64)
def tilt(unit: UnitFunction) -> Quantity:
    """phi''/(phi'^2 phi'''): A3 holds with beta as long as this is at most 1/beta in size."""
    return _quotient(unit, "phi''/(phi'^2 phi''')", _phi(unit, 2) / (_phi(unit, 1) ** 2 * _phi(unit, 3)))


@lru_cache(maxsize=64)
def derivatives(unit: UnitFunction, highest: int) -> Program:
    """phi, phi', ... up to that order in one program; the outputs are named "0", "1", ...

    >>> [name for name, _ in derivatives(UnitFunction("sinh(z)"), 3).outputs]
    ['0', '1', '2', '3']
    """
    return _program({str(order): _phi(unit, order) for order in range(highest + 1)})


def _quotient(unit: UnitFunction, name: str, value: Expr) -> Quantity:
    value = exposed(value)
    return Quantity(name, _program({"value": value, "slope": exposed(value.diff(unit.z))}))


@lru_cache(maxsize=256)
def _phi(unit: UnitFunction, order: int) -> Expr:
    if unit.phi is None:
        raise InputError(f"Certificates are about units a*phi(z); {unit.formula!r} is not of this form.")
    return exposed(unit_derivative(unit, ActivationDerivative(Integer(order), unit.z)))


def _program(expressions: dict[str, Expr]) -> Program:
    if any(not expression.is_finite for expression in expressions.values() if expression.is_number):
        raise CertificateError("A quotient of derivatives is not defined: its denominator is nought everywhere.")
    program = drop_unused(lower(expressions))
    check_program(program, expressions, "lower")
    return program
