"""Points of the region |grad F| <= r of S3 to S5: along the flow, and random moves from its end at several radii."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .errors import NotStatedError
from .points import Array, RegionPoint, curvature, onto_manifold

if TYPE_CHECKING:
    import manifoldflow as mf

    from .evidence import Evidence

RADII = (0.97, 0.8, 0.5, 0.25, 0.1, 0.02)  # of the largest radius, kappa = 4


def region_points(evidence: Evidence) -> tuple[RegionPoint, ...]:
    """Points with |grad F| <= r(kappa = 4) whose features are in the interval of the constants."""
    radius = evidence.constants.radius(4.0)
    if not (np.isfinite(radius) and radius > 0.0):
        raise NotStatedError("there is no region |grad F| <= r: r is not positive.")
    inside = np.flatnonzero(evidence.flow.gradient_norm <= radius)
    chosen = inside[np.unique(np.linspace(0, inside.size - 1, 6).round().astype(int))] if inside.size else inside
    points = [evidence.flow.theta[k] for k in chosen]
    points += [_at_radius(evidence, k, share * radius) for k, share in enumerate(RADII * 2)]
    found = [curvature(evidence.manifold, theta) for theta in points if theta is not None]
    return tuple(item for item in found if item.point.gradient_norm <= radius and _within(evidence, item.point.Z))


def _within(evidence: Evidence, Z: Array) -> bool:
    low, high = evidence.constants.interval
    return bool(low <= Z.min() and Z.max() <= high)


def _at_radius(evidence: Evidence, k: int, target: float) -> Array | None:
    """A random tangent move from the minimiser, scaled so that |grad F| is just below the target."""
    manifold, end = evidence.manifold, evidence.minimum.theta
    direction = evidence.rng(100 + k).normal(size=manifold.shape)
    if k % 2:  # the same size in every pre-activation: soft directions of the data
        Z = evidence.rng(100 + k).normal(size=(manifold.m, manifold.n))
        direction = manifold.coordinates.expand(manifold.coordinates.weights_from_preactivations(Z))
    tangent = manifold.projection(end, direction)
    tangent = tangent / np.linalg.norm(tangent)
    length, best = target / max(_slope(manifold, end, tangent), 1e-300), None
    for _ in range(12):
        theta = onto_manifold(manifold, end + length * tangent)
        norm = np.inf if theta is None else float(np.linalg.norm(manifold.gradient(theta)))
        if theta is not None and norm <= target:
            best = theta
            if norm > 0.98 * target:
                break
        length *= min(max(0.995 * target / norm, 0.2), 3.0) if np.isfinite(norm) else 0.3
    return best


def _slope(manifold: mf.ZeroLossManifold, theta: Array, tangent: Array) -> float:
    return float(np.linalg.norm(manifold.hessian_vector_product(theta, tangent)))
