"""The correction of S14: what label-noise SGD of a step size that is not small follows, for every way to draw samples
whose steps are independent of each other.

Write e = f - y to first order in the distance from M, h = 2 eta / n (2 eta for the full batch) and K = J J^T. The mean
step within M at scattered points is a sum of H_i J_k^T weighted by the response R = S K over its value at small steps,
with S the stationary covariance of the iterates across M in the frame of J^T. For steps of size 0, R = I and the sum is
the gradient of F; `docs/sgd.md` has the derivation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from ..compiled import geometry
from ..compiled.lines import square
from ..errors import GeometryError, InputError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, one_of, positive_integer, positive_number, real_array

_SAMPLINGS = ("replacement", "distinct")  # steps of "epochs" depend on each other
_SINGULAR = (
    "J J^T is singular to rounding for the correction (samples that almost repeat others, or a tiny step size with "
    "badly conditioned data): M need not be a manifold there. Remove such samples, or use `gradient`."
)


@reproducible
def finite_step_sharpness(manifold: ZeroLossManifold, theta: ArrayLike, step_size: float) -> float:
    """The function that full-batch label noise of step size eta descends, in place of the sharpness F:

        F_eta = -(2 / eta) log det(I - eta K),   K = J J^T;   F_eta -> 2 tr K = F as eta -> 0.

    An eigenvalue lambda = 2 kappa of the loss's Hessian, kappa one of K, acts on the drift with 2 / (2 - eta lambda)
    times its share in F: across M the iterates scatter with variance eta sigma^2 / (1 - eta kappa), not eta sigma^2.
    With momentum beta it is F_eta' with eta' = eta / (1 + beta). Steps on some of the samples descend no function in
    general: see `finite_step_gradient`. `theta` (m, d + p), a point of M.

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
    kappa = np.linalg.eigvalsh(square(work.K))
    _require_stable(eta * kappa[-1], eta, "full-batch steps must be below 2 / lambda_max", 1.0 / kappa[-1])
    return float(-2.0 / eta * np.sum(np.log1p(-eta * kappa)))


@reproducible
def finite_step_gradient(
    manifold: ZeroLossManifold, theta: ArrayLike, step_size: float, *, batch_size: int | str = "full",
    sampling: str = "replacement", momentum: float = 0.0,
) -> Array:  # fmt: skip
    """What SGD of step size eta follows in place of the gradient of F, (m, d + p) float64, on the scheme's own clock:

        P_T (sum_i A_i^T alpha_ji),   alpha_ji = 4 H_ji sum_k R_ki S_ik g_jk,   S_ik = A_i A_k^T

    with the response R of the scheme, R = I + O(eta). Full batch: R = (I - eta K / (1 + beta))^{-1}, and this is the
    gradient of `finite_step_sharpness`. Other batches: from the stationary second moments of the linearised steps,
    which solve an n x n Lyapunov equation for each scheme; R is not symmetric then, and the field in general no
    gradient. Exact in eta as the noise's size goes to 0.

    `batch_size`, `sampling` ("replacement" or "distinct") and `momentum` as in `label_noise_sgd`. The correction is not
    given for "epochs", whose steps depend on each other.

    Raises `InputError` for a scheme outside its domain and for a step size at which the second moments grow;
    `GeometryError` off M. Source: S14 for the full batch; `docs/sgd.md` for the others.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), [[1.0, 0.0], [0.0, 1.0]], [2.0, 1.0])
    >>> theta = man.random_point(rng=0)
    >>> for options in ({}, {"batch_size": 1}, {"batch_size": 2, "sampling": "distinct", "momentum": 0.5}):
    ...     print(np.allclose(finite_step_gradient(man, theta, 1e-12, **options), man.gradient(theta)))
    True
    True
    True
    """
    W, eta = _checked(manifold, theta, step_size)
    return manifold.coordinates.expand(_gradient(manifold, W, eta, _scheme(manifold, batch_size, sampling, momentum)))


@reproducible
def finite_step_flow(
    manifold: ZeroLossManifold, theta: ArrayLike, t: ArrayLike, step_size: float, rtol: float = 1e-9, *,
    batch_size: int | str = "full", sampling: str = "replacement", momentum: float = 0.0,
) -> Array:  # fmt: skip
    """Points of the corrected flow dTheta/dt = -`finite_step_gradient` that starts at `theta`, (k, m, d + p), at the
    times `t`.

    `t` (k,) ascending, >= 0, in the units of `sharpness_flow`: SGD's `sharpness_flow_time`. By SciPy's DOP853 with
    relative tolerance `rtol`; the points are then projected onto M. The other options are those of
    `finite_step_gradient`.

    Raises `InputError` for times that do not ascend from 0 on and as `finite_step_gradient`; `GeometryError` where
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
    scheme = _scheme(manifold, batch_size, sampling, momentum)
    times = real_array("t", t, ndim=1)
    if times.size == 0 or times[0] < 0.0 or np.any(np.diff(times) <= 0.0):
        raise InputError("t must hold at least one time, ascend strictly and start at 0 or later.")
    end = float(times[-1])
    points = W.ravel()[:, None]
    if end > 0.0:
        found = solve_ivp(
            lambda _, w: -_gradient(manifold, w.reshape(W.shape), eta, scheme).ravel(),
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


def _gradient(manifold: ZeroLossManifold, W: Array, eta: float, scheme: _Scheme) -> Array:
    problem, work = manifold.problem, _at(manifold, W)
    response = scheme.response(square(work.K), eta)
    weighted = work.g @ response  # sum_k R_ki g_jk for the own parameters, where S_ik = 1
    weighted[0] = work.g[0] @ (response * square(problem.G))
    alpha = 4.0 * np.einsum("qrji,rji->qji", work.H, weighted)
    out = np.empty_like(W)
    geometry.assemble(alpha, problem.R, out)
    return manifold.along_tangent(W, out)


# --- the response of a scheme -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Scheme:
    """How a step draws its samples: `batch` of n (n for all of them, with the gradient of the sum), and momentum.

    `rank` of K = J J^T: the errors e of equal samples are equal, and what does not occur needs no response.
    """

    n: int
    rank: int
    batch: int
    distinct: bool
    full: bool
    momentum: float

    def response(self, K: Array, eta: float) -> Array:
        """R (n, n): S K over its value at small steps, sigma^2 eta / (b (1 - beta)), b = 1 for the full batch."""
        kappa, U = np.linalg.eigh(K)
        kappa, U = kappa[-self.rank :], U[:, -self.rank :]
        if self.full:
            top = eta * kappa[-1] / (1.0 + self.momentum)
            _require_stable(top, eta, "full-batch steps must be below 2 / lambda_max", eta / top)
            return np.asarray((U / (1.0 - eta / (1.0 + self.momentum) * kappa)) @ U.T)
        # Slower decay than rounding of the steps' own matrices cannot be told from none.
        if not min(1.0, 2.0 * eta / self.n * kappa[-1]) * kappa[0] > 8.0 * self.n * np.finfo(float).eps * kappa[-1]:
            raise GeometryError(_SINGULAR)
        gain = self._gain(kappa, 2.0 * eta / self.n)
        D = self._noise(gain, kappa, U, eta)
        S = U @ (gain * (U.T @ (D[:, None] * U))) @ U.T
        return S @ K * (self.batch * (1.0 - self.momentum) / eta)

    def _gain(self, kappa: Array, h: float) -> Array:
        """S_ab / D_ab in the eigenvectors of K, from the second moments M of (e_a, v_a) and (e_b, v_b), v the velocity:
        M = A_a M A_b^T + the step's own variance. Without momentum this is, with c = `_excess` / b,

            S_ab = (2 eta / b) D_ab / (kappa_a + kappa_b - (1 - c) h kappa_a kappa_b).
        """
        beta, ones = self.momentum, np.ones_like(kappa)
        step = np.array([[1.0 - h * kappa, beta * ones], [-h * kappa, beta * ones]])  # A_a: (e, v) after the mean step
        pairs = np.einsum("ija,klb->abikjl", step, step).reshape(kappa.size, kappa.size, 4, 4)
        # A batch's gradient varies by what it has not averaged: the sampled part of the second moment of e.
        pairs[..., :, 0] -= (self._excess / self.batch * h**2 * np.outer(kappa, kappa))[..., None]
        moments = np.linalg.solve(np.eye(4) - pairs, np.ones((kappa.size, kappa.size, 4, 1)))
        return np.asarray(h**2 * self.n / self.batch * moments[..., 0, 0])

    @property
    def _excess(self) -> float:
        """b times the variance of a batch's mean, as a share of the variance between samples."""
        return (self.n - self.batch) / (self.n - 1) if self.distinct and self.n > 1 else 1.0

    def _noise(self, gain: Array, kappa: Array, U: Array, eta: float) -> Array:
        """D (n,): second moment of (f_i - y_i - xi_i) at a use of sample i, for xi of variance 1.

        The outputs' own scatter V_ii adds to the labels' noise, and is linear in D.
        """
        share = np.empty((self.n, self.n))  # of the noise at k in the scatter of output i
        for i, row in enumerate(U):
            weights = U * (row * kappa)
            share[i] = self._excess * np.sum((weights @ gain) * weights, axis=1)
        settles = bool(np.all(np.diag(gain) > 0.0))
        growth = float(np.abs(np.linalg.eigvals(share)).max()) if settles else np.inf
        rule = "the outputs' variance grows; for one sample a step the bound is 1 / max_i K_ii"
        _require_stable(growth, eta, rule, float(1.0 / (U**2 @ kappa).max()))
        return np.asarray(np.linalg.solve(np.eye(self.n) - share, np.ones(self.n)))


def _scheme(manifold: ZeroLossManifold, batch_size: int | str, sampling: str, momentum: float) -> _Scheme:
    beta = positive_number("momentum", momentum, allow_zero=True)
    if beta >= 1.0:
        raise InputError(f"momentum must be in [0, 1); got {momentum!r}.")
    distinct = one_of("sampling", sampling, _SAMPLINGS) == "distinct"
    full = isinstance(batch_size, str)
    if full:
        one_of("batch_size", batch_size, ("full",))
    batch = manifold.n if full else positive_integer("batch_size", batch_size)
    if distinct and batch > manifold.n:
        raise InputError(f"batch_size must be at most n = {manifold.n} with sampling='distinct'; got {batch}.")
    return _Scheme(manifold.n, manifold.distinct.n, batch, distinct, full, beta)


def _require_stable(growth: float, eta: float, rule: str, bound: float) -> None:
    if not growth < 1.0:
        raise InputError(f"step_size = {eta:.3g} is not stable here: {rule} = {bound:.3g}. Take a smaller one.")
