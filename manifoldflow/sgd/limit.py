"""Where the noiseless gradient flow takes a point: the pull-back of an SGD iterate to the zero-loss manifold."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..compiled import geometry
from ..compiled.lines import square
from ..errors import GeometryError, InputError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, positive_number, real_array

_COLUMNS = 6  # of the extrapolation: the order, 21 evaluations a step
_MAX_STEPS = 5000
_FINEST = 1e-12  # rtol; below, rounding decides
_GROWTH = 10.0
_IDLE_STEPS = 300  # in which the distance does not fall by a tenth: what is left is rounding of a singular J J^T
_SERIES = 1e-7  # below, 1 - phi_1 is its first term to rounding


@reproducible
def gradient_flow_limit(manifold: ZeroLossManifold, theta: ArrayLike, rtol: float = 1e-9) -> Array:
    """Limit of the noiseless gradient flow dTheta/ds = -grad L from `theta`: where SGD without noise would end.

        Phi(Theta) = lim_{s -> oo} Theta(s),   dTheta/ds = -2 J^T (f - y)

    Parameters: `theta` (m, d + p), any point, on the manifold or not; `rtol`, the error allowed in a step as a share of
    |theta|, from 1e-12 on. Returns a point of M, (m, d + p) float64. It does not depend on the step size or
    on how batches are drawn.

    Limit theorems for SGD compare this point with the flow, not the nearest point of M or the end of Newton's
    projection (`ZeroLossManifold.nearest_point`): all are Theta - J^T K^{-1} (f - y) to first order in f - y, and they
    differ, along M, in the second.

    Raises `InputError` for a wrong shape, a number that is not finite or an `rtol` outside [1e-12, 0.1];
    `GeometryError` where the flow does not come to M in 5000 steps, or 300 of them bring it no closer, as from a point
    where J J^T is singular.

    Source: Li, Wang and Arora (2022), the limit map of gradient flow; `docs/sgd.md`.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), [[1.0, 0.0], [0.0, 1.0]], [2.0, 1.0])
    >>> theta = man.random_point(rng=0)
    >>> limit = gradient_flow_limit(man, theta + 0.1)
    >>> bool(abs(man.residual(limit)).max() < 1e-12)
    True
    >>> 0.0 < float(np.linalg.norm(limit - man.nearest_point(theta + 0.1))) < 0.01
    True
    """
    manifold = manifold.distinct
    start = real_array("theta", theta, shape=manifold.shape)
    rtol = positive_number("rtol", rtol)
    if not _FINEST <= rtol <= 0.1:
        raise InputError(f"rtol must be from {_FINEST:g} to 0.1; got {rtol:g}.")
    W = manifold.coordinates.reduce(start)
    tolerance = rtol * (1.0 + float(np.linalg.norm(W)))
    with np.errstate(over="ignore", invalid="ignore"):  # a path that runs away ends as one that did not arrive
        W = _follow(manifold, W, tolerance)
    failure = manifold.newton(W)
    if failure is not None:
        raise GeometryError(failure)
    return manifold.coordinates.expand(W) + manifold.coordinates.orthogonal_part(start)


def _follow(manifold: ZeroLossManifold, W: Array, tolerance: float) -> Array:
    """Follow the gradient flow until a Newton step to M is below the tolerance."""
    step, best, idle = 0.0, np.inf, 0
    for _ in range(_MAX_STEPS):
        linear = _Linearised(manifold, W)
        idle = 0 if linear.distance < 0.9 * best else idle + 1
        best = min(best, linear.distance)
        if not np.isfinite(linear.distance) or idle > _IDLE_STEPS:
            break
        if linear.distance <= tolerance:
            return W
        step = min(step or 0.5 / linear.largest_rate, linear.longest_step)
        while True:
            end, error = _extrapolated(linear, W, step)
            share = error / tolerance
            factor = _GROWTH if share == 0.0 else 0.8 * share ** (-1.0 / _COLUMNS)
            # An estimate that is not a number comes from a step that was far too long.
            taken, step = step, step * float(np.clip(np.nan_to_num(factor), 0.1, _GROWTH))
            if share <= 1.0:
                W = end
                break
            if taken * linear.largest_rate < 1e-12:
                break
        if share > 1.0 or not np.isfinite(share):
            break
    raise GeometryError(
        f"The gradient flow from this point did not come to the manifold: a Newton step to it is still "
        f"{linear.distance:.1e} long, allowed {tolerance:.1e}. J J^T may be singular on the way; start closer to M."
    )


def _extrapolated(linear: _Linearised, W: Array, step: float) -> tuple[Array, float]:
    """One step by extrapolating exponential Euler with 1, 2, ... substeps (Aitken-Neville), and its error estimate.

    J J^T is frozen at the start of the step. What the frozen part leaves out costs no stability, because it vanishes
    with f - y, and no order, because the error of a substep still expands in powers of its length.
    """
    previous: list[Array] = []
    for k in range(1, _COLUMNS + 1):
        current = [linear.substeps(W, step / k, k)]
        for j, coarser in enumerate(previous, start=1):
            current.append(current[-1] + (current[-1] - coarser) / (k / (k - j) - 1.0))
        previous = current
    return previous[-1], float(np.linalg.norm(previous[-1] - previous[-2]))


class _Linearised:
    """The field -2 J^T (f - y), and exponentials of its linear part -2 J0^T J0, by the eigenvectors of K0 = J0 J0^T."""

    def __init__(self, manifold: ZeroLossManifold, W: Array) -> None:
        self.problem, self._work, self._rank = manifold.problem, manifold.workspace(), manifold.coordinates.rank
        self._frame = manifold.workspace()
        geometry.residual(W, self.problem, self._frame)
        geometry.jacobian_gram(self._frame.g, self.problem.G, self._frame.K)
        K = square(self._frame.K)
        self.distance = float("inf")
        if not np.all(np.isfinite(K)) or not K.any():
            return
        values, self._vectors = np.linalg.eigh(K)
        # What is negative or tiny by rounding: such directions of f - y do not move.
        self._values = np.maximum(values, len(values) * np.finfo(float).eps * values[-1])
        self.largest_rate = float(2.0 * values[-1])
        self.longest_step = float(50.0 / self._values[0])  # the slowest direction shrinks by exp(-100)
        along = self._vectors.T @ (self._frame.f - self.problem.y)
        self.distance = float(np.linalg.norm(along / np.sqrt(self._values)))

    def substeps(self, W: Array, h: float, count: int) -> Array:
        """Exponential Euler: W <- W + h phi_1(-2 h J0^T J0) V(W), so often."""
        x = 2.0 * h * self._values
        lost = np.where(x < _SERIES, 0.5 * x, 1.0 + np.expm1(-x) / x)  # 1 - phi_1(-x)
        for _ in range(count):
            V = self._field(W)
            along = self._vectors @ ((lost / self._values) * (self._vectors.T @ self._apply_jacobian(V)))
            W = W + h * (V - self._apply_transpose(self._frame.g, along))
        return W

    def _field(self, W: Array) -> Array:
        geometry.residual(W, self.problem, self._work)
        return self._apply_transpose(self._work.g, -2.0 * (self._work.f - self.problem.y))

    def _apply_transpose(self, g: Array, weights: Array) -> Array:
        out = np.empty((g.shape[1], self._rank + g.shape[0] - 1))
        geometry.assemble(g * weights, self.problem.R, out)
        return out

    def _apply_jacobian(self, U: Array) -> Array:
        out = np.empty(len(self.problem.y))
        geometry.preactivations(U, self.problem.RT, self._work.z)
        geometry.apply_jacobian(self._frame.g, self._work.z, U[:, self._rank :], out)
        return out
