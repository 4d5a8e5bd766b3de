"""Undamped Newton steps onto the manifold, and the rounding level at which any of them must stop."""

from __future__ import annotations

from .geometry import add_multiple, copy, newton_step, residual
from .options import jit_bare
from .pointers import VALUES, values_at

# A residual that does not fall to half its size is not one that Newton's method converges from: along a power z^k it
# falls by (1 - 1/k)^k < 1/e, along an exponential by 1/e, and near M by its square.
CONTRACTION = 0.5


@jit_bare
def rounding_sizes(W, problem, work, sizes):
    """sizes_i = sum_j |psi_ji| + |g_ji| . |A_i| |w_j|: some eps times this is what f_i is known to, (n,).

    The first part is rounding of the summands, the second that of the parameters and of their inner products.
    """
    r = problem.R.shape[1]
    residual(W, problem, work)
    sizes[:] = 0.0
    for j in range(W.shape[0]):
        values_at(problem.unit[VALUES])(work.z[j : j + 1], W[j : j + 1, r:], problem.a[j : j + 1], work.scratch[0])
        for i in range(sizes.shape[0]):
            reach = 0.0
            for k in range(r):
                reach += abs(problem.R[i, k] * W[j, k])
            total = abs(work.scratch[0, i]) + abs(work.g[0, j, i]) * reach
            for q in range(W.shape[1] - r):
                total += abs(work.g[q + 1, j, i] * W[j, r + q])
            sizes[i] += total


@jit_bare
def undamped_projection(W, problem, work, step, best, tolerance, max_iterations):
    """Newton's method with whole steps only, each of which must halve max |f - y|; so the end depends smoothly on W.

    One more is taken after the tolerance is met, or where rounding ends the fall, and kept if it helps. Returns (max
    |f - y|, iterations, info); `best` is room for a point.
    """
    size = residual(W, problem, work)
    for iteration in range(max_iterations):
        info = newton_step(problem, work, step)
        if info != 0:
            return size, iteration, info
        copy(W, best)
        add_multiple(W, 1.0, step)
        new_size = residual(W, problem, work)
        if not new_size < size:
            copy(best, W)
            return size, iteration, 0
        if size <= tolerance or not new_size <= CONTRACTION * size:
            return new_size, iteration + 1, 0
        size = new_size
    return size, max_iterations, 0
