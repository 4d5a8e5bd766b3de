"""The activation's derivatives and the ratios that the constants are extrema of, as programs for rigorous arithmetic.

Each comes from the unit's formula by SymPy, with its own derivative next to it, which mean value forms need. The
programs are those of the kernels' code generator, checked against the expressions at 50 digits, but with powers left
whole: an interval's square is not its product with itself. Each holds phi itself too, because a derivative can be
defined where phi is not: that of atan(tan(z)) is 1 across the jumps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sympy import Expr, Integer

from derivations import UnitFunction
from derivations.functions import ActivationDerivative, UnitDerivative
from derivations.pointwise import unit_derivative
from derivations.stable import divided_out, exposed

from ..codegen.lower import lower
from ..codegen.passes import check_program, drop_unused
from ..codegen.program import Program
from ..errors import CertificateError, InputError


@dataclass(frozen=True)
class Quantity:
    """A function of z: what messages call it, and a program with the outputs `value`, `slope` and `phi`."""

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
    %9: float64 = pow %1, %0
    %10: float64 = add %1, %9
    value <- %6
    slope <- %8
    phi <- %10
    """
    name = f"phi^({order})" if order > 3 else "phi" + order * "'"
    return quantity(unit, name, _phi(unit, order), _phi(unit, order + 1))


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


@lru_cache(maxsize=64)
def output_and_slopes(unit: UnitFunction) -> Program:
    """psi and its derivatives in z, c_1, ..., c_p, of any unit; the outputs are named "psi", "0", "1", ..., "p".

    >>> [name for name, _ in output_and_slopes(UnitFunction("c*tanh(z)", own=("c",))).outputs]
    ['psi', '0', '1']
    """
    variables = (unit.z, *unit.c)
    psi = UnitDerivative(*(0 for _ in variables), *variables, unit.a)
    wanted = {"psi": psi, **{str(q): psi.diff(variable) for q, variable in enumerate(variables)}}
    return _program({name: exposed(unit_derivative(unit, generic)) for name, generic in wanted.items()})


def _quotient(unit: UnitFunction, name: str, value: Expr) -> Quantity:
    value = exposed(value)
    return quantity(unit, name, value, exposed(value.diff(unit.z)))


def quantity(unit: UnitFunction, name: str, value: Expr, slope: Expr) -> Quantity:
    """A function made of phi's derivatives, with its own derivative."""
    return Quantity(name, _program({"value": value, "slope": slope, "phi": _phi(unit, 0)}))


def require_plain(unit: UnitFunction) -> None:
    """Raise `InputError` for units of another form than a phi(z)."""
    if unit.phi is None:
        raise InputError(f"This certificate is about units a*phi(z); {unit.formula!r} is not of this form.")


@lru_cache(maxsize=256)
def _phi(unit: UnitFunction, order: int) -> Expr:
    require_plain(unit)
    return exposed(unit_derivative(unit, ActivationDerivative(Integer(order), unit.z)))


def _program(expressions: dict[str, Expr]) -> Program:
    if any(not expression.is_finite for expression in expressions.values() if expression.is_number):
        raise CertificateError("A quotient of derivatives is not defined: its denominator is nought everywhere.")
    program = drop_unused(lower(expressions))
    check_program(program, expressions, "lower")
    return program
