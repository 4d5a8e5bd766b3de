"""Activations by name, each a `UnitFunction` psi = a phi(z)."""

from __future__ import annotations

import math
from numbers import Real

from sympy import Float, Symbol

from derivations.errors import FormulaError
from derivations.unit import UnitFunction


def cubic(nu: float = 1.0) -> UnitFunction:
    """The cubic z^3 + nu z; it satisfies A1 and A3 for nu > 0, with beta = (16/3) nu^(3/2).

    Raises:
        FormulaError: `nu` is not a finite real number.

    >>> cubic(0.5).formula
    'z**3 + z/2'
    """
    if isinstance(nu, bool) or not isinstance(nu, Real) or not math.isfinite(nu):
        raise FormulaError(f"nu is a finite real number; {nu!r} came")
    z = Symbol("z")
    return UnitFunction(z**3 + Float(float(nu), 15) * z)


def sinh() -> UnitFunction:
    """The hyperbolic sine; it satisfies A1 and A3, with beta = 3 sqrt(3) / 2.

    >>> sinh().formula
    'sinh(z)'
    """
    return UnitFunction("sinh(z)")


def tanh() -> UnitFunction:
    """The hyperbolic tangent; its third derivative changes sign where tanh(z)^2 = 1/3.

    >>> tanh().formula
    'tanh(z)'
    """
    return UnitFunction("tanh(z)")


def softplus() -> UnitFunction:
    """The smooth ramp log(1 + exp(z)); its third derivative changes sign at nought.

    >>> softplus().formula
    'softplus(z)'
    """
    return UnitFunction("softplus(z)")


def sigmoid() -> UnitFunction:
    """The logistic sigmoid 1 / (1 + exp(-z)).

    >>> sigmoid().formula
    'sigmoid(z)'
    """
    return UnitFunction("sigmoid(z)")


def arctan() -> UnitFunction:
    """The inverse tangent; its third derivative changes sign where z^2 = 1/3.

    >>> arctan().formula
    'atan(z)'
    """
    return UnitFunction("arctan(z)")


def erf() -> UnitFunction:
    """The error function.

    >>> erf().formula
    'erf(z)'
    """
    return UnitFunction("erf(z)")


def quadratic() -> UnitFunction:
    """The square z^2; its sharpness is constant on the manifold, so there is no flow.

    >>> quadratic().formula
    'z**2'
    """
    return UnitFunction("z**2")


def exponential() -> UnitFunction:
    """The exponential; it satisfies A1 on every bounded interval.

    >>> exponential().formula
    'exp(z)'
    """
    return UnitFunction("exp(z)")
