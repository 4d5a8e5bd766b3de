"""The equations of the flattest point (S13), solved for all samples at once with the unit's own compiled functions.

For sample i the unknowns are z_ji and k_i with a_j phi''(z_ji) = k_i and sum_j a_j phi(z_ji) = y_i.
"""

from __future__ import annotations

import numpy as np

from .options import jit
from .pointers import CURVATURE, FIRST_ORDER, curvature_at, first_order_at

_EPS = 2.220446049250313e-16


@jit
def flattest_preactivations(unit, s, a, y, z, max_iterations):
    """Newton's method from `z` (m, n), which becomes the solution; returns how many samples it left unsolved.

    A step moves no pre-activation by more than 1 + |z|, and is halved while it ends where phi' or phi''' is not
    positive and finite. Elimination of dz leaves one number a sample, df/dk = sum_j phi'/phi''' > 0.
    """
    m, n = z.shape
    own = z[:, n:]
    f, g = np.empty(n), np.empty((1, m, n))
    H, E, no_multipliers = np.empty((1, 1, m, n)), np.empty((1, 1, m, n)), np.zeros(n)
    step, k, dk = np.zeros((m, n)), np.zeros(n), np.zeros(n)
    fraction, last, active = np.zeros(n), np.full(n, np.inf), np.full(n, True)
    for iteration in range(max_iterations):
        first_order_at(unit[FIRST_ORDER])(z, own, a, f, g)
        curvature_at(unit[CURVATURE])(z, own, s, a, no_multipliers, H, E)
        for i in range(n):
            if iteration == 0:
                k[i] = _mean(H[0, 0], i)
            if active[i]:
                active[i] = _advance(i, z, a, y, s, f, g, H, E, step, k, dk, fraction, last)
        if not active.any():
            return 0
    return int(active.sum())


@jit
def _mean(values, i):
    total = 0.0
    for j in range(values.shape[0]):
        total += values[j, i]
    return total / values.shape[0]


@jit
def _advance(i, z, a, y, s, f, g, H, E, step, k, dk, fraction, last):
    """One Newton step of sample i, or half of the last one taken back; False when the sample is solved."""
    if not _strictly_convex(i, a, s, f, g, H, E):
        fraction[i] *= 0.5
        _move(i, z, step, k, dk, -fraction[i])
        return True
    wanted, slope = y[i] - f[i], 0.0
    for j in range(z.shape[0]):
        ratio = g[0, j, i] / E[0, 0, j, i]
        wanted += ratio * (H[0, 0, j, i] - k[i])
        slope += ratio
    dk[i] = wanted / slope
    size, relative, fraction[i] = 0.0, 0.0, 1.0
    for j in range(z.shape[0]):
        step[j, i] = (dk[i] - (H[0, 0, j, i] - k[i])) / E[0, 0, j, i]
        length = abs(step[j, i])
        size = max(size, length / (1.0 + abs(z[j, i])))
        relative = max(relative, length / max(abs(z[j, i]), 1e-300))
    if size > 1.0:
        fraction[i] = 1.0 / size
    _move(i, z, step, k, dk, fraction[i])
    # At rounding level, which cancellation between the units sets, steps stop shrinking.
    solved = relative <= 8.0 * _EPS or (size <= 1e-10 and size >= 0.5 * last[i]) or size <= 0.01 * _EPS
    last[i] = size
    return not solved


@jit
def _strictly_convex(i, a, s, f, g, H, E):
    """Phi' > 0 and phi''' > 0 at every unit of sample i; E becomes a phi''' on the way.

    Without multipliers E = 4 s a^2 (phi''^2 + phi' phi''').
    """
    if not np.isfinite(f[i]):
        return False
    for j in range(a.shape[0]):
        third = (E[0, 0, j, i] / (4.0 * s[i]) - H[0, 0, j, i] * H[0, 0, j, i]) / g[0, j, i]
        E[0, 0, j, i] = third
        if not (np.isfinite(third) and third / a[j, i] > 0.0 and g[0, j, i] / a[j, i] > 0.0):
            return False
    return True


@jit
def _move(i, z, step, k, dk, fraction):
    for j in range(z.shape[0]):
        z[j, i] += fraction * step[j, i]
    k[i] += fraction * dk[i]
