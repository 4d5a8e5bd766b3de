"""What is called from Python once for every gradient, with as little as possible around the computation.

Few arguments, because Numba takes 0.1 us to unpack each array; and one allocation, seen as the workspace's arrays.
"""

from __future__ import annotations

import numpy as np

from .geometry import Problem, Workspace, gradient
from .lines import whole
from .options import jit
from .views import view


def pack(X, G, a):
    """The arrays of a problem in one: G in lines, X (n, d'), X^T, s = diag G and a (m, n), as `_unpack` reads them."""
    return np.concatenate([G.ravel(), X.ravel(), X.T.ravel(), G.diagonal(), a.ravel()])


@jit
def full_gradient(theta, packed, y, unit, out):
    """Riemannian gradient at theta (m, d' + p) into `out`, both contiguous; returns (F, max |f - y|, info).

    In the parameters' own space: the data X take the place of R, which saves the products with the basis of their span.
    """
    m, n = theta.shape[0], y.shape[0]
    # packed has n w + 2 n d' + n + m n entries, w the length of G's rows, and theta d' + p columns.
    w = whole(n)
    d = (packed.shape[0] - n * w - n - m * n) // (2 * n)
    v = 1 + theta.shape[1] - d
    buffer = np.empty(n * w + (2 + 3 * v) * m * n + 3 * n + 1)
    work = _workspace(buffer, m, n, w, v)
    F, info = gradient(theta, _unpack(packed, y, unit, m, n, w, d), work, out)
    size = 0.0
    for i in range(n):
        size = max(size, abs(work.f[i] - y[i]))
    buffer[0] = F  # the views do not hold the buffer: this last use does
    return F, size, info


@jit
def _unpack(packed, y, unit, m, n, w, d):
    X = n * w
    s = X + 2 * n * d
    return Problem(
        unit, view(packed, X, (n, d)), view(packed, X + n * d, (d, n)), view(packed, 0, (n, w)), view(packed, s, (n,)),
        view(packed, s + n, (m, n)), y,
    )  # fmt: skip


@jit
def _workspace(buffer, m, n, w, v):
    """A workspace for first derivatives: H and E, which the gradient does not touch, have no room."""
    z = n * w
    g = z + m * n
    alpha = g + v * m * n
    t = alpha + v * m * n
    image = t + v * m * n
    lam = image + m * n
    none = view(buffer, 0, (0, 0, 0, 0))
    return Workspace(
        view(buffer, z, (m, n)),
        view(buffer, lam + 2 * n, (n,)),
        view(buffer, g, (v, m, n)),
        view(buffer, alpha, (v, m, n)),
        view(buffer, t, (v, m, n)),
        none,
        none,
        view(buffer, 0, (n, w)),
        view(buffer, image, (m, n)),
        view(buffer, lam, (1, n)),
        view(buffer, lam + n, (1, n)),
        view(buffer, lam + 3 * n, (1,)),
    )
