"""The flat typed program between SymPy and the kernel source.

A program is a list of instructions in single-assignment form: instruction k defines value k. It is small enough to
print, to evaluate at any precision (which is how every pass is checked), and to emit as straight-line code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import mpmath

from ..errors import CodegenError

# One row an operation: how it is written in a kernel (float64) and how mpmath evaluates it.
# {0} and {1} are the operands' names.
OPERATIONS: dict[str, tuple[str, Any]] = {
    "add": ("{0} + {1}", lambda x, y: x + y),
    "sub": ("{0} - {1}", lambda x, y: x - y),
    "mul": ("{0} * {1}", lambda x, y: x * y),
    "div": ("{0} / {1}", lambda x, y: x / y),
    "neg": ("-{0}", lambda x: -x),
    "pow": ("{0} ** {1}", lambda x, y: x**y),
    "sqrt": ("np.sqrt({0})", mpmath.sqrt),
    "exp": ("np.exp({0})", mpmath.exp),
    "log": ("np.log({0})", mpmath.log),
    "sin": ("np.sin({0})", mpmath.sin),
    "cos": ("np.cos({0})", mpmath.cos),
    "tan": ("np.tan({0})", mpmath.tan),
    "sinh": ("np.sinh({0})", mpmath.sinh),
    "cosh": ("np.cosh({0})", mpmath.cosh),
    "tanh": ("np.tanh({0})", mpmath.tanh),
    "sech": ("sech({0})", mpmath.sech),
    "asin": ("np.arcsin({0})", mpmath.asin),
    "acos": ("np.arccos({0})", mpmath.acos),
    "atan": ("np.arctan({0})", mpmath.atan),
    "asinh": ("np.arcsinh({0})", mpmath.asinh),
    "acosh": ("np.arccosh({0})", mpmath.acosh),
    "atanh": ("np.arctanh({0})", mpmath.atanh),
    "erf": ("math.erf({0})", mpmath.erf),
    "sigmoid": ("sigmoid({0})", lambda x: 1 / (1 + mpmath.exp(-x))),
    "softplus": ("softplus({0})", lambda x: mpmath.log1p(mpmath.exp(-abs(x))) + max(x, 0)),
}


@dataclass(frozen=True)
class Instruction:
    """Value number `k` is `operation` of earlier values; `payload` is an input's name or a constant's exact value."""

    operation: str
    operands: tuple[int, ...] = ()
    payload: str | Fraction | None = None
    type: str = "float64"

    def describe(self, k: int) -> str:
        """One printed line: `%k: type = operation operands`."""
        words = [f"%{i}" for i in self.operands] or [str(self.payload)]
        return f"%{k}: {self.type} = {self.operation} {', '.join(words)}"


@dataclass(frozen=True)
class Program:
    """Instructions in order of definition and the named outputs, each a value number.

    >>> from fractions import Fraction
    >>> square = Program((Instruction("input", payload="z"), Instruction("mul", (0, 0))), (("psi", 1),))
    >>> print(square)
    %0: float64 = input z
    %1: float64 = mul %0, %0
    psi <- %1
    >>> square.evaluate({"z": 3})
    {'psi': mpf('9.0')}
    """

    instructions: tuple[Instruction, ...]
    outputs: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        lines = [instruction.describe(k) for k, instruction in enumerate(self.instructions)]
        return "\n".join(lines + [f"{name} <- %{k}" for name, k in self.outputs])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs that occur, in order of definition."""
        return tuple(str(i.payload) for i in self.instructions if i.operation == "input")

    def evaluate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Every output in mpmath's current precision; what the passes are checked with."""
        known: list[Any] = []
        for instruction in self.instructions:
            known.append(_evaluate_one(instruction, known, values))
        return {name: known[k] for name, k in self.outputs}


def _evaluate_one(instruction: Instruction, known: list[Any], values: Mapping[str, Any]) -> Any:
    if instruction.operation == "input":
        return mpmath.mpf(values[str(instruction.payload)])
    if instruction.operation == "constant":
        return _exact(instruction.payload)
    if instruction.operation not in OPERATIONS:
        raise CodegenError(f"Unknown operation {instruction.operation!r} in a program; known: {sorted(OPERATIONS)}.")
    return OPERATIONS[instruction.operation][1](*(known[i] for i in instruction.operands))


def _exact(payload: str | Fraction | None) -> Any:
    if isinstance(payload, Fraction):
        return mpmath.mpf(payload.numerator) / payload.denominator
    if payload in ("pi", "e"):
        return +getattr(mpmath, payload)
    raise CodegenError(f"A constant must be a Fraction, 'pi' or 'e'; got {payload!r}.")
