"""A family of activations: a formula with coefficients that the search may choose, as one program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy
from numpy.typing import NDArray

from derivations import UnitFunction, parse_formula
from derivations.grammar import CALLS, CONSTANTS, KINKED
from manifoldflow.codegen.passes import compile_program
from manifoldflow.codegen.program import Program
from manifoldflow.errors import InputError

Array = NDArray[np.float64]

DIGITS = 50
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}")
_TAKEN = {"z", *CALLS, *CONSTANTS, *KINKED}


@dataclass(frozen=True)
class Coefficient:
    """A coefficient of a family and the range that it is searched in."""

    name: str
    low: float
    high: float

    @property
    def logarithmic(self) -> bool:
        """A range of positive numbers is searched in logarithms."""
        return self.low > 0.0


@dataclass(frozen=True)
class Family:
    """phi(z) with coefficients, such as z**3 + nu*z with nu in [0.05, 5]; the text is parsed, never evaluated.

    Raises `InputError` for a name or a range that is not one, `FormulaError` for a formula that is not one.

    >>> family = Family.of("z**3 + nu*z", {"nu": (0.05, 5.0)})
    >>> family.table(np.array([2.0]), [0.5])[:, 0]
    array([ 9. , 12.5, 12. ,  6. ])
    >>> family.formula([0.25])
    'z**3 + z/4'
    """

    text: str
    coefficients: tuple[Coefficient, ...] = ()

    @classmethod
    def of(cls, text: str, ranges: Mapping[str, tuple[float, float]]) -> Family:
        """A family from its formula and the range of each coefficient."""
        return cls(text, tuple(_coefficient(name, *ends) for name, ends in ranges.items())).checked()

    def checked(self) -> Family:
        """The family itself, once its formula has been parsed."""
        if not self.phi.has(self._symbols["z"]):
            raise InputError(f"{self.text[:60]!r} does not contain z; an activation is a formula in z.")
        return self

    @cached_property
    def _symbols(self) -> dict[str, sympy.Symbol]:
        return {name: sympy.Symbol(name, real=True) for name in ("z", *self.names)}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the coefficients."""
        return tuple(coefficient.name for coefficient in self.coefficients)

    @cached_property
    def phi(self) -> sympy.Expr:
        """The formula as an expression in z and the coefficients."""
        return parse_formula(self.text, self._symbols)

    @cached_property
    def program(self) -> Program:
        """phi, phi', phi'', phi''', as outputs "0" to "3"."""
        z = self._symbols["z"]
        return compile_program({str(order): self.phi.diff(z, order) for order in range(4)})

    def table(self, z: Array, values: Sequence[float]) -> Array:
        """phi and its first three derivatives, 4 arrays of the shape of z, at coefficients with these values."""
        inputs = {"z": z} | {name: np.float64(value) for name, value in zip(self.names, values, strict=True)}
        with np.errstate(all="ignore"):
            outputs = evaluate(self.program, inputs)
        return np.stack([np.broadcast_to(outputs[str(order)], z.shape) for order in range(4)])

    def digits(self, z: NDArray[Any], values: Sequence[float]) -> NDArray[Any]:
        """The same with numbers of mpmath's current precision; floats are taken as the exact numbers that they are."""
        fixed = {name: mpmath.mpf(value) for name, value in zip(self.names, values, strict=True)}
        rows = [self.program.evaluate({"z": entry} | fixed) for entry in z.ravel()]
        found = np.array([[row[str(order)] for row in rows] for order in range(4)], dtype=object)
        return found.reshape(4, *z.shape)

    def formula(self, values: Sequence[float]) -> str:
        """The formula with exactly these coefficients, as `UnitFunction` writes it."""
        return self.unit(values).formula

    def unit(self, values: Sequence[float]) -> UnitFunction:
        """The unit function with exactly these coefficients."""
        exact = {self._symbols[name]: _rational(value) for name, value in zip(self.names, values, strict=True)}
        return UnitFunction(self.phi.xreplace(exact))


def _rational(value: float) -> sympy.Rational:
    exact = Fraction(value)
    return sympy.Rational(exact.numerator, exact.denominator)


def _coefficient(name: str, low: float, high: float) -> Coefficient:
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise InputError(f"{name[:40]!r} cannot name a coefficient: use a word that has no meaning in formulas yet.")
    if not (np.isfinite([low, high]).all() and low <= high):
        raise InputError(f"The range of {name} must be two finite numbers that do not decrease; got {low}:{high}.")
    return Coefficient(name, float(low), float(high))


def evaluate(program: Program, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Every output of a program for NumPy arrays; what a kernel does, without compiling one for each coefficient."""
    known: list[Any] = []
    for instruction in program.instructions:
        if instruction.operation == "input":
            known.append(inputs[str(instruction.payload)])
        elif instruction.operation == "constant":
            known.append(_constant(instruction.payload))
        else:
            known.append(_FUNCTIONS[instruction.operation](*(known[k] for k in instruction.operands)))
    return {name: known[k] for name, k in program.outputs}


def _constant(payload: str | Fraction | None) -> float:
    return float(payload) if isinstance(payload, Fraction) else {"pi": np.pi, "e": np.e}[str(payload)]


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -x))


def _erf(x: Array) -> Array:
    from scipy.special import erf

    return np.asarray(erf(x))


_FUNCTIONS: dict[str, Any] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "pow": np.power,
    "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos, "tan": np.tan, "sinh": np.sinh,
    "cosh": np.cosh, "tanh": np.tanh, "sech": lambda x: 1.0 / np.cosh(x), "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "erf": _erf,
    "sigmoid": _sigmoid, "softplus": lambda x: np.logaddexp(0.0, x),
}  # fmt: skip
