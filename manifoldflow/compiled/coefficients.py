"""Elements of the data's span by their coefficients: the form in which both integrators evaluate the flow's field.

A coefficient array b (m, n + p) stands for the parameters b R_hat, R_hat = blockdiag(R, I_p) of shape (n + p, r + p): a
number for every unit and sample, and the unit's own part. The image of parameters W is W R_hat^T, (m, n + p): their
pre-activations and own parts. The field needs only images and gives coefficients, so that a stage takes one product
with the Gram matrix where parameters would take two products with the data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .elementwise import set_multiple
from .geometry import apply_jacobian_to_coefficients, copy, factor_gram, subtract_normal, upper_jacobian_gram
from .lapack import cholesky_solve, gemm
from .lines import LANES, load, multiply_add, rooms, spread, start, store
from .options import jit_bare
from .pointers import SECOND_ORDER, second_order_at


class Frame(NamedTuple):
    """Constants of an integration, made once from the data.

    `R_hat` (n + p, r + p); `left` (n, r), an orthonormal basis of the columns of R; `inverse` (n, r), which turns
    images into parameters; `condition` of R; `wide`, for independent samples: blocks are kept as images of coefficients
    (n + p square), else in parameters (r + p square), where I + c D is well conditioned however large c is; `shifted` =
    (G^{-1} - shift)^{-1}, padded, see `blocks`; `largest`: largest eigenvalue of R_hat R_hat^T over all units' shares.
    """

    R_hat: np.ndarray
    left: np.ndarray
    inverse: np.ndarray
    condition: float
    wide: bool
    shifted: np.ndarray
    shift: float
    largest: float


class Stages(NamedTuple):
    """Stages as coefficients and images, (k, m, n + p) each; image of the step's start and V there; scratch."""

    coefficients: np.ndarray
    images: np.ndarray
    start: np.ndarray
    value: np.ndarray
    trial: np.ndarray
    combined: np.ndarray


def new_stages(k, m, n, p):
    """Room for k stages."""
    one = (m, n + p)
    return Stages(*rooms((k, *one), (k, *one), one, one, one, one))


@jit_bare
def gather(factor, t, out):
    """Coefficients (m, n + p) of factor sum_i A_i^T t_ji, t (1 + p, m, n): own parts are summed over the samples."""
    n = t.shape[2]
    if t.shape[0] == 1:
        set_multiple(factor, t[0], out)
        return
    for j in range(t.shape[1]):
        for i in range(n):
            out[j, i] = factor * t[0, j, i]
        for q in range(1, t.shape[0]):
            total = 0.0
            for i in range(n):
                total += t[q, j, i]
            out[j, n + q - 1] = factor * total


@jit_bare
def image_of_coefficients(b, G, out):
    """b R_hat R_hat^T, by one product with the Gram matrix."""
    n = G.shape[0]
    gemm(False, False, 1.0, b[:, :n], G, 0.0, out[:, :n])
    copy(b[:, n:], out[:, n:])


@jit_bare
def parameters(b, R, out):
    """b R_hat: the parameters (m, r + p) with coefficients b."""
    n, r = R.shape
    gemm(False, False, 1.0, b[:, :n], R, 0.0, out[:, :r])
    copy(b[:, n:], out[:, r:])


@jit_bare
def field(image, problem, frame, work, omega, refine, out):
    """Coefficients of V = -grad F - omega J^T K^{-1} (f - y) at the parameters with that image; returns (F, info).

    The second term vanishes on M. Near it, it pulls back the stages of a step, which leave M by the square of the
    step's length; without it long implicit steps are unstable. With `refine` what rounding left of the normal part is
    taken out a second time, for points near stationarity. Leaves f, g, alpha, lam and the factor of K in work.
    """
    n = problem.G.shape[0]
    z = image
    if image.shape[1] > n:
        z = work.z
        copy(image[:, :n], z)
    F = second_order_at(problem.unit[SECOND_ORDER])(
        z, image[:, n:], problem.s, problem.a, work.f, work.g, work.alpha
    )  # fmt: skip
    upper_jacobian_gram(work.g, problem.G, work.K)
    apply_jacobian_to_coefficients(work.g, work.alpha, problem.G, work.image, work.lam[0])
    for i in range(n):
        work.lam[0, i] -= omega * (work.f[i] - problem.y[i])
    info = factor_gram(work.K)
    if info == 0:
        cholesky_solve(work.K, work.lam)
        subtract_normal(work.alpha, work.g, work.lam[0])
        _gather_tangent(problem, frame, work, omega, refine, out)
    return F, info


@jit_bare
def _gather_tangent(problem, frame, work, omega, refine, out):
    """Coefficients of minus what work.alpha stands for, without idle part; its normal part is taken out on demand."""
    drop_idle_part(work.alpha[0], frame, work.t[0])
    if refine:
        _level_own_parts(work.alpha)
        _project_again(problem, work, omega)
    gather(-1.0, work.alpha, out)


@jit_bare
def _level_own_parts(t):
    """Only the sum over samples of an own parameter's coefficients counts: spread it, so that no large terms cancel."""
    for q in range(1, t.shape[0]):
        for j in range(t.shape[1]):
            total = 0.0
            for i in range(t.shape[2]):
                total += t[q, j, i]
            for i in range(t.shape[2]):
                t[q, j, i] = total / t.shape[2]


@jit_bare
def _project_again(problem, work, omega):
    """Take out of work.alpha what rounding left of its normal part, with the factor of K in work.K."""
    apply_jacobian_to_coefficients(work.g, work.alpha, problem.G, work.image, work.scratch[0])
    for i in range(problem.y.shape[0]):
        work.scratch[0, i] -= omega * (work.f[i] - problem.y[i])
    cholesky_solve(work.K, work.scratch)
    subtract_normal(work.alpha, work.g, work.scratch[0])


@jit_bare
def scale(array, factor):
    """array *= factor for a contiguous array."""
    flat = array.reshape(array.size)
    for k in range(flat.size):
        flat[k] *= factor


@jit_bare
def add_combination(base, factor, weights, arrays, out):
    """out = base + factor sum_k weights_k arrays_k; `out` may be `base`. A fourth of a tableau's weights are 0."""
    B, A, w, result = start(base), start(arrays), start(weights), start(out)
    size, i = out.size, 0
    while i + 4 * LANES <= size:
        s0 = s1 = s2 = s3 = spread(0.0)
        at = i
        for k in range(weights.shape[0]):
            if w[k] != 0.0:
                weight = spread(w[k])
                s0, s1 = multiply_add(weight, load(A, at), s0), multiply_add(weight, load(A, at + LANES), s1)
                s2 = multiply_add(weight, load(A, at + 2 * LANES), s2)
                s3 = multiply_add(weight, load(A, at + 3 * LANES), s3)
            at += size
        store(result, i, load(B, i) + factor * s0)
        store(result, i + LANES, load(B, i + LANES) + factor * s1)
        store(result, i + 2 * LANES, load(B, i + 2 * LANES) + factor * s2)
        store(result, i + 3 * LANES, load(B, i + 3 * LANES) + factor * s3)
        i += 4 * LANES
    while i < size:
        total, at = 0.0, i
        for k in range(weights.shape[0]):
            total += w[k] * A[at]
            at += size
        result[i] = B[i] + factor * total
        i += 1


@jit_bare
def combine(factor, weights, arrays, out):
    """out = factor sum_k weights_k arrays_k."""
    out[:] = 0.0
    add_combination(out, factor, weights, arrays, out)


@jit_bare
def start_stages(W, problem, frame, work, stages, refine):
    """The starting image and V there, from what `gradient` left in the workspace at W, on M."""
    n, r = problem.R.shape
    copy(work.z, stages.start[:, :n])
    copy(W[:, r:], stages.start[:, n:])
    _gather_tangent(problem, frame, work, 0.0, refine, stages.value)


@jit_bare
def drop_idle_part(b, frame, scratch):
    """Take out of coefficients what R_hat maps to zero, for dependent samples.

    It does not change the parameters, but does not vanish where they are stationary, and its rounding would not either.
    """
    n, r = frame.left.shape
    if r < n:
        gemm(False, False, 1.0, b[:, :n], frame.left, 0.0, scratch[:, :r])
        gemm(False, True, 1.0, scratch[:, :r], frame.left, 0.0, b[:, :n])


@jit_bare
def evaluate_stage(stages, k, problem, frame, work, omega, refine):
    """Stage k = V at stages.trial; returns False where it is not finite or J J^T singular."""
    F, info = field(stages.trial, problem, frame, work, omega, refine, stages.coefficients[k])
    return info == 0 and np.isfinite(F)
