"""Rewriting passes over a program; each result is compared with the original expressions at 50 digits."""

from __future__ import annotations

from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import mpmath
import sympy as sp

from ..errors import CodegenError
from .lower import lower
from .program import Instruction, Program

DIGITS = 50
# Working digits, in turn: a formula that cancels needs more of them; what a wrong program misses by does not shrink.
PRECISIONS = (DIGITS + 20, 4 * DIGITS, 12 * DIGITS)


def compile_program(expressions: dict[str, sp.Expr], trace: list[tuple[str, Program]] | None = None) -> Program:
    """Lower the expressions and run every pass, each checked against the expressions it came from.

    A list given as `trace` receives (pass name, program) pairs, for reports and for reading.

    >>> z = sp.Symbol("z", real=True)
    >>> print(compile_program({"psi": z**3}))
    %0: float64 = input z
    %1: float64 = mul %0, %0
    %2: float64 = mul %0, %1
    psi <- %2
    """
    program = lower(expressions)
    for name, rewrite in (("lower", _unchanged), ("expand_powers", expand_powers), ("drop_unused", drop_unused)):
        program = rewrite(program)
        check_program(program, expressions, name)
        if trace is not None:
            trace.append((name, program))
    return program


def _unchanged(program: Program) -> Program:
    return program


def expand_powers(program: Program) -> Program:
    """Write x**k, k a whole number, as products by repeated squaring; other exponents stay powers."""
    rewriter = _Rewriter()
    for instruction in program.instructions:
        exponent = _whole_exponent(instruction, program)
        if exponent is None:
            rewriter.copy(instruction)
        else:
            rewriter.define(_repeated_squaring(rewriter, rewriter.renamed[instruction.operands[0]], exponent))
    return rewriter.finish(program)


def drop_unused(program: Program) -> Program:
    """Remove the values that no output needs."""
    needed = {k for _, k in program.outputs}
    for k in range(len(program.instructions) - 1, -1, -1):
        if k in needed:
            needed.update(program.instructions[k].operands)
    rewriter = _Rewriter()
    for k, instruction in enumerate(program.instructions):
        if k in needed:
            rewriter.copy(instruction)
        else:
            rewriter.define(-1)
    return rewriter.finish(program)


class _Rewriter:
    """Builds the new program; `renamed[k]` is the new number of the old value k."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self.renamed: list[int] = []
        self._numbers: dict[Instruction, int] = {}

    def emit(self, instruction: Instruction) -> int:
        if instruction not in self._numbers:
            self._numbers[instruction] = len(self.instructions)
            self.instructions.append(instruction)
        return self._numbers[instruction]

    def copy(self, old: Instruction) -> None:
        operands = tuple(self.renamed[i] for i in old.operands)
        self.define(self.emit(Instruction(old.operation, operands, old.payload, old.type)))

    def define(self, number: int) -> None:
        self.renamed.append(number)

    def finish(self, old: Program) -> Program:
        return Program(tuple(self.instructions), tuple((name, self.renamed[k]) for name, k in old.outputs))


def _whole_exponent(instruction: Instruction, program: Program) -> int | None:
    if instruction.operation != "pow":
        return None
    exponent = program.instructions[instruction.operands[1]].payload
    if isinstance(exponent, Fraction) and exponent.denominator == 1 and 2 <= exponent <= 64:
        return int(exponent)
    return None


def _repeated_squaring(rewriter: _Rewriter, base: int, exponent: int) -> int:
    if exponent == 1:
        return base
    half = _repeated_squaring(rewriter, base, exponent // 2)
    square = rewriter.emit(Instruction("mul", (half, half)))
    return square if exponent % 2 == 0 else rewriter.emit(Instruction("mul", (base, square)))


def check_program(program: Program, expressions: dict[str, sp.Expr], stage: str, n_points: int = 3) -> None:
    """Raise `CodegenError` unless the program equals the expressions to 50 digits at fixed points of their domain.

    Where terms of the formula cancel the program is evaluated again with more digits, up to 600. What it cannot see: a
    difference that vanishes at every point tried.
    """
    symbols = sorted(set().union(*(e.free_symbols for e in expressions.values())), key=str)
    checked = 0
    with mpmath.workdps(DIGITS + 20):
        for point in points(len(symbols)):
            checked += _agrees_at(program, expressions, tuple(zip(symbols, point, strict=True)), stage)
            if checked == n_points:
                return
    raise CodegenError(
        f"Pass {stage!r} could not be checked: the expressions are real and finite at fewer than {n_points} of the "
        "points tried. Use a formula that is real on an interval around a number between -2 and 2."
    )


@cache
def points(dimension: int) -> list[tuple[mpmath.mpf, ...]]:
    """40 points between -9/8 and 9/8 without small relations, for comparing programs."""
    # Square roots of primes: no small algebraic relation between them can hide a difference. The second half of the
    # points is positive, for formulas that are real only there.
    primes = [int(sp.prime(k + 1)) for k in range(40 * dimension)]
    found = []
    for trial in range(40):
        row = primes[trial * dimension : (trial + 1) * dimension]
        signs = (-1 if (trial + k) % 2 and trial < 20 else 1 for k in range(dimension))
        with mpmath.workdps(DIGITS + 20):
            found.append(
                tuple(sign * (mpmath.sqrt(p) % 1 + mpmath.mpf(1) / 8) for sign, p in zip(signs, row, strict=True))
            )
    return found


def _agrees_at(
    program: Program, expressions: dict[str, sp.Expr], point: tuple[tuple[sp.Symbol, Any], ...], stage: str
) -> bool:
    """True where both sides agree, False where the expressions are not real and finite there."""
    values = {symbol.name: number for symbol, number in point}
    wanted = {name: _by_evalf(expression, point) for name, expression in expressions.items()}
    if any(number is None for number in wanted.values()):
        return False
    for digits in PRECISIONS:
        with mpmath.workdps(digits):
            got = program.evaluate(values)
            missed = [name for name, number in wanted.items() if not _agree(got[name], number)]
        if not missed:
            return True
    name = missed[0]
    raise CodegenError(
        f"Pass {stage!r} changed {name}: {mpmath.nstr(wanted[name], 20)} became {mpmath.nstr(got[name], 20)}, with "
        f"{PRECISIONS[-1]} digits. This is a defect of the code generator, please report the formula; or "
        f"{PRECISIONS[-1] - DIGITS} digits cancel in the formula, then simplify it."
    )


def _agree(got: Any, wanted: Any) -> bool:
    return bool(abs(got - wanted) <= mpmath.mpf(10) ** (-DIGITS) * (1 + abs(wanted)))


@lru_cache(maxsize=512)  # every pass, and several functions of a kernel, ask for the same
def _by_evalf(expression: sp.Expr, point: tuple[tuple[sp.Symbol, Any], ...]) -> Any:
    substitution = {s: sp.Float(v, DIGITS + 20) for s, v in point}
    number = expression.evalf(DIGITS + 15, subs=substitution, maxn=PRECISIONS[-1])
    if not number.is_Float and not number.is_Rational:
        return None
    value = mpmath.mpf(sp.Float(number, DIGITS + 15)._mpf_)
    return value if mpmath.isfinite(value) else None
