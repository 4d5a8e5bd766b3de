"""The flattest point of the manifold: by the scalar equations of S13 where they apply, else by following the flow."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult

from .assumptions import no_flatter_range, reduced_constants
from .errors import AssumptionWarning, ProjectionError
from .flow import sharpness_flow
from .manifold import ZeroLossManifold
from .reproducible import reproducible
from .validation import Array, instance


@reproducible
def flattest_point(manifold: ZeroLossManifold, theta0: ArrayLike | None = None) -> OptimizeResult:
    """The point of M where the sharpness F is smallest.

    With phi', phi''' > 0 and independent samples F is strictly convex in the outputs of the units (S13), so the minimum
    is unique up to directions orthogonal to the data and solves one monotone equation a sample,
    sum_j a_j phi((phi'')^{-1}(k_i / a_j)) = y_i. It is then global, and `result.is_global` says so: A1 was seen to hold
    wherever |phi'| is small enough for an equally flat point (on a grid over |z| <= 1e8, which is not rigorous).
    Otherwise the flow is followed from theta0 to a stationary point, which may be a local minimum only.

    Args:
        manifold: the zero-loss manifold.
        theta0: where the flow starts, and what the part orthogonal to the data is taken from (None: a random point of
            seed 0, and no orthogonal part).

    Returns:
        SciPy's `OptimizeResult` with x (m, d + p), fun (F), jac (Riemannian gradient), gradient_norm, success, status,
        message, is_global.

    Source: S1, S2, S10, S13.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), data.X, data.y)
    >>> found = flattest_point(man)
    >>> found.is_global, bool(found.gradient_norm < 1e-12)
    (True, True)
    """
    instance("manifold", manifold, ZeroLossManifold)
    start = None if theta0 is None else manifold.point("theta0", theta0)
    Z = _scalar_equations(manifold)
    if Z is None:
        return _follow_flow(manifold, start)
    W = manifold.coordinates.weights_from_preactivations(Z)
    failure = manifold.newton(W)
    if failure is not None:
        raise ProjectionError(failure)
    theta = manifold.coordinates.expand(W)
    if start is not None:
        theta += manifold.coordinates.orthogonal_part(start)
    return _result(manifold, theta, True, "Global minimum: the scalar equations of S13 have one solution.", True)


def _scalar_equations(manifold: ZeroLossManifold) -> Array | None:
    """Flattest pre-activations (m, n) by S13, or None where its hypotheses do not hold around them."""
    if manifold.network.unit.phi is None or manifold.mu == 0.0:
        return None
    Z = _solve_multipliers(manifold)
    if Z is None:
        return None
    constants = reduced_constants(manifold, manifold.coordinates.weights_from_preactivations(Z))
    proved = constants.confined and "A1" not in constants.failing and no_flatter_range(manifold, constants)
    return Z if proved else None


def _solve_multipliers(manifold: ZeroLossManifold) -> Array | None:
    """Newton's method on (z, k) for a_j phi''(z_ji) = k_i, sum_j a_j phi(z_ji) = y_i, by continuation in y from z =
    z_0.

    The system is that of a strictly convex problem: dz/dk = 1/(a phi'''), df/dk = sum_j phi'/phi''' > 0.
    """
    Z = _common_start(manifold)
    if Z is None:
        return None
    labels = np.sum(manifold.a * _phi(manifold, Z)[0], axis=0)
    fraction, step = 0.0, 1.0
    while fraction < 1.0:
        target = labels + min(fraction + step, 1.0) * (manifold.y - labels)
        trial = _newton(manifold, Z, target)
        if trial is None:
            step *= 0.5
            if step < 1e-6:
                return None
        else:
            Z, fraction, step = trial, min(fraction + step, 1.0), min(2.0 * step, 1.0)
    return Z


def _common_start(manifold: ZeroLossManifold) -> Array | None:
    """A point of the solution curve: phi''(z) = 0 for all units; for equal weights z near 0 will do."""
    grid = np.linspace(-10.0, 10.0, 2001)
    table = manifold.kernel.table(grid)
    ok = np.isfinite(table).all(axis=0) & (table[1] > 0) & (table[3] > 0)
    if not ok.any():
        return None
    constant_weights = np.all(manifold.a == manifold.a[0])
    candidates = np.where(ok, np.abs(table[2]) if not constant_weights else np.abs(grid), np.inf)
    return np.full(manifold.a.shape, grid[int(np.argmin(candidates))])


def _newton(manifold: ZeroLossManifold, Z: Array, target: Array) -> Array | None:
    """Newton's method for the labels `target` from the features Z; None when it does not converge."""
    a = manifold.a
    Z = Z.copy()
    k = np.mean(a * _phi(manifold, Z)[2], axis=0)
    for _ in range(50):
        phi, slope, second, third = _phi(manifold, Z)
        if not (np.isfinite(phi).all() and np.all(third > 0) and np.all(slope > 0)):
            return None
        stiffness = 1.0 / (a * third)
        mismatch = a * second - k
        dk = (target - np.sum(a * phi, axis=0) + np.sum(a * slope * stiffness * mismatch, axis=0)) / np.sum(
            slope / third, axis=0
        )
        dZ = stiffness * (dk - mismatch)
        Z, k = Z + dZ, k + dk
        if np.max(np.abs(dZ)) <= 4e-15 * (1.0 + np.max(np.abs(Z))):
            return Z
    converged = np.max(np.abs(dZ)) <= 1e-11 * (1.0 + np.max(np.abs(Z)))
    return Z if converged else None


def _phi(manifold: ZeroLossManifold, Z: Array) -> Array:
    return manifold.kernel.table(Z.ravel()).reshape(4, *Z.shape)


def _follow_flow(manifold: ZeroLossManifold, start: Array | None) -> OptimizeResult:
    theta = manifold.random_point(rng=0) if start is None else start
    with warnings.catch_warnings():
        # The result says itself that it is local only.
        warnings.simplefilter("ignore", AssumptionWarning)
        solution = sharpness_flow(manifold, theta, rtol=1e-6, atol=1e-8, method="implicit", dense_output=False)
    message = f"{solution.message} A local statement: S13 does not apply, other stationary points may be flatter."
    return _result(manifold, solution.theta[-1], solution.status == "stationary", message, False)


def _result(manifold: ZeroLossManifold, theta: Array, success: bool, message: str, is_global: bool) -> OptimizeResult:
    gradient = manifold.gradient(theta)
    norm = float(np.linalg.norm(gradient))
    return OptimizeResult(
        x=theta, fun=manifold.sharpness(theta), jac=gradient, gradient_norm=norm, success=success,
        status=0 if success else 1, message=message, is_global=is_global,
    )  # fmt: skip
