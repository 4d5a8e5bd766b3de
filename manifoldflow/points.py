"""Finding points of the zero-loss manifold: random ones, and the one nearest to given parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .conditioning import dependent_rows
from .errors import ProjectionError
from .interpolation import is_diagonal
from .reach import features_in_domain
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

_ATTEMPTS = 12
_FAR_ATTEMPTS = 6  # from here on, features near the rank-one point


def random_point(manifold: ZeroLossManifold, stream: np.random.Generator, scale: float) -> Array:
    """See `ZeroLossManifold.random_point`."""
    for attempt in range(_ATTEMPTS):
        theta = _gaussian(manifold, stream, scale, 0.75**attempt)
        W = manifold.coordinates.reduce(theta)
        if attempt >= _FAR_ATTEMPTS and manifold.network.unit.phi is not None:
            Z = features_in_domain(manifold, stream, 0.5**attempt)
            W = manifold.coordinates.weights_from_preactivations(Z)
        if manifold.newton(W) is None:
            return manifold.compose(W, theta)
    raise ProjectionError(
        f"No zero-loss point was found from {_ATTEMPTS} random starts (scale {scale}): {_likely_cause(manifold)}"
    )


def _likely_cause(manifold: ZeroLossManifold) -> str:
    if is_diagonal(manifold):
        return (
            "J J^T may be singular everywhere, as where rows of X are dependent or every interpolator uses fewer "
            f"features than the n = {manifold.n} samples. `flattest_point` answers there too; or try another scale."
        )
    values = manifold.coordinates.singular_values
    return (
        f"the labels (max |y| = {np.abs(manifold.y).max():.3g}) may be out of reach of {manifold.m} units, or J J^T "
        f"singular; the {manifold.n} rows of X have rank {manifold.coordinates.rank} and singular values from "
        f"{values.min(initial=np.inf):.1e} to {values.max(initial=0.0):.1e}. {dependent_rows(manifold)}Use a wider "
        "network or another scale, rescale y, or remove samples that depend on others."
    )


def _gaussian(manifold: ZeroLossManifold, stream: np.random.Generator, scale: float, share: float) -> Array:
    """Parameters before they are moved onto M; `share` of the size is asked for after a failure."""
    d = manifold.coordinates.d
    theta = stream.normal(size=manifold.shape) * share
    theta[:, :d] *= scale / np.sqrt(max(float(manifold.problem.s.mean()), np.finfo(float).tiny))
    return theta if d else theta * scale


def nearest_point(manifold: ZeroLossManifold, target: Array) -> Array:
    """See `ZeroLossManifold.nearest_point`; in reduced coordinates."""
    W = target.copy()
    failure = manifold.newton(W)
    if failure is not None:
        raise ProjectionError(failure)
    scale, step = max(float(np.linalg.norm(target)), float(np.linalg.norm(W))), np.inf
    for _ in range(200):
        moved = manifold.along_tangent(W, target - W)
        previous, step = step, float(np.linalg.norm(moved))
        # At rounding level, which the condition of J J^T sets, steps stop shrinking.
        if step <= 1e-13 * scale or (step <= 1e-9 * scale and step > 0.5 * previous):
            return W
        W = W + moved
        failure = manifold.newton(W)
        if failure is not None:
            break
    raise ProjectionError(
        f"The nearest point was not found: the last step has length {step:.1e} after 200 iterations. "
        "The point may be too far from the manifold for a unique nearest point; start closer, or use retraction()."
    )
