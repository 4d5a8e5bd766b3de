"""What label-noise SGD of a step size that is not small descends: the correction of S14, for the full batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from ..compiled import geometry
from ..errors import GeometryError, InputError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, positive_number, real_array


@reproducible
def finite_step_sharpness(manifold: ZeroLossManifold, theta: ArrayLike, step_size: float) -> float:
    """The function that full-batch label noise of step size eta descends, in place of the sharpness F:

        F_eta = -(2 / eta) log det(I - eta K),   K = J J^T;   F_eta -> 2 tr K = F as eta -> 0.

    An eigenvalue lambda = 2 kappa of the loss's Hessian, kappa one of K, acts on the drift with 2 / (2 - eta lambda)
    times its share in F: across M the iterates scatter with variance eta sigma^2 / (1 - eta kappa), not eta sigma^2.
    For one sample the full batch is the single-sample step. `theta` (m, d + p), a point of M.

    Raises `InputError` for a step size that is not stable at `theta`, eta kappa >= 1, and `GeometryError` off M.

    Source: Damian, Ma and Lee (2021); S14.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), [[1.0, 0.0], [0.0, 1.0]], [2.0, 1.0])
    >>> theta = man.random_point(rng=0)
    >>> round(finite_step_sharpness(man, theta, 1e-9) / man.sharpness(theta), 6)
    1.0
    >>> finite_step_sharpness(man, theta, 0.01) > man.sharpness(theta)
    True
    """
    W, eta = _checked(manifold, theta, step_size)
    work = _at(manifold, W)
    return float(-2.0 / eta * np.sum(np.log1p(-eta * _stable_eigenvalues(work.K, eta))))


@reproducible
def finite_step_gradient(manifold: ZeroLossManifold, theta: ArrayLike, step_size: float) -> Array:
    """Riemannian gradient of `finite_step_sharpness`, (m, d + p) float64.

        P_T (sum_i A_i^T alpha_ji),   alpha_ji = 4 H_ji sum_k (I - eta K)^{-1}_ik S_ik g_jk,   S_ik = A_i A_k^T

    Raises and source as there.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), [[1.0, 0.0], [0.0, 1.0]], [2.0, 1.0])
    >>> theta = man.random_point(rng=0)
    >>> bool(np.allclose(finite_step_gradient(man, theta, 1e-12), man.gradient(theta)))
    True
    """
    W, eta = _checked(manifold, theta, step_size)
    return manifold.coordinates.expand(_gradient(manifold, W, eta))


@reproducible
def finite_step_flow(
    manifold: ZeroLossManifold, theta: ArrayLike, t: ArrayLike, step_size: float, rtol: float = 1e-9
) -> Array:
    """Points of the corrected flow dTheta/dt = -grad F_eta that starts at `theta`, (k, m, d + p), at the times `t`.

    `t` (k,) ascending, >= 0, in the units of `sharpness_flow`: SGD's `sharpness_flow_time`. By SciPy's DOP853 with
    relative tolerance `rtol`; the points are then projected onto M.

    Raises `InputError` for times that do not ascend from 0 on and as `finite_step_sharpness`; `GeometryError` where
    the integration does not reach the last time.

    Source: Damian, Ma and Lee (2021); S14.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), [[1.0, 0.0], [0.0, 1.0]], [2.0, 1.0])
    >>> theta = man.random_point(rng=0)
    >>> path = finite_step_flow(man, theta, [0.0, 0.01], 1e-9)
    >>> bool(np.allclose(path[-1], mf.sharpness_flow(man, theta, (0.0, 0.01)).theta[-1], rtol=1e-6))
    True
    """
    W, eta = _checked(manifold, theta, step_size)
    times = real_array("t", t, ndim=1)
    if times.size == 0 or times[0] < 0.0 or np.any(np.diff(times) <= 0.0):
        raise InputError("t must hold at least one time, ascend strictly and start at 0 or later.")
    end = float(times[-1])
    points = W.ravel()[:, None]
    if end > 0.0:
        found = solve_ivp(
            lambda _, w: -_gradient(manifold, w.reshape(W.shape), eta).ravel(),
            (0.0, end), W.ravel(), "DOP853", times, rtol=positive_number("rtol", rtol), atol=1e-12,
        )  # fmt: skip
        if not found.success:
            raise GeometryError(f"The corrected flow stopped before t = {end:g}: {found.message}")
        points = found.y
    return np.array([_on_manifold(manifold, point.reshape(W.shape), theta) for point in points.T])


def _on_manifold(manifold: ZeroLossManifold, W: Array, start: ArrayLike) -> Array:
    W = W.copy()
    failure = manifold.newton(W)
    if failure is not None:
        raise GeometryError(failure)
    return manifold.coordinates.expand(W) + manifold.coordinates.orthogonal_part(np.asarray(start, float))


def _checked(manifold: ZeroLossManifold, theta: ArrayLike, step_size: float) -> tuple[Array, float]:
    return manifold.coordinates.reduce(manifold.point("theta", theta)), positive_number("step_size", step_size)


def _at(manifold: ZeroLossManifold, W: Array) -> geometry.Workspace:
    """g, H and K at W."""
    work = manifold.workspace()
    geometry.residual(W, manifold.problem, work)
    work.lam[:] = 0.0  # of E, which depends on it, nothing is read
    geometry.curvature(W, manifold.problem, work)
    geometry.jacobian_gram(work.g, manifold.problem.G, work.K)
    return work


def _stable_eigenvalues(K: Array, eta: float) -> Array:
    values = np.linalg.eigvalsh(K)
    if not eta * values[-1] < 1.0:
        raise InputError(
            f"step_size = {eta:.3g} is not stable here: full-batch steps must be below 2 / lambda_max = "
            f"{1.0 / values[-1]:.3g}. Take a smaller one."
        )
    return np.asarray(values)


def _gradient(manifold: ZeroLossManifold, W: Array, eta: float) -> Array:
    problem, work = manifold.problem, _at(manifold, W)
    _stable_eigenvalues(work.K, eta)
    inverse = np.linalg.inv(np.eye(len(work.K)) - eta * work.K)
    weighted = work.g @ inverse  # sum_k P_ik g_jk for the own parameters, where S_ik = 1
    weighted[0] = work.g[0] @ (inverse * problem.G)
    alpha = 4.0 * np.einsum("qrji,rji->qji", work.H, weighted)
    out = np.empty_like(W)
    geometry.assemble(alpha, problem.R, out)
    if geometry.project(W, problem, work, out, out) != 0:
        raise GeometryError("J J^T is singular on the corrected flow: M need not be a manifold there.")
    return out
