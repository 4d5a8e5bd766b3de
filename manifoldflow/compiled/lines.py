"""Lines of eight float64: what a processor adds or multiplies at once, in one instruction or in the few that it needs.

In plain loops LLVM must show, or test at every step, that arrays do not overlap before it uses such instructions; it
keeps sums in memory, and splits them as the machine's width suggests. Lines say what is meant: the loads come before
the stores, sums stay in registers, and have the same order on every machine. A line is addressed by where its array
begins, a place, and the distance from there. With NUMBA_DISABLE_JIT=1 a line is a NumPy array of eight.
"""

from __future__ import annotations

import itertools
import math
import operator
from functools import lru_cache
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_jitable, register_model

from .options import jit, jit_sums

LANES = 8  # numbers in a line, which is a cache line
LINE_BYTES = 8 * LANES
PLACE = types.CPointer(types.float64)
# Whether a line fits into one register, of which there are then 32.
LONG_REGISTERS = "+avx512f" in (numba.config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten())
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
@infer_global(operator.sub)
@infer_global(operator.truediv)
class _OfLines(ConcreteTemplate):
    cases = (signature(LINE, LINE, LINE),)


@infer_global(operator.mul)
class _Product(ConcreteTemplate):
    cases = (signature(LINE, LINE, LINE), signature(LINE, types.float64, LINE))


def _define(function: Any, instruction: str) -> None:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=_CONTRACT)

    lower_builtin(function, LINE, LINE)(generate)


for _function, _instruction in (
    (operator.add, "fadd"), (operator.iadd, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):  # fmt: skip
    _define(_function, _instruction)


@lower_builtin(operator.mul, types.float64, LINE)
def _scale(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.fmul(_splat(builder, arguments[0]), arguments[1], flags=_CONTRACT)


def _splat(builder: Any, value: Any, vector: Any = _VECTOR) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, _lanes([0] * LANES))


def _lanes(numbers: Any) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


def _first_lanes(builder: Any, count: Any) -> Any:
    """True in the first `count` lanes."""
    indices = ir.VectorType(ir.IntType(64), LANES)
    return builder.icmp_signed("<", ir.Constant(indices, list(range(LANES))), _splat(builder, count, indices))


def _llvm(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """A call of one of LLVM's own functions."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}"), arguments)


def _start(typing_context: Any, array: Any) -> Any:
    if not isinstance(array, types.Array) or array.layout != "C":
        return None  # no such function: an address knows no strides
    return types.CPointer(array.dtype)(array), _address


def _start_of_rows(typing_context: Any, matrix: Any) -> Any:
    return PLACE(matrix), _address


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return context.make_array(signature.args[0])(context, builder, arguments[0]).data


def _line_at(builder: Any, place: Any, at: Any) -> Any:
    return builder.bitcast(builder.gep(place, [at]), _VECTOR.as_pointer())


def _load(typing_context: Any, place: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_line_at(builder, *arguments), align=8)

    return LINE(place, types.intp), generate


def _load_first(typing_context: Any, place: Any, at: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, mask = _line_at(builder, *arguments[:2]), _first_lanes(builder, arguments[2])
        alignment, zeros = ir.Constant(ir.IntType(32), 8), ir.Constant(_VECTOR, [0.0] * LANES)
        return _llvm(builder, "masked.load.v8f64.p0", _VECTOR, pointer, alignment, mask, zeros)

    return LINE(place, types.intp, types.intp), generate


def _store(typing_context: Any, place: Any, at: Any, line: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _line_at(builder, *arguments[:2]), align=8)
        return context.get_dummy_value()

    return types.void(place, types.intp, LINE), generate


def _store_first(typing_context: Any, place: Any, at: Any, line: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, mask = _line_at(builder, *arguments[:2]), _first_lanes(builder, arguments[3])
        alignment = ir.Constant(ir.IntType(32), 8)
        _llvm(builder, "masked.store.v8f64.p0", ir.VoidType(), arguments[2], pointer, alignment, mask)
        return context.get_dummy_value()

    return types.void(place, types.intp, LINE, types.intp), generate


def _spread(typing_context: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _splat(builder, arguments[0])

    return LINE(types.float64), generate


def _multiply_add(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _llvm(builder, "fmuladd.v8f64", _VECTOR, *arguments)

    return LINE(LINE, LINE, LINE), generate


def _square_root(typing_context: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _llvm(builder, "sqrt.v8f64", _VECTOR, *arguments)

    return LINE(LINE), generate


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

    def start_of_rows(matrix: Any) -> Any:
        """The same for a matrix with contiguous rows, element (i, k) of which stands at i row_stride(matrix) + k."""
        last = sum((size - 1) * stride for size, stride in zip(matrix.shape, matrix.strides, strict=True)) // 8
        return np.lib.stride_tricks.as_strided(matrix, (last + 1,), (8,))

    def load(place: Any, at: Any) -> Any:
        """The line that begins `at` numbers after the start."""
        return place[at : at + LANES].copy()

    def load_first(place: Any, at: Any, count: Any) -> Any:
        """The first `count` numbers of that line, at most eight, and 0 in its other lanes; no more is read."""
        line, count = np.zeros(LANES), max(0, min(count, LANES))
        line[:count] = place[at : at + count]
        return line

    def store(place: Any, at: Any, line: Any) -> None:
        """Write a line there."""
        place[at : at + LANES] = line

    def store_first(place: Any, at: Any, line: Any, count: Any) -> None:
        """Write the first `count` numbers of a line, at most eight."""
        count = max(0, min(count, LANES))
        place[at : at + count] = line[:count]

    def spread(number: Any) -> Any:
        """A line of the same number."""
        return np.full(LANES, number)

    def multiply_add(a: Any, b: Any, c: Any) -> Any:
        """A b + c, with one rounding where the processor can."""
        return a * b + c

    def square_root(a: Any) -> Any:
        """Square roots; NaN of what is negative."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(a)

    def total(line: Any) -> float:
        """Sum of the eight, by halves."""
        while len(line) > 1:
            line = line[: len(line) // 2] + line[len(line) // 2 :]
        return float(line[0])

else:
    start, start_of_rows = intrinsic(_start), intrinsic(_start_of_rows)
    load, load_first, store, store_first = map(intrinsic, (_load, _load_first, _store, _store_first))
    spread, multiply_add, square_root, total = map(intrinsic, (_spread, _multiply_add, _square_root, _total))


@register_jitable
def whole(n: int, group: int = LANES) -> int:
    """The least multiple of `group`, a line if none is given, that is n or more."""
    return -(-n // group) * group


def rooms(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Arrays of these shapes, not filled, in one allocation; each begins where a line of the cache does.

    A line of numbers that lies in two of those takes twice as long to load.
    """
    size, places = _places(shapes)
    buffer = np.empty(size + LINE_BYTES, np.uint8)
    first = -buffer.__array_interface__["data"][0] % LINE_BYTES
    return [np.ndarray(shape, np.float64, buffer, first + place) for shape, place in places]


@lru_cache(maxsize=256)
def _places(shapes: tuple[tuple[int, ...], ...]) -> tuple[int, list[tuple[tuple[int, ...], int]]]:
    """Bytes in all, and where each array begins."""
    ends = list(itertools.accumulate((8 * whole(math.prod(shape)) for shape in shapes), initial=0))
    return ends[-1], list(zip(shapes, ends, strict=False))


def zeroed(*shape: int) -> np.ndarray:
    """One array of zeros that begins where a line of the cache does."""
    (room,) = rooms(shape)
    room[...] = 0.0
    return room


def in_lines(G: np.ndarray) -> np.ndarray:
    """A square matrix with its rows padded to whole lines, as kernels take it."""
    lines = zeroed(G.shape[0], whole(G.shape[0]))
    square(lines)[:] = G
    return lines


def square(lines: np.ndarray) -> np.ndarray:
    """The matrix itself, (n, n), of rows that are padded to whole lines."""
    return lines[:, : lines.shape[0]]


@jit_sums
def accumulate(sum_so_far, value):
    """Their sum, in a loop that may add in any order and so use vector instructions."""
    return sum_so_far + value


@jit
def row_stride(A):
    """Distance of neighbours in a column, in numbers."""
    return A.strides[0] // A.itemsize
