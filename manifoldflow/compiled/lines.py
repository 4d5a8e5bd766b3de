"""Lines of eight float64: what a processor adds or multiplies at once, in one instruction or in the few that it needs.

In plain loops LLVM must show, or test at every step, that arrays do not overlap before it uses such instructions, and
it splits a sum as the machine's width suggests. Lines say what is meant: the loads come before the stores, and a sum
has the same order on every machine. With NUMBA_DISABLE_JIT=1 a line is a NumPy array of eight.
"""

from __future__ import annotations

import operator
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8  # numbers in a line, which is a cache line
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_CONTRACT = ("contract",)  # as in `options`: a product may be fused with the sum that takes it


class LineType(types.Type):
    """Numba's type of a line."""

    def __init__(self) -> None:
        super().__init__(name="manifoldflow.line")


LINE = LineType()


@register_model(LineType)
class _LineModel(models.PrimitiveModel):
    def __init__(self, manager: Any, line: Any) -> None:
        super().__init__(manager, line, _VECTOR)


@infer_global(operator.add)
@infer_global(operator.iadd)
class _Sum(ConcreteTemplate):
    cases = (signature(LINE, LINE, LINE),)


@infer_global(operator.mul)
class _Product(ConcreteTemplate):
    cases = (signature(LINE, LINE, LINE), signature(LINE, types.float64, LINE))


@lower_builtin(operator.add, LINE, LINE)
@lower_builtin(operator.iadd, LINE, LINE)
def _add(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.fadd(*arguments, flags=_CONTRACT)


@lower_builtin(operator.mul, LINE, LINE)
def _multiply(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.fmul(*arguments, flags=_CONTRACT)


@lower_builtin(operator.mul, types.float64, LINE)
def _scale(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, arguments[0], ir.Constant(ir.IntType(32), 0))
    return builder.fmul(builder.shuffle_vector(first, undefined, _lanes([0] * LANES)), arguments[1], flags=_CONTRACT)


def _lanes(numbers: Any) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


def _start(typing_context: Any, array: Any) -> Any:
    if not isinstance(array, types.Array) or array.layout != "C":
        return None  # no such function: an address knows no strides

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate


def _load(typing_context: Any, place: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_line_at(builder, *arguments), align=8)

    return LINE(place, types.intp), generate


def _store(typing_context: Any, place: Any, at: Any, line: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _line_at(builder, *arguments[:2]), align=8)
        return context.get_dummy_value()

    return types.void(place, types.intp, LINE), generate


def _line_at(builder: Any, place: Any, at: Any) -> Any:
    return builder.bitcast(builder.gep(place, [at]), _VECTOR.as_pointer())


def _total(typing_context: Any, line: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, width = arguments[0], LANES
        while width > 1:
            width //= 2
            halves = [builder.shuffle_vector(value, value, _lanes(range(k, k + width))) for k in (0, width)]
            value = builder.fadd(*halves)
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float64(line), generate


if numba.config.DISABLE_JIT:

    def start(array: Any) -> Any:
        """Where a C-contiguous array begins: one word, and no reference to count. Indexed as if it had one axis."""
        return array.ravel()

    def load(place: Any, at: Any) -> Any:
        """The line that begins `at` numbers after the start."""
        return place[at : at + LANES].copy()

    def store(place: Any, at: Any, line: Any) -> None:
        """Write a line there."""
        place[at : at + LANES] = line

    def total(line: Any) -> float:
        """Sum of the eight, by halves."""
        while len(line) > 1:
            line = line[: len(line) // 2] + line[len(line) // 2 :]
        return float(line[0])

else:
    start, load, store, total = intrinsic(_start), intrinsic(_load), intrinsic(_store), intrinsic(_total)
