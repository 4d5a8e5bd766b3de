"""Arrays in one buffer, which does not have to be allocated array by array."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


def _view(typing_context: Any, buffer: Any, start: Any, shape: Any) -> Any:
    array_type = types.Array(types.float64, len(shape), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(buffer)(context, builder, arguments[0])
        array = context.make_array(array_type)(context, builder)
        sizes = cgutils.unpack_tuple(builder, arguments[2])
        strides = [context.get_constant(types.intp, 8)]
        for size in reversed(sizes[1:]):
            strides.insert(0, builder.mul(strides[0], size))
        populate_array(
            array, data=builder.gep(source.data, [arguments[1]]), shape=sizes, strides=strides,
            itemsize=context.get_constant(types.intp, 8), meminfo=None,
        )  # fmt: skip
        return array._getvalue()

    return array_type(buffer, types.intp, types.UniTuple(types.intp, len(shape))), generate


if numba.config.DISABLE_JIT:

    def view(buffer: Any, start: int, shape: tuple[int, ...]) -> Any:
        """The array of that shape which begins at buffer[start]; it does not own the memory: keep the buffer alive."""
        return buffer[start : start + int(np.prod(shape))].reshape(shape)

else:
    view = intrinsic(_view)
