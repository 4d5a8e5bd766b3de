"""Elements of the data's span by their coefficients: the form in which both integrators evaluate the flow's field.

A coefficient array b (m, n + p) stands for the parameters b R_hat, R_hat = blockdiag(R, I_p) of shape (n + p, r + p): a
number for every unit and sample, and the unit's own part. The image of parameters W is W R_hat^T, (m, n + p): their
pre-activations and own parts. The field needs only images and gives coefficients, so that a stage takes one product
with the Gram matrix where parameters would take two products with the data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .geometry import apply_jacobian_to_coefficients, factor_gram, jacobian_gram, preactivations, subtract_normal
from .lapack import cholesky_solve, gemm
from .options import jit
from .pointers import SECOND_ORDER, second_order_at


class Frame(NamedTuple):
    """Constants of an integration, made once from the data.

    `R_hat` (n + p, r + p); `wide`: blocks are kept as images of coefficients (n + p square), else in parameters (r + p
    square), which is smaller where n is much larger than r; `shifted` = (G^{-1} - shift)^{-1}, see `blocks`;
    `largest`: largest eigenvalue of R_hat R_hat^T over all units' shares.
    """

    R_hat: np.ndarray
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


@jit
def new_stages(k, m, n, p):
    """Room for k stages."""
    return Stages(
        np.empty((k, m, n + p)), np.empty((k, m, n + p)), np.empty((m, n + p)), np.empty((m, n + p)),
        np.empty((m, n + p)), np.empty((m, n + p)),
    )  # fmt: skip


@jit
def gather(t, out):
    """Coefficients (m, n + p) of sum_i A_i^T t_ji from t (1 + p, m, n): own parts are summed over the samples."""
    n = t.shape[2]
    for j in range(t.shape[1]):
        for i in range(n):
            out[j, i] = t[0, j, i]
        for q in range(1, t.shape[0]):
            total = 0.0
            for i in range(n):
                total += t[q, j, i]
            out[j, n + q - 1] = total


@jit
def image_of_parameters(W, R, out):
    """W R_hat^T."""
    n, r = R.shape
    preactivations(W, R, out[:, :n])
    out[:, n:] = W[:, r:]


@jit
def image_of_coefficients(b, G, out):
    """b R_hat R_hat^T, by one product with the Gram matrix."""
    n = G.shape[0]
    gemm(False, False, 1.0, b[:, :n], G, 0.0, out[:, :n])
    out[:, n:] = b[:, n:]


@jit
def parameters(b, R, out):
    """b R_hat: the parameters (m, r + p) with coefficients b."""
    n, r = R.shape
    gemm(False, False, 1.0, b[:, :n], R, 0.0, out[:, :r])
    out[:, r:] = b[:, n:]


@jit
def field(image, problem, work, omega, out):
    """Coefficients of -V = grad F + omega J^T K^{-1} (f - y) at the parameters with that image; returns (F, info).

    The second term vanishes on M. Near it, it pulls back the stages of a step, which leave M by the square of the
    step's length; without it long implicit steps are unstable. Leaves z, f, g, alpha, lam and the factor of K in work.
    """
    n = problem.G.shape[0]
    for j in range(image.shape[0]):
        for i in range(n):
            work.z[j, i] = image[j, i]
    F = second_order_at(problem.unit[SECOND_ORDER])(
        work.z, image[:, n:], problem.s, problem.a, work.f, work.g, work.alpha
    )  # fmt: skip
    jacobian_gram(work.g, problem.G, work.K)
    apply_jacobian_to_coefficients(work.g, work.alpha, problem.G, work.C, work.lam[0])
    for i in range(n):
        work.lam[0, i] -= omega * (work.f[i] - problem.y[i])
    info = factor_gram(work.K)
    if info == 0:
        cholesky_solve(work.K, work.lam)
        subtract_normal(work.alpha, work.g, work.lam[0])
        gather(work.alpha, out)
    return F, info


@jit
def add_scaled(out, factor, array):
    """out += factor * array for contiguous arrays of the same shape, without a temporary."""
    target, source = out.reshape(out.size), array.reshape(array.size)
    for k in range(target.size):
        target[k] += factor * source[k]


@jit
def scale(array, factor):
    """array *= factor for a contiguous array."""
    flat = array.reshape(array.size)
    for k in range(flat.size):
        flat[k] *= factor


@jit
def combine(weights, arrays, out):
    """out = sum_k weights_k arrays_k."""
    out[:] = 0.0
    for k in range(weights.shape[0]):
        if weights[k] != 0.0:
            add_scaled(out, weights[k], arrays[k])


@jit
def start_stages(W, problem, work, stages):
    """The starting image and V there, from what `gradient` left in the workspace at W."""
    n, r = problem.R.shape
    stages.start[:, :n] = work.z
    stages.start[:, n:] = W[:, r:]
    gather(work.alpha, stages.value)
    scale(stages.value, -1.0)


@jit
def evaluate_stage(stages, k, problem, work, omega):
    """Stage k = V at stages.trial; returns False where it is not finite or J J^T singular."""
    F, info = field(stages.trial, problem, work, omega, stages.coefficients[k])
    if info != 0 or not np.isfinite(F):
        return False
    scale(stages.coefficients[k], -1.0)
    return True
