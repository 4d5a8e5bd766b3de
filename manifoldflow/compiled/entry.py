"""What is called from Python once for every gradient, with as little as possible around the computation.

Few arguments, because Numba takes 0.1 us to unpack each array; and one allocation, seen as the workspace's arrays.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from .geometry import Problem, Workspace, gradient
from .options import jit


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
        """The array of that shape which begins at buffer[start]."""
        return buffer[start : start + int(np.prod(shape))].reshape(shape)

else:
    # Does not own the memory: the caller keeps the buffer alive. Counting references would take as long as the work.
    view = intrinsic(_view)


def pack(X, G, a):
    """The arrays of a problem in one: X (n, d'), G (n, n), s = diag G and a (m, n), as `_unpack` reads them."""
    return np.concatenate([X.ravel(), G.ravel(), G.diagonal(), a.ravel()])


@jit
def full_gradient(theta, packed, y, unit, out):
    """Riemannian gradient at theta (m, d' + p) into `out`, both contiguous; returns (F, max |f - y|, info).

    In the parameters' own space: the data X take the place of R, which saves the products with the basis of their span.
    """
    m, n = theta.shape[0], y.shape[0]
    # packed has n d' + n n + n + m n entries and theta d' + p columns.
    d = (packed.shape[0] - n * n - n - m * n) // n
    v = 1 + theta.shape[1] - d
    buffer = np.empty((1 + 3 * v) * m * n + 2 * n * n + 3 * n + 1)
    work = _workspace(buffer, m, n, v)
    F, info = gradient(theta, _unpack(packed, y, unit, m, n, d), work, out)
    size = 0.0
    for i in range(n):
        size = max(size, abs(work.f[i] - y[i]))
    buffer[0] = F  # the views do not hold the buffer: this last use does
    return F, size, info


@jit
def _unpack(packed, y, unit, m, n, d):
    G = n * d
    s = G + n * n
    return Problem(
        unit, view(packed, 0, (n, d)), view(packed, G, (n, n)), view(packed, s, (n,)), view(packed, s + n, (m, n)), y
    )  # fmt: skip


@jit
def _workspace(buffer, m, n, v):
    """A workspace for first derivatives: H and E, which the gradient does not touch, have no room."""
    g = m * n
    alpha = g + v * m * n
    t = alpha + v * m * n
    K = t + v * m * n
    C = K + n * n
    lam = C + n * n
    none = view(buffer, 0, (0, 0, 0, 0))
    return Workspace(
        view(buffer, 0, (m, n)),
        view(buffer, lam + 2 * n, (n,)),
        view(buffer, g, (v, m, n)),
        view(buffer, alpha, (v, m, n)),
        view(buffer, t, (v, m, n)),
        none,
        none,
        view(buffer, K, (n, n)),
        view(buffer, C, (n, n)),
        view(buffer, lam, (1, n)),
        view(buffer, lam + n, (1, n)),
        view(buffer, lam + 3 * n, (1,)),
    )
