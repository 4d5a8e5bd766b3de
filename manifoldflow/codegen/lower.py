"""SymPy expressions to a program: one instruction a distinct subexpression."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from derivations.functions import sigmoid, softplus

from ..errors import CodegenError
from .program import Instruction, Program

_FUNCTIONS: dict[type, str] = {
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.sech: "sech",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.atan: "atan",
    sp.asinh: "asinh",
    sp.acosh: "acosh",
    sp.atanh: "atanh",
    sp.erf: "erf",
    sigmoid: "sigmoid",
    softplus: "softplus",
}


def lower(expressions: dict[str, sp.Expr]) -> Program:
    """Translate named expressions into one program that shares every common subexpression.

    Raises `CodegenError`, with the node's type, for anything the table of operations does not hold.

    >>> z = sp.Symbol("z", real=True)
    >>> print(lower({"psi": z**2 + z, "g": 2 * z + 1}))
    %0: float64 = input z
    %1: float64 = constant 2
    %2: float64 = pow %0, %1
    %3: float64 = add %0, %2
    %4: float64 = mul %0, %1
    %5: float64 = constant 1
    %6: float64 = add %4, %5
    psi <- %3
    g <- %6
    """
    builder = _Builder()
    outputs = tuple((name, builder.value(expression)) for name, expression in expressions.items())
    return Program(tuple(builder.instructions), outputs)


class _Builder:
    """Numbers values; two equal instructions get one number (hash-consing), so the program has no repeated work."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self._numbers: dict[Instruction, int] = {}
        self._seen: dict[sp.Expr, int] = {}

    def emit(self, operation: str, *operands: int, payload: str | Fraction | None = None) -> int:
        instruction = Instruction(operation, operands, payload)
        if instruction not in self._numbers:
            self._numbers[instruction] = len(self.instructions)
            self.instructions.append(instruction)
        return self._numbers[instruction]

    def value(self, expression: sp.Expr) -> int:
        if expression not in self._seen:
            self._seen[expression] = self._lower(expression)
        return self._seen[expression]

    def _lower(self, expression: sp.Expr) -> int:
        if isinstance(expression, sp.Symbol):
            return self.emit("input", payload=expression.name)
        if isinstance(expression, sp.Rational):
            return self.emit("constant", payload=Fraction(int(expression.p), int(expression.q)))
        if expression in (sp.pi, sp.E):
            return self.emit("constant", payload="pi" if expression is sp.pi else "e")
        if isinstance(expression, sp.Add):
            return self._sum(expression)
        if isinstance(expression, sp.Mul):
            return self._product(expression)
        if isinstance(expression, sp.Pow):
            return self._power(expression.base, expression.exp)
        if type(expression) in _FUNCTIONS:
            return self.emit(_FUNCTIONS[type(expression)], self.value(expression.args[0]))
        raise CodegenError(
            f"No kernel operation for {type(expression).__name__} in {expression}; "
            f"allowed: + - * / ** and {', '.join(sorted(_FUNCTIONS.values()))}."
        )

    def _sum(self, expression: sp.Expr) -> int:
        plus: list[int] = []
        minus: list[int] = []
        for term in expression.as_ordered_terms():
            negative = term.as_coeff_Mul()[0].is_negative
            (minus if negative else plus).append(self.value(-term if negative else term))
        if not plus:
            return self.emit("neg", self._chain("add", minus))
        total = self._chain("add", plus)
        return self.emit("sub", total, self._chain("add", minus)) if minus else total

    def _product(self, expression: sp.Expr) -> int:
        if expression.as_coeff_Mul()[0] == -1:
            return self.emit("neg", self.value(-expression))
        numerator, denominator = [], []
        for factor in expression.as_ordered_factors():
            base, exponent = factor.as_base_exp()
            if exponent.is_Rational and exponent.is_negative and not base.is_Rational:
                denominator.append(self._power(base, -exponent))
            else:
                numerator.append(self.value(factor))
        top = self._chain("mul", numerator) if numerator else self.emit("constant", payload=Fraction(1))
        return self.emit("div", top, self._chain("mul", denominator)) if denominator else top

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> int:
        if base is sp.E:
            return self.emit("exp", self.value(exponent))
        if exponent.is_Rational and exponent.is_negative:
            one = self.emit("constant", payload=Fraction(1))
            return self.emit("div", one, self._power(base, -exponent))
        if exponent == 1:
            return self.value(base)
        if exponent == sp.Rational(1, 2):
            return self.emit("sqrt", self.value(base))
        return self.emit("pow", self.value(base), self.value(exponent))

    def _chain(self, operation: str, numbers: list[int]) -> int:
        # Operands in order of definition: sums and products that begin alike share their first part,
        # and the order is the same in every process.
        ordered = sorted(numbers)
        result = ordered[0]
        for number in ordered[1:]:
            result = self.emit(operation, result, number)
        return result
