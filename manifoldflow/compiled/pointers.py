"""Pointwise functions of a unit as addresses: how code compiled without knowing the unit calls them.

Numba's own function objects take 10 us each to pass from Python. An array of addresses takes none; here an address
becomes a function of known signature again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_MATRIX = types.float64[:, ::1]
_STACK = types.float64[:, :, ::1]
_BLOCKS = types.Array(types.float64, 4, "C")
_OWN = types.float64[:, :]  # a slice of the parameters: its rows are strided
_VECTOR = types.float64[::1]
_START = types.CPointer(types.float64)

# In the order of the addresses; what each function fills is in the header of a generated file.
SIGNATURES = {
    "values": types.void(_MATRIX, _OWN, _MATRIX, _VECTOR),
    "first_order": types.void(_MATRIX, _OWN, _MATRIX, _VECTOR, _STACK),
    "second_order": types.float64(_MATRIX, _OWN, _VECTOR, _MATRIX, _VECTOR, _STACK, _STACK),
    "curvature": types.void(_MATRIX, _OWN, _VECTOR, _MATRIX, _VECTOR, _BLOCKS, _BLOCKS),
    "sample_first_order": types.void(_START, _START, _START, _START, types.intp, types.intp),
}


def _reader(name: str) -> Callable[[Any], Any]:
    """The function that turns an address into the pointwise function of that name."""
    if numba.config.DISABLE_JIT:
        return lambda function: function
    function_type = types.FunctionType(SIGNATURES[name])

    @intrinsic
    def read(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            function = cgutils.create_struct_proxy(function_type)(context, builder)
            function.c_addr = builder.inttoptr(arguments[0], cgutils.voidptr_t)
            function.py_addr = cgutils.get_null_value(cgutils.voidptr_t)
            function.jit_addr = cgutils.get_null_value(cgutils.voidptr_t)
            return function._getvalue()

        return function_type(types.int64), generate

    return read


values_at = _reader("values")
first_order_at = _reader("first_order")
second_order_at = _reader("second_order")
curvature_at = _reader("curvature")


def _fill_sample(typing_context, address, z, z_at, own, a, a_at, out, m, M):
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, z, z_at, own, a, a_at, *rest = arguments
        kinds = [context.get_value_type(kind) for kind in SIGNATURES["sample_first_order"].args]
        function = builder.inttoptr(address, ir.FunctionType(ir.VoidType(), kinds).as_pointer())
        builder.call(function, [builder.gep(z, [z_at]), own, builder.gep(a, [a_at]), *rest])
        return context.get_dummy_value()

    return types.void(address, z, types.intp, own, a, types.intp, out, types.intp, types.intp), generate


if numba.config.DISABLE_JIT:

    def fill_sample(function: Any, z: Any, z_at: int, own: Any, a: Any, a_at: int, out: Any, m: int, M: int) -> None:
        """Call the pointwise function of one sample, whose rows begin `z_at` and `a_at` numbers after the starts."""
        function(z[z_at:], own, a[a_at:], out, m, M)

else:
    fill_sample = intrinsic(_fill_sample)

VALUES, FIRST_ORDER, SECOND_ORDER, CURVATURE, SAMPLE_FIRST_ORDER = range(5)
