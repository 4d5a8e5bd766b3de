"""Eight numbers at once: a type of value for compiled code that LLVM keeps in vector registers.

Loops that Numba vectorises by itself keep their sums in memory; the kernels in `products` and `batches` need many sums
in registers. Where the processor's registers are shorter, LLVM splits a value over several. With NUMBA_DISABLE_JIT=1
lanes are NumPy arrays of eight.

Numbers are addressed by where their array begins, a `place`, and their distance from there: element (i, k) of a
matrix whose last axis is contiguous stands at i * row_stride(A) + k.
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from .options import jit, jit_sums

LANES = 8
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
LONG_REGISTERS = "+avx512f" in (numba.config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten())
_FLAGS = ("contract",)  # the liberty with rounding that `options` allows everywhere


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES = _LanesType()
PLACE = types.CPointer(types.float64)


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, frontend: Any) -> None:
        super().__init__(manager, frontend, _VECTOR)


def _start(typing_context: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(array)(context, builder, arguments[0]).data

    return PLACE(array), generate


def _pointer(builder: Any, place: Any, at: Any) -> Any:
    return builder.bitcast(builder.gep(place, [at]), _VECTOR.as_pointer())


def _splat(builder: Any, value: Any, vector: Any = _VECTOR) -> Any:
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def _mask(builder: Any, count: Any) -> Any:
    """True in the first `count` lanes."""
    indices = ir.VectorType(ir.IntType(64), LANES)
    return builder.icmp_signed("<", ir.Constant(indices, list(range(LANES))), _splat(builder, count, indices))


def _llvm(builder: Any, name: str, result: Any, arguments: list[Any], flags: tuple[str, ...] = ()) -> Any:
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, function_type, name)
    return builder.call(function, arguments, fastmath=flags)


def _load(typing_context: Any, place: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(builder, *arguments), align=8)

    return _LANES(place, types.intp), generate


def _load_first(typing_context: Any, place: Any, at: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, mask, zeros = _pointer(builder, *arguments[:2]), _mask(builder, arguments[2]), [0.0] * LANES
        alignment = ir.Constant(ir.IntType(32), 8)
        return _llvm(
            builder, "llvm.masked.load.v8f64.p0", _VECTOR, [pointer, alignment, mask, ir.Constant(_VECTOR, zeros)]
        )

    return _LANES(place, types.intp, types.intp), generate


def _store(typing_context: Any, place: Any, at: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _pointer(builder, *arguments[:2]), align=8)
        return context.get_dummy_value()

    return types.void(place, types.intp, _LANES), generate


def _store_first(typing_context: Any, place: Any, at: Any, value: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, mask = _pointer(builder, *arguments[:2]), _mask(builder, arguments[3])
        alignment = ir.Constant(ir.IntType(32), 8)
        _llvm(builder, "llvm.masked.store.v8f64.p0", ir.VoidType(), [arguments[2], pointer, alignment, mask])
        return context.get_dummy_value()

    return types.void(place, types.intp, _LANES, types.intp), generate


def _spread(typing_context: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _splat(builder, arguments[0])

    return _LANES(types.float64), generate


def _multiply_add(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _llvm(builder, "llvm.fmuladd.v8f64", _VECTOR, list(arguments))

    return _LANES(_LANES, _LANES, _LANES), generate


def _square_root(typing_context: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _llvm(builder, "llvm.sqrt.v8f64", _VECTOR, list(arguments))

    return _LANES(_LANES), generate


def _total(typing_context: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = ir.Constant(ir.DoubleType(), 0.0)
        return _llvm(
            builder, "llvm.vector.reduce.fadd.v8f64", ir.DoubleType(), [start, arguments[0]], ("reassoc", *_FLAGS)
        )

    return types.float64(_LANES), generate


def _arithmetic(name: str) -> Any:
    def operation(typing_context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(*arguments, flags=_FLAGS)

        return _LANES(_LANES, _LANES), generate

    return intrinsic(operation)


def _define(function: Any, name: str) -> None:
    """Lanes + - * / lanes in compiled code."""
    compiled = _arithmetic(name)

    def operate(a, b):  # Numba compares its signature with that of the lambda
        return (lambda a, b: compiled(a, b)) if a is _LANES and b is _LANES else None  # noqa: PLW0108

    overload(function)(operate)


if numba.config.DISABLE_JIT:

    def start(array):
        """Where an array begins: one word, and no reference to count."""
        last = sum((size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)) // 8
        return np.lib.stride_tricks.as_strided(array, (last + 1,), (8,))

    def load(place, at):
        """Eight neighbours."""
        return place[at : at + LANES].copy()

    def load_first(place, at, count):
        """The first `count` of eight neighbours, 0 in the other lanes."""
        lanes, count = np.zeros(LANES), max(0, min(count, LANES))
        lanes[:count] = place[at : at + count]
        return lanes

    def store(place, at, value):
        """Write eight neighbours."""
        place[at : at + LANES] = value

    def store_first(place, at, value, count):
        """Write the first `count` of eight neighbours."""
        count = max(0, min(count, LANES))
        place[at : at + count] = value[:count]

    def spread(number):
        """The same number in every lane."""
        return np.full(LANES, number)

    def multiply_add(a, b, c):
        """A b + c, with one rounding where the processor can."""
        return a * b + c

    def square_root(a):
        """Square root of every lane; NaN where it is negative."""
        with np.errstate(invalid="ignore"):
            return np.sqrt(a)

    def total(a):
        """Sum over the lanes."""
        return float(np.sum(a))

else:
    start, load, load_first = map(intrinsic, (_start, _load, _load_first))
    store, store_first = map(intrinsic, (_store, _store_first))
    spread, multiply_add = map(intrinsic, (_spread, _multiply_add))
    square_root, total = map(intrinsic, (_square_root, _total))
    for function, name in (
        (operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv"),
    ):  # fmt: skip
        _define(function, name)


@jit_sums
def accumulate(sum_so_far, value):
    """Their sum, in a loop that may add in any order and so use vector instructions."""
    return sum_so_far + value


@jit
def row_stride(A):
    """Distance of neighbours in a column, in elements."""
    return A.strides[0] // A.itemsize
