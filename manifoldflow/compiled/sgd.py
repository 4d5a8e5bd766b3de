"""Label-noise SGD in pre-activation coordinates: a step on sample i is a rank-one update of Z, whatever d is.

Z is held as (n, m), one sample a row. The same coefficients accumulate in `moved` (n, m), so that the parameters come
back as W_0 + moved^T R without solving with G.
"""

from __future__ import annotations

import math

from .lapack import gemm
from .options import jit
from .pointers import SAMPLE_FIRST_ORDER, sample_first_order_at

NO_NOISE, RADEMACHER, GAUSSIAN, UNIFORM = range(4)


@jit
def draw_noise(rng, kind, std):
    """One draw of mean 0 and standard deviation std."""
    if kind == RADEMACHER:
        return std if rng.random() < 0.5 else -std
    if kind == GAUSSIAN:
        return std * rng.standard_normal()
    if kind == UNIFORM:
        return std * math.sqrt(3.0) * (2.0 * rng.random() - 1.0)
    return 0.0


@jit
def sgd_steps(Z, c, moved, problem, a, step_size, batch, kind, std, n_steps, rng, limit, rows, g, scaled):
    """Take n_steps in place; returns the number taken, fewer when an error f_i - y_i leaves [-limit, limit].

    batch = 0 is the full batch: the gradient of the sum over all samples, each with its own noise. Otherwise the mean
    gradient of `batch` samples drawn with replacement. a is (n, m); rows (b,), g (b, 1 + p, m) and scaled (n, m) are
    room to write in, b the number of samples a step.
    """
    n = Z.shape[0]
    n_rows = rows.shape[0]
    scale = -2.0 * step_size / (1 if batch == 0 else batch)
    for step in range(n_steps):
        for k in range(n_rows):
            i = k if batch == 0 else rng.integers(0, n)
            rows[k] = i
            error = sample_first_order_at(problem.unit[SAMPLE_FIRST_ORDER])(Z[i], c, a[i], g[k]) - problem.y[i]
            if not abs(error) <= limit:
                return step
            _scale(g[k], scale * (error - draw_noise(rng, kind, std)))
        if batch == 0:
            for i in range(n):
                scaled[i] = g[i, 0]
            gemm(False, False, 1.0, problem.G, scaled, 1.0, Z)
        for k in range(n_rows):
            _update(Z, c, moved, problem.G, rows[k], g[k], batch != 0)
    return n_steps


@jit
def _scale(g, factor):
    for q in range(g.shape[0]):
        for j in range(g.shape[1]):
            g[q, j] *= factor


@jit
def _update(Z, c, moved, G, i, g, update_z):
    if update_z:
        for k in range(Z.shape[0]):
            weight = G[i, k]
            for j in range(Z.shape[1]):
                Z[k, j] += weight * g[0, j]
    for j in range(Z.shape[1]):
        moved[i, j] += g[0, j]
    for q in range(c.shape[1]):
        for j in range(Z.shape[1]):
            c[j, q] += g[q + 1, j]
