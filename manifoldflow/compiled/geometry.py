"""Geometry of the zero-loss manifold: Jacobian, projection, Riemannian gradient and Hessian, Newton's projection.

Parameters W are (m, r + p): row j holds unit j's weights in the span of the data (r reduced coordinates) and its own
parameters. Coefficients `t` of shape (1 + p, m, n) stand for the element sum_i A_i^T t_ji of parameter space.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .elementwise import column_products, multiply_upper
from .lapack import cholesky, cholesky_solve, gemm, gram
from .lines import accumulate, in_lines, whole
from .options import jit_bare
from .pointers import (
    CURVATURE,
    FIRST_ORDER,
    SECOND_ORDER,
    VALUES,
    curvature_at,
    first_order_at,
    second_order_at,
    values_at,
)


class Problem(NamedTuple):
    """Data in reduced coordinates: R (n, r), R^T, G = R R^T (n, n), s = diag G, coefficients a (m, n), labels y (n,).

    Rows of G, and of K in the workspace, are padded to whole lines, (n, whole(n)): see `lines.square`. `unit` holds the
    addresses of the unit's pointwise functions, see `pointers`.
    """

    unit: np.ndarray
    R: np.ndarray
    RT: np.ndarray
    G: np.ndarray
    s: np.ndarray
    a: np.ndarray
    y: np.ndarray


def problem_of(unit, R, G, a, y):
    """The problem with these data, whose Gram matrix is G."""
    return Problem(unit, R, np.ascontiguousarray(R.T), in_lines(G), np.diag(G).copy(), a, y)


class Workspace(NamedTuple):
    """Everything that the functions below write on the way; made once, so that loops allocate nothing."""

    z: np.ndarray
    f: np.ndarray
    g: np.ndarray
    alpha: np.ndarray
    t: np.ndarray
    H: np.ndarray
    E: np.ndarray
    K: np.ndarray
    image: np.ndarray
    lam: np.ndarray
    scratch: np.ndarray
    normal: np.ndarray


def workspace(m, n, p):
    """A fresh workspace for m units of p own parameters and n samples; rows of lam are right-hand sides."""
    v, empty = 1 + p, np.empty
    return Workspace(
        empty((m, n)), empty(n), empty((v, m, n)), empty((v, m, n)), empty((v, m, n)), empty((v, v, m, n)),
        empty((v, v, m, n)), empty((n, whole(n))), empty((m, n)), empty((1, n)), empty((1, n)), np.zeros(1),
    )  # fmt: skip


@jit_bare
def copy(source, target):
    """Target = source, for matrices that do not overlap."""
    for j in range(source.shape[0]):
        for k in range(source.shape[1]):
            target[j, k] = source[j, k]


@jit_bare
def preactivations(W, RT, z):
    """z_ji = theta_j . r_i."""
    gemm(False, False, 1.0, W[:, : RT.shape[0]], RT, 0.0, z)


@jit_bare
def jacobian_gram(g, G, K):
    """K = J J^T = G * (g_0^T g_0) + sum_q g_q^T g_q (entrywise product; record gram_of_jacobian)."""
    upper_jacobian_gram(g, G, K)
    for i in range(G.shape[0]):
        for k in range(i):
            K[i, k] = K[k, i]


@jit_bare
def upper_jacobian_gram(g, G, K):
    """The upper half of K, which is all that its factorisation reads."""
    gram(g[0], 0.0, K)
    multiply_upper(K, G)
    for q in range(1, g.shape[0]):
        gram(g[q], 1.0, K)


@jit_bare
def factor_gram(K):
    """Cholesky factor of K in place; info is not 0 where K is singular to rounding, a pivot below 8 n eps K_ii.

    Rows of J of very different lengths, as labels of 1 beside 1e17 have, do not make K singular: its factor is as exact
    as that of the matrix scaled to a diagonal of ones (Demmel 1989).
    """
    largest, level = 0.0, 8.0 * K.shape[0] * 2.220446049250313e-16
    for i in range(K.shape[0]):
        largest = max(largest, K[i, i])
    info = cholesky(K)
    for i in range(K.shape[0]):
        # A column's length is the root of the K_ii that was given; it is looked at where the cheaper test does not do.
        if info == 0 and not K[i, i] * K[i, i] > level * largest:
            column = K[: i + 1, i]
            if not K[i, i] > np.sqrt(level) * _root_of_product(column, column):
                info = i + 1
    return info


@jit_bare
def apply_jacobian(g, z, c, out):
    """(J U)_i = sum_j g_ji . A_i U_j, from the pre-activations z = U_theta R^T and own parts c of U."""
    column_products(g[0], z, out)
    for j in range(z.shape[0]):
        for q in range(c.shape[1]):
            for i in range(z.shape[1]):
                out[i] += g[q + 1, j, i] * c[j, q]


@jit_bare
def apply_jacobian_to_coefficients(g, t, G, image, out):
    """J applied to the element sum_i A_i^T t_ji, through the Gram matrix."""
    gemm(False, False, 1.0, t[0], G, 0.0, image)
    column_products(g[0], image, out)
    for q in range(1, g.shape[0]):
        for j in range(t.shape[1]):
            own = 0.0
            for i in range(t.shape[2]):
                own += t[q, j, i]
            for i in range(t.shape[2]):
                out[i] += g[q, j, i] * own


@jit_bare
def assemble(t, R, out):
    """The element sum_i A_i^T t_ji of parameter space, (m, r + p)."""
    r = R.shape[1]
    gemm(False, False, 1.0, t[0], R, 0.0, out[:, :r])
    for q in range(t.shape[0] - 1):
        for j in range(out.shape[0]):
            total = 0.0
            for i in range(R.shape[0]):
                total += t[q + 1, j, i]
            out[j, r + q] = total


@jit_bare
def subtract_normal(t, g, lam):
    """t <- t - lam g: take the normal element J^T lam out of a coefficient array."""
    for q in range(t.shape[0]):
        for j in range(t.shape[1]):
            for i in range(t.shape[2]):
                t[q, j, i] -= lam[i] * g[q, j, i]


@jit_bare
def residual(W, problem, work):
    """Fill work.z, f and g; return max |f - y|."""
    preactivations(W, problem.RT, work.z)
    first_order_at(problem.unit[FIRST_ORDER])(work.z, W[:, problem.R.shape[1] :], problem.a, work.f, work.g)
    return distance(work, problem)


@jit_bare
def distance(work, problem):
    """Max |f - y| from the outputs in the workspace."""
    size = 0.0
    for i in range(work.f.shape[0]):
        difference = abs(work.f[i] - problem.y[i])
        if not difference <= size:
            size = difference
        if size != size:
            return size  # NaN: outside the activation's domain
    return size


@jit_bare
def sharpness(W, problem, work):
    """F = tr D^2 L on the manifold; fills work.z, f, g, alpha."""
    preactivations(W, problem.RT, work.z)
    return second_order_at(problem.unit[SECOND_ORDER])(
        work.z, W[:, problem.R.shape[1] :], problem.s, problem.a, work.f, work.g, work.alpha
    )  # fmt: skip


@jit_bare
def gradient(W, problem, work, out):
    """Riemannian gradient into `out`; returns (F, info).

    info is not 0 when J J^T is not positive definite. Leaves the multipliers in work.lam, the factor of K in work.K and
    in work.normal the norm of the Euclidean gradient's normal part, sqrt(q^T K^{-1} q): rounding is relative to it.
    """
    F = sharpness(W, problem, work)
    upper_jacobian_gram(work.g, problem.G, work.K)
    apply_jacobian_to_coefficients(work.g, work.alpha, problem.G, work.image, work.lam[0])
    info = factor_gram(work.K)
    if info == 0:
        copy(work.lam, work.scratch)
        cholesky_solve(work.K, work.lam)
        work.normal[0] = _root_of_product(work.scratch[0], work.lam[0])
        subtract_normal(work.alpha, work.g, work.lam[0])
        assemble(work.alpha, problem.R, out)
        if near_stationarity(norm(out), work):
            project_with_factor(problem, work, out, out)
    else:
        out[:] = np.nan
    return F, info


@jit_bare
def near_stationarity(gradient_norm, work):
    """Whether what rounding left of the Euclidean gradient's normal part could exceed the gradient itself."""
    return gradient_norm < 1e-3 * work.normal[0]


@jit_bare
def norm(U):
    """Frobenius norm."""
    total = 0.0
    for j in range(U.shape[0]):
        for k in range(U.shape[1]):
            total = accumulate(total, U[j, k] * U[j, k])
    return np.sqrt(total)


@jit_bare
def _root_of_product(x, y):
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * y[i]
    return np.sqrt(max(total, 0.0))


@jit_bare
def project(W, problem, work, U, out):
    """Orthogonal projection of U onto the tangent space at W; returns info as `gradient` does."""
    residual(W, problem, work)
    upper_jacobian_gram(work.g, problem.G, work.K)
    info = factor_gram(work.K)
    if info == 0:
        project_with_factor(problem, work, U, out)
    return info


@jit_bare
def project_with_factor(problem, work, U, out):
    """The projection when work.g and the factor of K in work.K are those of the point. `out` may be U."""
    r = problem.R.shape[1]
    preactivations(U, problem.RT, work.t[0])
    apply_jacobian(work.g, work.t[0], U[:, r:], work.scratch[0])
    cholesky_solve(work.K, work.scratch)
    work.t[:] = 0.0
    subtract_normal(work.t, work.g, work.scratch[0])
    copy(U, out)
    add_assembled(work.t, problem.R, out)


@jit_bare
def add_assembled(t, R, out):
    """out += sum_i A_i^T t_ji."""
    r = R.shape[1]
    gemm(False, False, 1.0, t[0], R, 1.0, out[:, :r])
    for q in range(t.shape[0] - 1):
        for j in range(out.shape[0]):
            for i in range(R.shape[0]):
                out[j, r + q] += t[q + 1, j, i]


@jit_bare
def apply_blocks(B, z, c, t):
    """t_ji = B_ji u_ji for symmetric (1+p) x (1+p) blocks B and u_ji = (z_ji, c_j)."""
    t[:] = 0.0
    for q in range(t.shape[0]):
        for j in range(z.shape[0]):
            for i in range(z.shape[1]):
                t[q, j, i] += B[q, 0, j, i] * z[j, i]
            for k in range(c.shape[1]):
                for i in range(z.shape[1]):
                    t[q, j, i] += B[q, k + 1, j, i] * c[j, k]


@jit_bare
def second_derivatives(W, problem, work, grad):
    """Gradient into `grad`, H and E into the workspace; returns (F, info)."""
    F, info = gradient(W, problem, work, grad)
    if info == 0:
        curvature(W, problem, work)
    return F, info


@jit_bare
def curvature(W, problem, work):
    """H and E at W into the workspace, which holds the pre-activations and multipliers there."""
    curvature_at(problem.unit[CURVATURE])(
        work.z, W[:, problem.R.shape[1] :], problem.s, problem.a, work.lam[0], work.H, work.E
    )


@jit_bare
def hessian_vector_product(W, problem, work, U, out):
    """Riemannian Hessian P E P applied to U; returns info as `gradient` does."""
    r = problem.R.shape[1]
    _, info = second_derivatives(W, problem, work, out)
    if info == 0:
        project_with_factor(problem, work, U, out)
        preactivations(out, problem.RT, work.z)
        apply_blocks(work.E, work.z, out[:, r:], work.t)
        assemble(work.t, problem.R, out)
        project_with_factor(problem, work, out, out)
    return info


@jit_bare
def newton_projection(W, problem, work, step, tolerance, max_iterations):
    """Move W onto the manifold along normal spaces, W <- W - J^T K^{-1} (f - y), until max |f - y| <= tolerance.

    A step is halved until the residual falls. One more is tried after the tolerance is met, and kept if it helps, so
    that the residual ends at rounding level. Returns (max |f - y|, iterations, info).
    """
    size = residual(W, problem, work)
    for iteration in range(max_iterations):
        finished = size <= tolerance
        info = newton_step(problem, work, step)
        if info != 0:
            return size, iteration, info
        new_size = _line_search(W, problem, work, step, size, 1 if finished else 40)
        if finished or not new_size < size:
            return new_size, iteration + 1, 0
        size = new_size
    return size, max_iterations, 0


@jit_bare
def newton_step(problem, work, step):
    """step = -J^T K^{-1} (f - y) at the point whose f and g the workspace holds; info is not 0 where K is singular."""
    upper_jacobian_gram(work.g, problem.G, work.K)
    info = factor_gram(work.K)
    if info == 0:
        for i in range(work.f.shape[0]):
            work.lam[0, i] = work.f[i] - problem.y[i]
        cholesky_solve(work.K, work.lam)
        work.t[:] = 0.0
        subtract_normal(work.t, work.g, work.lam[0])
        assemble(work.t, problem.R, step)
    return info


@jit_bare
def _line_search(W, problem, work, step, size, max_trials):
    """Add the step to W, halved until the residual falls; leave W as it was if it never does. Returns the residual."""
    fraction = 1.0
    if not np.isfinite(norm(step)):
        return size
    for _ in range(max_trials):
        add_multiple(W, fraction, step)
        new_size = residual(W, problem, work)
        if new_size < size:
            return new_size
        add_multiple(W, -fraction, step)
        fraction *= 0.5
    return residual(W, problem, work)


@jit_bare
def add_multiple(W, factor, step):
    """W += factor * step without a temporary."""
    for j in range(W.shape[0]):
        for k in range(W.shape[1]):
            W[j, k] += factor * step[j, k]


@jit_bare
def output(W, problem, work):
    """Fill work.f, the network's output."""
    preactivations(W, problem.RT, work.z)
    values_at(problem.unit[VALUES])(work.z, W[:, problem.R.shape[1] :], problem.a, work.f)
