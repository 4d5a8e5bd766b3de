"""Arrays that do not own their memory, for loops in which counting references would take as long as the work.

Numba counts the references to an array, atomically, each time that it is taken out of a tuple. These arrays have
nothing to count. A function may borrow its arguments, which its caller keeps alive; what it has made itself it may not,
since Numba lets go of an array after its last use.
"""

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


def _borrowed(typing_context: Any, given: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _without_owner(context, builder, given, arguments[0])

    return given(given), generate


def _without_owner(context: Any, builder: Any, given: Any, value: Any) -> Any:
    """The same array, or tuple of arrays and other things, with nothing to count."""
    if isinstance(given, types.BaseTuple):
        entries = cgutils.unpack_tuple(builder, value)
        fields = zip(given, entries, strict=True)
        return context.make_tuple(
            builder, given, [_without_owner(context, builder, kind, entry) for kind, entry in fields]
        )
    if not isinstance(given, types.Array):
        return value
    source = context.make_array(given)(context, builder, value)
    array = context.make_array(given)(context, builder)
    populate_array(
        array, data=source.data, shape=source.shape, strides=source.strides, itemsize=source.itemsize, meminfo=None
    )
    return array._getvalue()


if numba.config.DISABLE_JIT:

    def view(buffer: Any, start: int, shape: tuple[int, ...]) -> Any:
        """The array of that shape which begins at buffer[start]."""
        return buffer[start : start + int(np.prod(shape))].reshape(shape)

    def borrowed(given: Any) -> Any:
        """An array, or a tuple with arrays in it, without ownership."""
        return given

else:
    view = intrinsic(_view)
    borrowed = intrinsic(_borrowed)
