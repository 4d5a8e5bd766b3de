"""The two rigorous arithmetics that a program is evaluated in: float64 intervals, and Arb's balls where installed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np

from ..codegen.program import Instruction, Program
from ..errors import CertificateError
from ..validation import Array, one_of, positive_integer
from .elementary import CONSTANTS, FUNCTIONS, power
from .interval import INF, WHOLE, Interval, Mask, check_machine, down, exactly, up, where

ARITHMETICS = ("float64", "arb")


NOTHING_ELSE: Mapping[str, Interval] = MappingProxyType({})


class Arithmetic(ABC):
    """Encloses the outputs of a program over intervals of its input z, and of others by their names."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What a report calls it."""

    @abstractmethod
    def enclose(
        self, program: Program, z: Interval, others: Mapping[str, Interval] = NOTHING_ELSE
    ) -> dict[str, Interval]:
        """Intervals that contain every output for every input, in the shape of z; `others` broadcast to it.

        The whole line where any step of the program is undefined, even one that a later step bounds, as in atan(1/z):
        finite outputs show that the function that the program holds is smooth there.
        """


class Float64Intervals(Arithmetic):
    """`manifoldflow.certificates.interval`: fast, and needs nothing else.

    >>> from .quantities import derivatives
    >>> from derivations import UnitFunction
    >>> Float64Intervals().enclose(derivatives(UnitFunction("z**2"), 1), Interval(-1.0, 2.0))["0"].lo
    array(0.)
    """

    @property
    def description(self) -> str:
        """What a report calls it."""
        return "float64 intervals"

    def enclose(
        self, program: Program, z: Interval, others: Mapping[str, Interval] = NOTHING_ELSE
    ) -> dict[str, Interval]:
        """Intervals that contain every output for every input."""
        check_machine()
        known: list[Interval] = []
        inputs = {"z": z, **others}
        lost = np.zeros(z.lo.shape, dtype=bool)
        with np.errstate(all="ignore"):
            for instruction in program.instructions:
                known.append(_apply(instruction, known, inputs, program))
                lost = lost | _is_lost(known[-1], instruction.operation)
            return {name: where(lost, WHOLE, known[k]) for name, k in program.outputs}


def _apply(
    instruction: Instruction, known: list[Interval], inputs: Mapping[str, Interval], program: Program
) -> Interval:
    operation = instruction.operation
    if operation == "input":
        return inputs[str(instruction.payload)]
    if operation == "constant":
        return _constant(instruction.payload)
    operands = [known[k] for k in instruction.operands]
    if operation == "pow":
        exponent = program.instructions[instruction.operands[1]].payload
        return _raise(operands[0], operands[1], exponent)
    if operation in FUNCTIONS:
        return FUNCTIONS[operation](*operands)
    if operation not in _RINGS:
        raise _unknown(operation)
    if operation == "mul" and instruction.operands[0] == instruction.operands[1]:
        return operands[0].power(2)
    return _RINGS[operation](*operands)


_RINGS: dict[str, Callable[..., Interval]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "neg": lambda x: -x,
}


def _raise(base: Interval, exponent: Interval, exact: str | Fraction | None) -> Interval:
    if isinstance(exact, Fraction) and exact.denominator == 1 and exact > 0:
        return base.power(int(exact))
    return power(base, exponent)


def _constant(payload: str | Fraction | None) -> Interval:
    return exactly(payload) if isinstance(payload, Fraction) else CONSTANTS[str(payload)]


_PARTIAL = {"div", "pow", "sqrt", "log", "tan"}  # operations that are not defined everywhere


def _is_lost(value: Interval, operation: str) -> Mask:
    """Where an operation is not defined, whose result is then the whole line, or the arithmetic broke down."""
    nothing = np.isnan(value.lo) | np.isnan(value.hi)
    return nothing | ((value.lo == -INF) & (value.hi == INF)) if operation in _PARTIAL else nothing


def _unknown(operation: str) -> CertificateError:
    return CertificateError(f"There is no rigorous form of the function {operation!r}; write the formula without it.")


# --- Arb ------------------------------------------------------------------------------------------


class ArbBalls(Arithmetic):
    """Arb's ball arithmetic through python-flint, at any precision; one ball after the other, so slower.

    Raises `CertificateError` where python-flint is not installed.
    """

    def __init__(self, bits: int = 128) -> None:
        self.bits = positive_integer("bits", bits)
        self._flint = _flint()

    @property
    def description(self) -> str:
        """What a report calls it."""
        return f"Arb balls of {self.bits} bits"

    def enclose(
        self, program: Program, z: Interval, others: Mapping[str, Interval] = NOTHING_ELSE
    ) -> dict[str, Interval]:
        """Intervals that contain every output for every input."""
        inputs = {name: _flat(value, z) for name, value in {"z": z, **others}.items()}
        before, self._flint.ctx.prec = self._flint.ctx.prec, self.bits
        try:
            columns = [
                self._outputs(program, {name: ends[:, k] for name, ends in inputs.items()}) for k in range(z.lo.size)
            ]
        finally:
            self._flint.ctx.prec = before
        shape = z.lo.shape
        ends = np.array(columns, dtype=float).reshape(z.lo.size, len(program.outputs), 2)
        return {
            name: Interval(ends[:, k, 0].reshape(shape), ends[:, k, 1].reshape(shape))
            for k, (name, _) in enumerate(program.outputs)
        }

    def _outputs(self, program: Program, ends: Mapping[str, Array]) -> list[tuple[float, float]]:
        inputs = {name: self._ball(float(lo), float(hi)) for name, (lo, hi) in ends.items()}
        known: list[Any] = []
        for instruction in program.instructions:
            known.append(self._apply(instruction, known, inputs, program))
        if all(ball.is_finite() for ball in inputs.values()) and not all(ball.is_finite() for ball in known):
            return [(-INF, INF) for _ in program.outputs]
        return [_rounded_out(known[k]) for _, k in program.outputs]

    def _ball(self, lo: float, hi: float) -> Any:
        arb = self._flint.arb
        return arb(lo) if lo == hi else arb(lo).union(arb(hi))

    def _apply(self, instruction: Instruction, known: list[Any], inputs: Mapping[str, Any], program: Program) -> Any:
        operation, arb = instruction.operation, self._flint.arb
        if operation == "input":
            return inputs[str(instruction.payload)]
        if operation == "constant":
            return self._constant(instruction.payload)
        operands = [known[k] for k in instruction.operands]
        if operation == "pow":
            return self._power(operands, program.instructions[instruction.operands[1]].payload)
        if operation == "sigmoid":
            return 1 / (1 + (-operands[0]).exp())
        if operation == "softplus":
            return operands[0].exp().log1p()
        if operation in _RINGS:
            return operands[0] ** 2 if _is_square(instruction) else _RINGS[operation](*operands)
        if operation not in FUNCTIONS:
            raise _unknown(operation)
        return getattr(arb, operation)(*operands)

    def _power(self, operands: list[Any], exact: str | Fraction | None) -> Any:
        whole = isinstance(exact, Fraction) and exact.denominator == 1
        return operands[0] ** (int(exact) if whole and exact is not None else operands[1])

    def _constant(self, payload: str | Fraction | None) -> Any:
        if isinstance(payload, Fraction):
            return self._flint.arb(self._flint.fmpq(payload.numerator, payload.denominator))
        return self._flint.arb.pi() if payload == "pi" else self._flint.arb.const_e()


def _flat(value: Interval, z: Interval) -> Array:
    """Both ends, (2, size of z)."""
    return np.stack([np.broadcast_to(end, z.lo.shape).ravel() for end in (value.lo, value.hi)])


def _is_square(instruction: Instruction) -> bool:
    return instruction.operation == "mul" and instruction.operands[0] == instruction.operands[1]


def _rounded_out(ball: Any) -> tuple[float, float]:
    """The float64 below and above a ball; all of the line for one that is not finite."""
    if not ball.is_finite():
        return -INF, INF
    # Conversion rounds a number that need not be a float64, in a direction that is not documented: one step more.
    return float(down(float(ball.lower()))), float(up(float(ball.upper())))


def has_arb() -> bool:
    """Whether the extra `certify` is installed."""
    return find_spec("flint") is not None


@cache
def _flint() -> Any:
    if not has_arb():
        raise CertificateError(
            "arithmetic='arb' needs python-flint, which is not installed: pip install 'manifoldflow[certify]'. "
            "arithmetic='float64' needs nothing."
        )
    import flint

    return flint


def arithmetic(name: str, bits: int = 128) -> Arithmetic:
    """The arithmetic of that name, "float64" or "arb"; `bits` is the precision of the latter."""
    return ArbBalls(bits) if one_of("arithmetic", name, ARITHMETICS) == "arb" else Float64Intervals()
